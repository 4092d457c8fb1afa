"""Seals: a changed bit anywhere in a directory is noticed.

seal(directory)             # once every file is there
require_whole(directory)    # ValueError names what is not as it was
"""

from pathlib import Path

from hemline.storage.files import sha256_of

SEAL = "SHA256SUMS"  # which `sha256sum -c` reads too


def seal(directory: Path) -> None:
    """Leaves the checksum of every file beside them."""
    (directory / SEAL).write_text(_checksums(directory))


def require_whole(directory: Path) -> None:
    """Raises OSError or ValueError unless every file is as it was sealed, and no other is there."""
    sealed, found = (directory / SEAL).read_bytes().decode(), _checksums(directory)
    if sealed != found:  # text with text: what is no line of a checksum was changed too
        names = {line[66:] for line in {*sealed.splitlines()} ^ {*found.splitlines()}} or {SEAL}
        raise ValueError(f"{', '.join(sorted(names))} changed after it was written")


def _checksums(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.name != SEAL)
    return "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)

"""Which examples are the test split of data that has none: a function of their content and a seed.

    in_test(sha256(content).digest(), seed=0, share=0.2)        # always the same answer for the same content

Adding, removing or renaming files never moves an example from one split to the other, and equal examples are in the
same one. A larger share only adds to the test split.
"""

import hashlib
from collections.abc import Mapping, Sequence

from hemline.errors import DatasetError

DEFAULT_SHARE = 0.2  # of a folder


def place(digest: bytes, seed: int) -> int:
    """Where an example stands in [0, 2**64), by which splits are cut and ordered: a hash keyed by the seed."""
    return int.from_bytes(hashlib.blake2b(digest, digest_size=8, key=seed.to_bytes(4, "big")).digest(), "big")


def in_test(digest: bytes, seed: int, share: float) -> bool:
    """Whether an example is in the test split. digest: SHA-256 of its content."""
    return place(digest, seed) < share * 2**64


def require_every_class(shown_as: str, counts: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> None:
    """Raises DatasetError if a class has no examples in a split. counts: of each split, in the order of the names."""
    for split, found in counts.items():
        if empty := [name for name, count in zip(class_names, found, strict=True) if not count]:
            raise DatasetError(
                f"every class must have examples in the split {split}. Received: {shown_as} without any of "
                f"{listed(empty)} there. Add some, choose another test_share or split_seed, or remove the class."
            )


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first of many names, and how many there are besides."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")

"""The champion where a model server looks: a directory that holds it alone, and that changes with it by one rename.

    served = Served(artifacts, "fashion_mnist")
    served.point("8")       # serving/fashion_mnist/8 is models/fashion_mnist/8, and nothing else is in it
    served.version          # '8'

serving/<name> is a link to registry/<name>/champion-<n>/, a directory made for it, whose only entry is a link to the
version. All links are relative, so artifacts can be moved, or be mounted elsewhere, as a whole.
"""

import os
from pathlib import Path

from hemline.errors import StorageError
from hemline.storage.files import delete, whole_directory, whole_file
from hemline.storage.runs import MODELS, REGISTRY, SERVING

PREFIX = "champion-"


class Served:
    """What is served of a model's name. Whoever changes it holds the ledger's lock."""

    def __init__(self, artifacts: Path, name: str):
        self.path = artifacts / SERVING / name
        self._directory, self._models = artifacts / REGISTRY / name, artifacts / MODELS / name

    @property
    def version(self) -> str | None:
        """The version that the link leads to."""
        return self.path.readlink().name.removeprefix(PREFIX) if self.path.is_symlink() else None

    def is_at(self, version: str | None) -> bool:
        """Whether this version is served, and nothing is left of another."""
        if any(path.name != f"{PREFIX}{version}" for path in self._directory.glob(f"{PREFIX}*")):
            return False
        return self.version is None if version is None else all(map(_is_right, *self._links(version)))

    def point(self, version: str | None) -> None:
        """Serves the version, or nothing."""
        if self.path.exists() and not self.path.is_symlink():
            raise StorageError(
                f"what is served must be a link that is made here. Received: {self.path}, which is none. Move it away."
            )
        if version is None:
            self.path.unlink(missing_ok=True)
        else:
            (inner, outer), (to_version, to_directory) = self._links(version)
            if not _is_right(inner, to_version):
                with whole_directory(inner.parent, replace=True) as temporary:
                    (temporary / version).symlink_to(to_version)
            if not _is_right(outer, to_directory):
                with whole_file(outer) as temporary:
                    temporary.unlink(missing_ok=True)  # of a killed process with the same number
                    temporary.symlink_to(to_directory)
        for path in self._directory.glob(f"{PREFIX}*"):
            if path.name != f"{PREFIX}{version}":
                delete(path)

    def _links(self, version: str) -> tuple[tuple[Path, Path], tuple[str, str]]:
        """Both links, and where they lead."""
        directory = self._directory / f"{PREFIX}{version}"
        targets = os.path.relpath(self._models / version, directory), os.path.relpath(directory, self.path.parent)
        return (directory / version, self.path), targets


def _is_right(link: Path, target: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == target

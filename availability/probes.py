"""The signatures of what was looked at: taken once, and compared ever after.

References, folders and records are looked at because their content was read; files because of their signature alone.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from availability.model import Commit
from availability.record import Signature

SETTLED_SECONDS = 2.0
"""What was changed later than so long before it was looked at may change again and show the same signature."""

_NO_MODIFICATION = -1
_BETWEEN = "\0"
"""The one letter that is in no path."""


class Probes(NamedTuple):
    """What was looked at of one kind in one folder.

    Attributes:
        paths: below the model's folder, with zero bytes between; empty for none.
        numbers: modification time in nanoseconds and size of each.
    """

    paths: str
    numbers: Sequence[int]


def count_of(paths: str) -> int:
    """Return how many paths there are in a text of `Probes`."""
    return paths.count(_BETWEEN) + 1 if paths else 0


def changed(
    names: Iterable[str], paths: Iterable[str], numbers: Iterable[int], *, root: str = "", folder: int | None = None
) -> set[int]:
    """Return the places of those folders of which something has another signature now.

    One loop for all of them: what each folder costs besides its calls is what ten thousand of them cost.

    Args:
        names: the folders.
        paths: what was looked at in each, as in `Probes`.
        numbers: the signatures, of all folders one after the other.
        root: what goes before the names.
        folder: an open folder that this is relative to, which saves a tenth.
    """
    places: set[int] = set()
    values = iter(numbers)
    for place, (name, text) in enumerate(zip(names, paths, strict=True)):
        # The paths come first here, so that the numbers of the next folder are left where they are.
        for path, modified, size in zip(text.split(_BETWEEN) if text else (), values, values, strict=False):
            try:
                status = os.stat(f"{root}{name}/{path}", dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError):
                if modified != _NO_MODIFICATION:
                    places.add(place)
                continue
            if status.st_mtime_ns != modified or status.st_size != size:
                places.add(place)
    return places


class Seen:
    """Takes the signatures of what is looked at, and keeps them."""

    def __init__(self, shelf: Path, records: Path) -> None:
        """Look at nothing yet.

        Args:
            shelf: the model's folder in the store.
            records: the folder of its records.
        """
        self._shelf, self._records = f"{shelf}/", f"{records}/"
        self._prefix = len(self._shelf)
        self.files: dict[str, Signature | None] = {}
        self.folders: dict[str, Signature | None] = {}
        self.records: dict[str, Signature | None] = {}
        self._newest = 0

    def is_settled(self, now: float) -> bool:
        """Say whether a later change must show in a signature."""
        return self._newest < (now - SETTLED_SECONDS) * 1e9

    def probes(self) -> tuple[Probes, Probes, Probes]:
        """Return what was looked at: references, snapshots and files; folders of revisions; records."""
        return _probes(self.files), _probes(self.folders), _probes(self.records)

    def references(self) -> None:
        """Look at all references."""
        self.folder("refs")
        for folder, folders, files in os.walk(f"{self._shelf}refs"):
            below = folder[self._prefix :]
            for name in folders:
                self.folder(f"{below}/{name}")
            for name in files:
                self.file(f"{below}/{name}")

    def folder(self, below: str) -> None:
        """Look at a folder in which new revisions appear."""
        self.folders[below] = self._note(_signature(self._shelf + below))

    def file(self, below: str) -> None:
        """Look at a reference, or at a folder of a snapshot."""
        self.files[below] = self._note(_signature(self._shelf + below))

    def record(self, commit: Commit) -> None:
        """Look at the record of a commit."""
        path = f"{commit}.json"
        self.records[path] = self._note(_signature(self._records + path))

    def tree(self, below: str) -> None:
        """Look at all folders of a snapshot, because the names in it matter."""
        for folder, folders, _ in os.walk(self._shelf + below):
            for name in folders:
                self.file(f"{folder[self._prefix :]}/{name}")

    def content(self, path: str) -> Signature | None:
        """Look at a file of a snapshot: at the folders it is named in, and at the content."""
        below = path[self._prefix :]
        parent = below.rpartition("/")[0]
        while parent.count("/") > 1:
            self.file(parent)
            parent = parent.rpartition("/")[0]
        place = self._blob(path, below) or below
        self.files[place] = signature = _signature(self._shelf + place)
        return signature

    def _blob(self, path: str, below: str) -> str | None:
        """Return the blob a link leads to: looking there costs half, and a changed link changes its folder."""
        try:
            target = os.path.normpath(f"{below.rpartition('/')[0]}/{os.readlink(path)}")
            return target if target.startswith("blobs/") and os.path.samefile(path, self._shelf + target) else None
        except OSError:
            return None

    def _note(self, signature: Signature | None) -> Signature | None:
        if signature is not None:
            self._newest = max(self._newest, signature.mtime_ns)
        return signature


def _signature(path: str) -> Signature | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Signature(status.st_size, status.st_mtime_ns)


def modified_ns(folder: Path) -> int:
    """Return when something was last renamed into a folder or out of it, 0 when there is no folder."""
    signature = _signature(str(folder))
    return signature.mtime_ns if signature else 0


def _probes(seen: Mapping[str, Signature | None]) -> Probes:
    numbers = [
        number
        for signature in seen.values()
        for number in ((signature.mtime_ns, signature.size) if signature else (_NO_MODIFICATION, 0))
    ]
    return Probes(_BETWEEN.join(seen), numbers)

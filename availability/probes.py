"""The signatures of what was looked at: taken once, and compared ever after.

References, folders and records are looked at because their content was read; files because of their signature alone.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from availability.model import Commit
from availability.record import Signature

SETTLED_SECONDS = 2.0
"""What was changed later than so long before it was looked at may change again and show the same signature."""

_NO_MODIFICATION = -1
_END = "\0"
"""The one letter that is in no path."""


class Probes(NamedTuple):
    """What a folder was seen with; a tuple of texts, because ten thousand are made in a few milliseconds.

    Attributes:
        files: paths of references, snapshots and their files, below the model's folder, each ended by a zero byte.
        others: the same for folders in which new revisions appear, and then for records, below the records' folder.
        numbers: modification time in nanoseconds and size of each path, in this order.
        file_count: how many of the paths are of the first kind.
        folder_count: how many are folders.
    """

    files: str
    others: str
    numbers: Sequence[int]
    file_count: int
    folder_count: int

    def are_files_same(self, store: int, name: str) -> bool:
        """Say whether references, snapshots and files are unchanged; `store` is the open store."""
        return _same(store, f"{name}/", self.files.split(_END)[:-1], self.numbers)

    def are_folders_same(self, store: int, name: str) -> bool:
        """Say whether no revision was added."""
        folders = self.others.split(_END)[: self.folder_count]
        return _same(store, f"{name}/", folders, self.numbers[2 * self.file_count :])

    def are_records_same(self, records: Path, name: str) -> bool:
        """Say whether the records below a root are unchanged."""
        numbers = self.numbers[2 * (self.file_count + self.folder_count) :]
        return _same(None, f"{records}/{name}/", self.others.split(_END)[self.folder_count : -1], numbers)


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

    @property
    def paths(self) -> Sequence[str]:
        """All that was looked at."""
        return [*self.files, *self.folders, *self.records]

    def probes(self) -> Probes:
        """Return all that was looked at, with its signatures."""
        numbers = [
            number
            for signature in (*self.files.values(), *self.folders.values(), *self.records.values())
            for number in ((signature.mtime_ns, signature.size) if signature else (_NO_MODIFICATION, 0))
        ]
        others = [*self.folders, *self.records]
        return Probes(_ended(self.files), _ended(others), numbers, len(self.files), len(self.folders))

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


def _ended(paths: Iterable[str]) -> str:
    return "".join(f"{path}{_END}" for path in paths)


def _same(folder: int | None, prefix: str, paths: Iterable[str], numbers: Iterable[int]) -> bool:
    """Say whether all signatures are still these; paths relative to an open folder save a tenth."""
    values = iter(numbers)
    for path, modified, size in zip(paths, values, values, strict=False):  # there may be numbers of more paths
        try:
            status = os.stat(prefix + path, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            if modified == _NO_MODIFICATION:
                continue
            return False
        if status.st_mtime_ns != modified or status.st_size != size:
            return False
    return True

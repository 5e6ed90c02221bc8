"""The signatures of what was looked at: taken once, and compared ever after.

References, folders and records are looked at because their content was read; files because of their signature alone.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from availability.model import Commit
from availability.record import Signature

SETTLED_SECONDS = 2.0
"""What was changed later than so long before it was looked at may change again and show the same signature."""


_NO_MODIFICATION = -1


class Probes(NamedTuple):
    """What a folder was seen with: paths below the store's root or the records', and two numbers for each.

    Attributes:
        paths: first those of references, snapshots and their files, then folders, then records.
        numbers: modification time in nanoseconds and size, for each path.
        files: how many of the paths are of the first kind.
        folders: how many are folders in which new revisions appear.
    """

    paths: Sequence[str]
    numbers: Sequence[int]
    files: int
    folders: int

    def are_files_same(self, store: int) -> bool:
        """Say whether references, snapshots and files are unchanged; `store` is the open store."""
        return _same(store, self.paths[: self.files], self.numbers[: 2 * self.files])

    def are_folders_same(self, store: int) -> bool:
        """Say whether no revision was added."""
        start, stop = self.files, self.files + self.folders
        return _same(store, self.paths[start:stop], self.numbers[2 * start : 2 * stop])

    def are_records_same(self, records: Path) -> bool:
        """Say whether the records below a root are unchanged."""
        start = self.files + self.folders
        return _same(None, [f"{records}/{path}" for path in self.paths[start:]], self.numbers[2 * start :])


class Seen:
    """Takes the signatures of what is looked at, and keeps them."""

    def __init__(self, name: str, store: str, records: str) -> None:
        self._name, self._store, self._records = name, store, records
        self._prefix = len(store) + len(name) + 1
        self.files: dict[str, Signature | None] = {}
        self.folders: dict[str, Signature | None] = {}
        self.records: dict[str, Signature | None] = {}
        self._newest = 0

    def is_settled(self, now: float) -> bool:
        """Say whether a later change must show in a signature."""
        return self._newest < (now - SETTLED_SECONDS) * 1e9

    def probes(self) -> Probes:
        """Return all that was looked at."""
        paths = [*self.files, *self.folders, *self.records]
        numbers = [
            number
            for signature in (*self.files.values(), *self.folders.values(), *self.records.values())
            for number in ((signature.mtime_ns, signature.size) if signature else (_NO_MODIFICATION, 0))
        ]
        return Probes(paths, numbers, len(self.files), len(self.folders))

    def references(self) -> None:
        """Look at all references."""
        self.folder("refs")
        for folder, folders, files in os.walk(f"{self._store}{self._name}/refs"):
            below = folder[self._prefix :]
            for name in folders:
                self.folder(f"{below}/{name}")
            for name in files:
                self.file(f"{below}/{name}")

    def folder(self, below: str) -> None:
        """Look at a folder in which new revisions appear."""
        path = f"{self._name}/{below}"
        self.folders[path] = self._note(_signature(self._store + path))

    def file(self, below: str) -> None:
        """Look at a reference, or at a folder of a snapshot."""
        path = f"{self._name}/{below}"
        self.files[path] = self._note(_signature(self._store + path))

    def record(self, commit: Commit) -> None:
        """Look at the record of a commit."""
        path = f"{self._name}/{commit}.json"
        self.records[path] = self._note(_signature(self._records + path))

    def tree(self, below: str) -> None:
        """Look at all folders of a snapshot, because the names in it matter."""
        for folder, folders, _ in os.walk(f"{self._store}{self._name}/{below}"):
            for name in folders:
                self.file(f"{folder[self._prefix :]}/{name}")

    def content(self, path: str) -> Signature | None:
        """Look at a file of a snapshot: at the folders it is named in, and at the content."""
        below = path[self._prefix :]
        parent = below.rpartition("/")[0]
        while parent.count("/") > 1:
            self.file(parent)
            parent = parent.rpartition("/")[0]
        place = f"{self._name}/{self._blob(path, below) or below}"
        self.files[place] = signature = _signature(self._store + place)
        return signature

    def _blob(self, path: str, below: str) -> str | None:
        """Return the blob a link leads to: looking there costs half, and a changed link changes its folder."""
        try:
            target = os.path.normpath(f"{below.rpartition('/')[0]}/{os.readlink(path)}")
            place = f"{self._store}{self._name}/{target}"
            return target if target.startswith("blobs/") and os.path.samefile(path, place) else None
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


def _same(folder: int | None, paths: Sequence[str], numbers: Sequence[int]) -> bool:
    """Say whether all signatures are still these; the paths are relative to an open folder, which saves a tenth."""
    values = iter(numbers)
    for path, modified, size in zip(paths, values, values, strict=True):
        try:
            status = os.stat(path, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            if modified == _NO_MODIFICATION:
                continue
            return False
        if status.st_mtime_ns != modified or status.st_size != size:
            return False
    return True

"""Where the history lies: any fsspec URL, seen through seven operations that readers may watch at any moment.

    events/hot/date=D/<digest>.parquet                          a batch as it was shipped, named by what it holds
    events/cold/date=D/<generation>-<id>-<replaced ids>.parquet a day in order; the name says which files it replaces
    rejected/date=D/<digest>.parquet                            what was refused at the door, with the reason
    erased/<id>.json                                            who or what has been forgotten
    marts/usage.duckdb                                          the published file
    marts/tended.json                                           when the day's work was done last

A name never shows half of its content, and no file is ever changed under its name. Credentials belong to the
environment or to the storage options, never into the URL.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it has no types
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]  # see above

from analytics.errors import StoreUnreachableError
from analytics.privacy import refuse_credentials, without_credentials

HOT, COLD, REJECTED, ERASED = "events/hot", "events/cold", "rejected", "erased"
MART, TENDED = "marts/usage.duckdb", "marts/tended.json"
STALE_SECONDS = 24 * 3600
"""When a temporary file's writer is certainly gone."""

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss", "memory"})
"""Stores whose objects appear whole or not at all; elsewhere a temporary name and a rename do that."""


@dataclass(frozen=True, slots=True, order=True)
class Stored:
    """A file of the history.

    Attributes:
        path: below the root.
        size_bytes: as listed.
    """

    path: str
    size_bytes: int

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    @property
    def day(self) -> date | None:
        """The day of its partition, None when it lies in none."""
        folder = PurePosixPath(self.path).parent.name
        with suppress(ValueError):
            return date.fromisoformat(folder.removeprefix("date="))
        return None


class EventStore:
    """The seven operations; every failure but an absent file is a `StoreUnreachableError`."""

    def __init__(self, filesystem: Any, root: str, shown: str = "") -> None:
        """Take a filesystem of fsspec and a path in it.

        Args:
            filesystem: opened with whatever it needs.
            root: the folder of the history.
            shown: how errors name it.
        """
        self._filesystem = filesystem
        self.root = root.rstrip("/")
        self.shown = shown or self.root
        self.is_local = isinstance(filesystem, LocalFileSystem)
        protocols = filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)
        self._writes_whole = bool(_OBJECT_STORES.intersection(protocols))

    def find(self, folder: str) -> list[Stored]:
        """Return the files below a folder, in the order of their paths; none when there is no such folder."""
        with self._door():
            self._filesystem.invalidate_cache()
            found = self._filesystem.find(self._full(folder), detail=True)
        # Some object stores keep an emptied folder as an object of its own.
        files = {self._below(path): about for path, about in found.items() if about.get("type") != "directory"}
        stored = [Stored(path, int(about.get("size") or 0)) for path, about in files.items() if path != folder]
        return sorted(file for file in stored if not file.name.endswith(".tmp"))

    def exists(self) -> bool:
        """Say whether anything was ever put here."""
        with self._door():
            self._filesystem.invalidate_cache()
            return bool(self._filesystem.exists(self.root))

    def read(self, path: str) -> bytes:
        """Return a file's content; raises FileNotFoundError when it is gone."""
        with self._door():
            content: bytes = self._filesystem.cat_file(self._full(path))
        return content

    def fetch(self, paths: Iterable[str], folder: Path) -> None:
        """Copy files into a folder of this machine, under the same paths; raises FileNotFoundError when one is gone."""
        wanted = list(paths)
        targets = [folder / path for path in wanted]
        for parent in {target.parent for target in targets}:
            parent.mkdir(parents=True, exist_ok=True)
        beside = [target.with_name(f".{secrets.token_hex(4)}.tmp") for target in targets]
        try:
            with self._door():
                self._filesystem.get([self._full(path) for path in wanted], [str(path) for path in beside])
            for temporary, target in zip(beside, targets, strict=True):
                temporary.replace(target)
        finally:
            for temporary in beside:
                temporary.unlink(missing_ok=True)

    def put(self, path: str, content: bytes) -> None:
        """Write a file in one step."""
        self._write(path, lambda target: self._filesystem.pipe_file(target, content))

    def put_file(self, path: str, content: Path) -> None:
        """Write a file of this machine in one step."""
        self._write(path, lambda target: self._filesystem.put_file(str(content), target))

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files, one after the other in the given order; an absent one is no failure."""
        for path in paths:
            with self._door(), suppress(FileNotFoundError):
                self._filesystem.rm_file(self._full(path))

    def delete_stale(self, now_seconds: float) -> None:
        """Delete what writers left behind when they died."""
        with self._door():
            found = [path for path in self._filesystem.find(self.root) if path.endswith(".tmp")]
        old = [path for path in found if now_seconds - _written_at(path) > STALE_SECONDS]
        self.delete(self._below(path) for path in old)

    def local_path(self, path: str) -> Path:
        """Return where a file lies on this machine; only for a local store."""
        return Path(self._full(path))

    def _write(self, path: str, write: Callable[[str], object]) -> None:
        target = self._full(path)
        with self._door():
            if self._writes_whole:
                write(target)
                return
            folder = target.rpartition("/")[0]
            temporary = f"{folder}/.{int(time.time())}-{secrets.token_hex(4)}.tmp"
            self._filesystem.makedirs(folder, exist_ok=True)
            try:
                write(temporary)
                self._settle(temporary, folder)
                self._filesystem.mv(temporary, target)
            except BaseException:
                with suppress(Exception):  # the first failure is the one to tell
                    self._filesystem.rm_file(temporary)
                raise
            if self.is_local:
                _sync(folder)

    def _settle(self, temporary: str, folder: str) -> None:
        """Bring a local file to the disk before it gets its name; nobody may change it after that."""
        if self.is_local:
            _sync(temporary)
            Path(temporary).chmod(0o444)
            _sync(folder)

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _below(self, path: str) -> str:
        return str(path)[len(self.root) :].lstrip("/")

    @contextmanager
    def _door(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:  # each filesystem raises what it likes, far from always an OSError
            why = without_credentials(str(error)) or type(error).__name__
            raise StoreUnreachableError(f"The history at {self.shown} cannot be used: {why}") from error


def open_store(url: str, options: Mapping[str, Any] | None = None) -> EventStore:
    """Open the history at a URL or a path.

    Args:
        url: of any kind that fsspec knows.
        options: what its filesystem needs, credentials included.

    Raises:
        UnsafeUrlError: the URL carries a secret.
        StoreUnreachableError: no filesystem can be made for it.
    """
    refuse_credentials(url)
    try:
        filesystem, root = fsspec.core.url_to_fs(url, **(options or {}))
    except Exception as error:  # an unknown protocol, a package that is not installed, bad options
        why = without_credentials(str(error))
        raise StoreUnreachableError(f"The history at {url} cannot be used: {why}") from error
    return EventStore(filesystem, str(root), url)


def _written_at(path: str) -> float:
    second = PurePosixPath(path).name.removeprefix(".").partition("-")[0]
    return float(second) if second.isdigit() else 0.0


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

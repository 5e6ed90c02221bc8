"""Copies of a remote history's files on this machine: they never change, so each is fetched once.

DuckDB then reads them natively, which is many times faster than reading through an adapter, and right: its second major
version misreads Parquet through Python file objects now and then.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from analytics.storage import EventStore, Stored

_STALE_SECONDS = 24 * 3600
"""How long a copy of a file that is gone from the store may still be in use by a reader."""


def default_folder() -> Path:
    """Return where copies lie when nothing else is said."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "enhanced-model-availability/history"


def mirror(store: EventStore, files: Iterable[Stored], folder: Path) -> dict[str, Path]:
    """Return where each file can be read on this machine, after fetching those that are new.

    Raises:
        FileNotFoundError: one has gone since it was listed.
    """
    wanted = list(files)
    if store.is_local:
        return {file.path: store.local_path(file.path) for file in wanted}
    own = folder / hashlib.sha256(f"{store.shown}\n{store.root}".encode()).hexdigest()[:16]
    absent = [file for file in wanted if _size(own / file.path) != file.size_bytes]
    if absent:
        store.fetch((file.path for file in absent), own)
    _forget(own, {file.path for file in wanted})
    return {file.path: own / file.path for file in wanted}


def _size(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def _forget(own: Path, wanted: set[str]) -> None:
    old = time.time() - _STALE_SECONDS
    for path in own.rglob("*.parquet"):
        if str(path.relative_to(own)) not in wanted:
            with suppress(FileNotFoundError):  # another reader was faster
                if path.stat().st_atime < old and path.stat().st_mtime < old:
                    path.unlink()

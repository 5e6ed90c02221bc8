"""The writing end of the event spool: one `write()` for each event, and no network.

Standard library only, because it runs in other people's programs. A line is acknowledged when `append` has returned
True: it then outlives this process, however it ends (a power cut is the disk's affair; nothing here waits for it).
What reads the folder, ships it and deletes it is `analytics.spool`; the two share nothing but this format:

- `<second>-<host>-<process>-<random>.jsonl` in the folder, one JSON object a line, written by one process;
- the writer holds a shared lock (flock) on its segment as long as it may write to it;
- `salt` beside them is the secret with which names of users are hashed, and `store` what the history calls the store.
"""

import hashlib
import logging
import os
import re
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover  a system without flock; its segments are left alone until they are a day old
    fcntl = None  # type: ignore[assignment]  # where it is absent

MIB = 1024**2
SEGMENT_BYTES = 4 * MIB
MAX_BYTES = 256 * MIB
SPOOL_NAME = "spool"
SALT_NAME, STORE_NAME = "salt", "store"

_LOOK_EVERY = 256
"""Lines between two looks whether the segment is still in its folder."""
_REST_SECONDS = 5.0
"""How long a full or unwritable spool is left alone: it must not cost a scan for each event."""

logger = logging.getLogger(__name__)
_spools: "weakref.WeakSet[Spool]" = weakref.WeakSet()


class Spool:
    """The segment that this process appends to; threads share it, and a child made by fork begins its own."""

    _close = staticmethod(os.close)  # kept here: at the interpreter's end this module has forgotten what it imported

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Name the folder; nothing is made before the first line.

        Args:
            folder: where segments lie.
            max_bytes: what all of them together may hold; beyond it lines are refused.
            segment_bytes: when a segment is followed by the next one.
        """
        self._descriptor, self._left = -1, 0
        self.folder = folder
        self._max_bytes, self._segment_bytes = max_bytes, segment_bytes
        self._begin()
        _spools.add(self)

    def append(self, line: bytes) -> bool:
        """Keep a line, which ends with a line break; False means that it was not kept."""
        with self._lock:
            try:
                if self._left < len(line) or not self._before_next_look:
                    return self._append_elsewhere(line)
                self._before_next_look -= 1
                written = os.write(self._descriptor, line)
                self._left -= written
                return written == len(line) or self._cut_off()
            except OSError as error:
                self._rest(f"{error.strerror}: {self.folder}")
                return False

    def close(self) -> None:
        """End the segment; the next line begins another."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        """Give the segment back with the last who knew of it."""
        self._end()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._left = self._before_next_look = 0
        self._quiet_until = float("-inf")
        self._complained = False

    def _cut_off(self) -> bool:
        """End a segment in which half a line stands for good: nothing may follow it on that line."""
        self._end()
        self._rest(f"no space left: {self.folder}")
        return False

    def _append_elsewhere(self, line: bytes) -> bool:
        """Append to this segment if it is still there and has room, otherwise to a new one."""
        if time.monotonic() < self._quiet_until:
            return False
        self._before_next_look = _LOOK_EVERY
        if self._left < len(line) or not os.fstat(self._descriptor).st_nlink:
            self._end()
            if not self._open(len(line)):
                return False
        written = os.write(self._descriptor, line)
        self._left -= written
        return written == len(line) or self._cut_off()

    def _open(self, needed_bytes: int) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        room = min(self._segment_bytes, self._max_bytes - spooled_bytes(self.folder))
        if room < needed_bytes:
            self._rest(f"{self.folder} holds {self._max_bytes} bytes that were not shipped")
            return False
        self._descriptor = _new_segment(self.folder)
        self._left, self._before_next_look = room, _LOOK_EVERY
        return True

    def _end(self) -> None:
        descriptor, self._descriptor, self._left = self._descriptor, -1, 0
        if descriptor >= 0:
            self._close(descriptor)

    def _rest(self, why: str) -> None:
        self._left = 0
        self._quiet_until = time.monotonic() + _REST_SECONDS
        if not self._complained:
            self._complained = True
            logger.warning("Events are not recorded for now: %s", why)

    def _after_fork(self) -> None:
        # The lock may have been held by a thread that does not exist here, and the segment is the parent's.
        descriptor, self._descriptor = self._descriptor, -1
        self._begin()
        if descriptor >= 0:
            os.close(descriptor)


@lru_cache(maxsize=16)
def shared_spool(folder: Path, max_bytes: int = MAX_BYTES) -> Spool:
    """Return the spool of a folder that all of this process write to: each of its own would be a segment more."""
    return Spool(folder, max_bytes=max_bytes)


def spooled_bytes(folder: Path) -> int:
    """Return what the segments of a folder hold together."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".jsonl"):
                with suppress(FileNotFoundError):  # just shipped
                    total += entry.stat().st_size
    return total


def read_salt(folder: Path) -> bytes:
    """Return the salt of a spool, made when it is first wanted; machines that share history copy the file."""
    return _kept(folder, SALT_NAME, lambda: secrets.token_bytes(32))


def read_store_name(folder: Path, store: Path) -> str:
    """Return what the history calls a store, which is whoever shares its state: the host and the path of the first."""
    return _kept(folder, STORE_NAME, f"{socket.gethostname()}:{store}".encode).decode()


def _kept(folder: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """Return the content of a small file that is made once, for whoever shares the folder."""
    path = folder / name
    for _ in range(2):
        with suppress(FileNotFoundError):
            return path.read_bytes()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = folder / f".{name}.{secrets.token_hex(4)}"
        beside.write_bytes(make())
        beside.chmod(0o600)
        with suppress(FileExistsError):  # another process was first: what it has made holds
            os.link(beside, path)
        beside.unlink()
    return path.read_bytes()


def hash_user(user: str, salt: bytes) -> str:
    """Return the only form in which a user is recorded."""
    return hashlib.blake2b(user.encode(), key=salt, digest_size=16).hexdigest()


def _new_segment(folder: Path) -> int:
    """Return a descriptor of a new segment that nobody can have deleted."""
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
    while True:
        name = f"{int(time.time())}-{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _CLOEXEC, 0o600)
        if _lock_shared(descriptor) and os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # a shipper took it for left behind, before it was locked


_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def _lock_shared(descriptor: int) -> bool:
    if fcntl is None:  # pragma: no cover  see the import
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: the shipper waits until the segment is a day old
        return True
    return True


def _after_fork() -> None:
    for spool in list(_spools):
        spool._after_fork()  # noqa: SLF001  a part of the class that the system calls


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""A few numbers in a file that all processes of a state folder read and change, one at a time.

What limits a fleet lies here: no process serves the others, and none has to be alive. Whoever holds the file does so
for microseconds; if somebody was stopped just then, nobody waits for him, because a limit saves something and is
never relied on. The lock is the kernel's (`flock`, which network file systems carry to the server).
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic, sleep

_PATIENCE_SECONDS = 0.5
_LOOK_SECONDS = 0.0005


class SharedNumbers:
    """So many numbers in one file; safe to use from any thread and any process."""

    def __init__(self, path: Path, count: int) -> None:
        """Use the file at `path`, which is made when it is first needed; numbers nobody has written yet are 0."""
        self._path = path
        self._layout = struct.Struct(f"<{count}d")
        self._lock = Lock()
        self._descriptor: int | None = None

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    @contextmanager
    def held(self) -> Iterator[list[float]]:
        """Have the numbers to oneself; what they are changed to is written at the end.

        Raises:
            OSError: the file cannot be made or read.
        """
        with self._lock:
            descriptor = self._open()
            locked = _lock(descriptor)
            try:
                before = self._read(descriptor)
                numbers = [*before]
                yield numbers
                if numbers != before:
                    os.pwrite(descriptor, self._layout.pack(*numbers), 0)
            finally:
                if locked:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)

    def exists(self) -> bool:
        """Say whether anybody has ever written a number."""
        return self._descriptor is not None or self._path.exists()

    def _open(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return self._descriptor

    def _read(self, descriptor: int) -> list[float]:
        content = os.pread(descriptor, self._layout.size, 0)
        return [*self._layout.unpack(content.ljust(self._layout.size, b"\0"))]


def _lock(descriptor: int) -> bool:
    until = monotonic() + _PATIENCE_SECONDS
    while monotonic() < until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(_LOOK_SECONDS)
        except OSError:
            # A file system without locks: now and then an update is lost, and the limit is a little off.
            return False
        else:
            return True
    return False

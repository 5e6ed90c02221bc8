"""Opening a file so that its bytes come from the disk and not from memory, by whichever way its file system allows.

With O_DIRECT a file's pages in memory, which may be serving, stay as they are; measured beside dropping the pages,
reading and dropping again, that takes half the processor time and evicts nothing. Where a file system refuses (some in
memory or over a network), the pages that nobody has mapped are dropped around the reading.
"""

import fcntl
import mmap
import os
from errno import EINVAL
from pathlib import Path
from types import TracebackType
from typing import Self

from availability.record import Signature

ALIGNMENT_BYTES = mmap.PAGESIZE
"""Lengths and offsets, and the place in memory, have to be multiples of this."""

_O_DIRECT: int = getattr(os, "O_DIRECT", 0)


def aligned_buffer(size: int) -> memoryview:
    """Return memory to read into."""
    return memoryview(mmap.mmap(-1, size))


class Content:
    """A file open for reading, by whichever way its file system allows."""

    def __init__(self, place: Path, *, from_memory: bool) -> None:
        """Open a file.

        Raises:
            OSError: it cannot be opened.
        """
        self._descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        self._is_direct = False
        self._drops = False
        if not from_memory:
            self._leave_memory_alone()
        self.size = os.fstat(self._descriptor).st_size

    def signature(self) -> Signature:
        """Return what the file looks like now."""
        status = os.fstat(self._descriptor)
        return Signature(status.st_size, status.st_mtime_ns)

    def read(self, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset` on, as far as there is something; return how far."""
        done = 0
        while done < len(view) and offset + done < self.size:
            count = self._read_some(view[done:], offset + done)
            if not count:
                break
            done += count
        if self._drops:
            _drop(self._descriptor, offset, done)
        return done

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_some(self, view: memoryview, offset: int) -> int:
        try:
            return os.preadv(self._descriptor, [view], offset)
        except OSError as error:
            if not self._is_direct or error.errno != EINVAL:
                raise
            # Some file systems take the flag, and then want another alignment than a page's.
            self._set_direct(wanted=False)
            self._drops = True
            _drop(self._descriptor, 0, 0)
            return os.preadv(self._descriptor, [view], offset)

    def _leave_memory_alone(self) -> None:
        try:
            self._set_direct(wanted=True)
        except OSError:
            self._drops = True
            _drop(self._descriptor, 0, 0)

    def _set_direct(self, *, wanted: bool) -> None:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        if not _O_DIRECT:
            raise OSError(EINVAL, "no such flag on this system")
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | _O_DIRECT if wanted else flags & ~_O_DIRECT)
        self._is_direct = wanted


def _drop(descriptor: int, offset: int, length: int) -> None:
    """Let the pages go that nobody has mapped; a length of 0 means all."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)

"""One large file while it arrives for the first time: parts from any connection, proven as a whole.

Bytes go to the disk as they come; each finished MiB leaves its chunk digest in the journal, and when the publisher's
digest of the whole matches, those digests become the file's ledger. If it does not match, nothing says which byte is
wrong, because no ledger exists yet: then `availability.transfer.comparison` takes a second delivery.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol

from availability.digests import CHUNK_BYTES, Buffer, chunk_hasher, publisher_hasher
from availability.durable import write_whole
from availability.journal import Journal
from availability.ledger import Ledger
from availability.model import FileRecord
from availability.transfer.frontier import Frontier

WRITE_BACK_BYTES = 64 * CHUNK_BYTES
"""How much of a file may be dirty in memory before it is sent to the disk."""


class Watcher(Protocol):
    """Is told, in whatever thread it happens, what becomes of a delivery."""

    def on_settled(self, delivery: "Delivery") -> None:
        """Every byte is judged: `delivery.proven` says how."""

    def on_kept(self, count: int) -> None:
        """So many bytes more need not come any more."""

    def on_dirty(self, delivery: "Delivery") -> None:
        """A good deal waits to be written back."""

    def on_error(self, error: BaseException) -> None:
        """Judging broke off: the disk could not be read."""


class PartWriter(ABC):
    """Takes the bytes of one part, in order.

    Attributes:
        offset: where in the file the next byte belongs.
        stop: where the part ends (exclusive).
    """

    offset: int
    stop: int

    @abstractmethod
    def write(self, data: memoryview) -> None:
        """Take the next bytes, none past `stop`."""


class Delivery(ABC):
    """A file in staging that is not yet proven: any number of parts at once, each in one thread.

    Attributes:
        file: what it must become.
        got: the digest of all that arrived, None until every byte is judged.
        given_up: no more of it is fetched in this run.
    """

    def __init__(self, file: FileRecord, descriptor: int, journal: Journal, watcher: Watcher) -> None:
        """Continue the file open at `descriptor`; see `availability.transfer.staging.Staging.open`."""
        self.file = file
        self.journal = journal
        self.got: str | None = None
        self.given_up = False
        self._descriptor = descriptor
        self._watcher = watcher
        self._lock = Lock()
        self._claimed: set[int] = set()
        self._accepted = False
        self._whole_comes = False
        self._dirty_bytes = 0

    @property
    def proven(self) -> bool:
        """Whether what arrived is what the publisher says."""
        return self.got == self.file.digest

    def length(self, part: int) -> int:
        """Return how many bytes a part has."""
        return min(self.journal.part_bytes, self.file.size - part * self.journal.part_bytes)

    def missing(self, part: int) -> tuple[int, int]:
        """Return where in the file the missing rest of a part starts and stops."""
        start = part * self.journal.part_bytes
        return start + self.journal.marks[part], start + self.length(part)

    def claimable(self) -> int:
        """Return how many incomplete parts nobody fetches."""
        with self._lock:
            return len(self._free_parts())

    def claim_part(self) -> int | None:
        """Return the first incomplete part that nobody fetches: the caller's until it is released."""
        with self._lock:
            part = next(iter(self._free_parts()), None)
            if part is not None:
                self._claimed.add(part)
            return part

    def release_part(self, part: int) -> None:
        """Let others fetch what is left of a part."""
        with self._lock:
            self._claimed.discard(part)

    @contextmanager
    def whole(self) -> Iterator[bool]:
        """Receive the whole file although a part was asked for: True for the first who wants to.

        Meanwhile nobody claims a part: the source would send them the whole file as well.
        """
        with self._lock:
            first = not self._whole_comes
            self._whole_comes = True
        try:
            yield first
        finally:
            if first:
                self._whole_comes = False

    def claim_from_whole(self, part: int) -> bool:
        """Claim a part as the whole file comes by; False when it is complete or somebody is still at it."""
        with self._lock:
            free = part not in self._claimed and self.journal.marks[part] < self.length(part)
            if free:
                self._claimed.add(part)
            return free

    @property
    def is_over(self) -> bool:
        """Whether it makes no sense to go on with a part."""
        return self.got is not None or self.given_up

    def accept(self, part: int, start: int, tag: str | None) -> bool:
        """Say whether an answer that was asked for from `start` on continues what has arrived of a part.

        What an earlier run left under another tag is dropped, and with it every answer that was asked for from where
        the old bytes ended.
        """
        with self._lock:
            if self.journal.tag is None and tag is not None:
                self.journal.adopt_tag(tag)
            if tag not in (None, self.journal.tag):
                if not self._accepted:
                    self.kept(-self.journal.received_bytes)
                    self.journal.restart(tag=tag)
                return False
            fits = start == self.missing(part)[0]
            self._accepted |= fits
            return fits

    @abstractmethod
    def begin(self) -> None:
        """Start judging; called when the first bytes are accepted, or when none are missing."""

    @abstractmethod
    def writer(self, part: int) -> PartWriter:
        """Return where the rest of a claimed part goes."""

    def close(self) -> None:
        """Close the files; what has arrived stays for the next run."""
        self.journal.close()
        os.close(self._descriptor)

    def ledger(self) -> Ledger:
        """Bring the proven file to the disk for good and return its ledger."""
        os.ftruncate(self._descriptor, self.file.size)
        os.fsync(self._descriptor)
        return Ledger(self.file.digest, self.file.size, self.journal.chunks())

    def write_back(self) -> None:
        """Send what is dirty to the disk, so that the last `fsync` has little left to do."""
        os.fdatasync(self._descriptor)

    def put(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset`."""
        write_whole(self._descriptor, data, offset)
        self._dirty_bytes += len(data)
        if self._dirty_bytes >= WRITE_BACK_BYTES:
            self._dirty_bytes = 0
            self._watcher.on_dirty(self)

    def get(self, offset: int, count: int) -> bytes:
        """Read `count` bytes back."""
        return os.pread(self._descriptor, count, offset)

    def kept(self, count: int) -> None:
        """Count bytes that need not come any more."""
        self._watcher.on_kept(count)

    def settle(self, got: str) -> None:
        """Note the digest of all that arrived."""
        self.got = got
        if self.proven:
            # A second delivery is proven as soon as the wrong byte is found, long before its end.
            self.kept(self.file.size - self.journal.received_bytes)
        self._watcher.on_settled(self)

    def _open_parts(self) -> list[int]:
        return [part for part, received in enumerate(self.journal.marks) if received < self.length(part)]

    def _free_parts(self) -> list[int]:
        if self.is_over or self._whole_comes:
            return []
        return [part for part in self._open_parts() if part not in self._claimed]


class FirstDelivery(Delivery):
    """Bytes that go to the disk as they come."""

    _frontier: Frontier | None = None

    def begin(self) -> None:
        """Start hashing, behind the frontier when an earlier run has left something."""
        with self._lock:
            if self._frontier is not None:
                return
            self._frontier = Frontier(
                publisher_hasher(self.file),
                self.file.size,
                contiguous=self._contiguous,
                read=self.get,
                on_complete=self.settle,
                on_error=self._watcher.on_error,
            )
        if any(self.journal.marks):
            self._frontier.follow()

    def writer(self, part: int) -> PartWriter:
        """Return where the rest of a claimed part goes; out of order, hashing changes to the follower."""
        assert self._frontier is not None  # noqa: S101  begin() came first
        writer = _FirstWriter(self, self._frontier, part)
        if not self._frontier.is_at(writer.offset):
            self._frontier.follow()
        return writer

    def close(self) -> None:
        """End the follower, then close the files."""
        if self._frontier is not None:
            self._frontier.stop()
        super().close()

    def _contiguous(self, offset: int) -> int:
        part = offset // self.journal.part_bytes
        while part < len(self.journal.marks) and self.journal.marks[part] == self.length(part):
            part += 1
        if part == len(self.journal.marks):
            return self.file.size
        return part * self.journal.part_bytes + self.journal.marks[part]


class _FirstWriter(PartWriter):
    def __init__(self, delivery: FirstDelivery, frontier: Frontier, part: int) -> None:
        self._delivery = delivery
        self._frontier = frontier
        self._part = part
        self._start = part * delivery.journal.part_bytes
        self.offset = self._start + delivery.journal.marks[part]
        self.stop = self._start + delivery.length(part)
        self._chunk = chunk_hasher()
        head = self.offset % CHUNK_BYTES
        if head:
            self._chunk.update(delivery.get(self.offset - head, head))

    def write(self, data: memoryview) -> None:
        # First the data, then the digests of what it completes, then the mark that promises both.
        begin = self.offset
        self._delivery.put(data, begin)
        self._seal_chunks(data)
        self._delivery.journal.mark(self._part, self.offset - self._start)
        self._delivery.kept(len(data))
        self._frontier.offer(begin, data)
        self._frontier.wake()

    def _seal_chunks(self, data: memoryview) -> None:
        while data:
            piece = data[: CHUNK_BYTES - self.offset % CHUNK_BYTES]
            self._chunk.update(piece)
            self.offset += len(piece)
            if self.offset % CHUNK_BYTES == 0 or self.offset == self._delivery.file.size:
                self._delivery.journal.seal_chunk((self.offset - 1) // CHUNK_BYTES, self._chunk.digest())
                self._chunk = chunk_hasher()
            data = data[len(piece) :]

"""One large file while it arrives: parts from any connection and any source, proven as a whole.

What is common to a first delivery (`availability.transfer.first`) and a second one, which is compared with what the
first has left (`availability.transfer.comparison`): parts and who has claimed them, ETags, and how it ends.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol

from availability.digests import CHUNK_BYTES, Buffer
from availability.durable import write_whole
from availability.journal import Journal
from availability.ledger import Ledger
from availability.model import FileRecord

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

    def accept(self, part: int, start: int, tag: str | None, source: str = "") -> bool:
        """Say whether an answer that was asked for from `start` on continues what has arrived of a part.

        What an earlier run left of the same source under another tag is dropped, and with it every answer that was
        asked for from where the old bytes ended. Tags of different sources say nothing about each other.
        """
        with self._lock:
            provenance = self.journal.provenance
            known = provenance.tag(source)
            if known is None and tag is not None:
                provenance.adopt_tag(source, tag)
            elif tag is not None and tag != known:
                if not self._accepted and set(provenance.shares()) <= {source}:
                    self.kept(-self.journal.received_bytes)
                    self.journal.restart()
                    provenance.adopt_tag(source, tag)
                return False
            fits = start == self.missing(part)[0]
            self._accepted |= fits
            return fits

    @abstractmethod
    def begin(self) -> None:
        """Start judging; called when the first bytes are accepted, or when none are missing."""

    @abstractmethod
    def writer(self, part: int, source: str = "") -> PartWriter:
        """Return where the rest of a claimed part goes, which `source` sends."""

    @property
    def senders(self) -> frozenset[str]:
        """The sources that have sent something of it."""
        return frozenset(name for name in self.journal.provenance.shares() if name)

    @property
    def culprit(self) -> str | None:
        """The source that has sent all of it, and so is to blame if it is wrong; None when several have."""
        shares = self.journal.provenance.shares()
        return next(iter(shares)) if len(shares) == 1 else None

    @property
    def liars(self) -> frozenset[str]:
        """The sources that have been shown to have sent a wrong chunk; more than the whole digest tells it takes."""
        return frozenset()

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

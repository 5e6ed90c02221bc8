"""What is left to fetch, who is at it and what has failed: the one place where a transfer's threads meet.

It decides the order (a file that is begun before a new one, large before small, and helping with parts of a large one
last) and takes back what is proven, wrong or given up. It moves no byte itself.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Event

from availability.arrival import wrong_bytes
from availability.digests import CHUNK_BYTES
from availability.errors import SourceUnavailableError, TransientError
from availability.model import FileRecord
from availability.transfer.delivery import Delivery
from availability.transfer.judgement import Judgement
from availability.transfer.meter import Meter
from availability.transfer.staging import Staging

SMALL_FILE_BYTES = CHUNK_BYTES
"""A file up to this size is received into memory and proven before it touches the disk."""

_MOST_FAILURES_IN_A_ROW = 12


@dataclass(frozen=True, slots=True)
class SmallFile:
    """Fetch this file whole."""

    file: FileRecord


@dataclass(frozen=True, slots=True)
class LargeFile:
    """Open this file, so that its parts can be fetched."""

    file: FileRecord


@dataclass(frozen=True, slots=True)
class Part:
    """Fetch what is left of a part of an open file."""

    delivery: Delivery
    part: int

    @property
    def file(self) -> FileRecord:
        """The file it is a part of."""
        return self.delivery.file


Job = SmallFile | LargeFile | Part


class Agenda:
    """The work of one transfer; safe to call from any thread. It is the deliveries' `Watcher`."""

    def __init__(
        self, files: Iterable[FileRecord], staging: Staging, meter: Meter, judgement: Judgement | None = None
    ) -> None:
        """Plan a transfer.

        Args:
            files: what to fetch.
            staging: where to.
            meter: counts.
            judgement: told what became of each large file; None when there is nobody to tell.
        """
        self.stop = Event()
        self.finished = Event()
        self.fatal: BaseException | None = None
        self.failures: dict[str, TransientError] = {}
        self.dirty: SimpleQueue[Delivery | None] = SimpleQueue()
        self.proven: set[str] = set()
        self._staging = staging
        self._meter = meter
        self._judgement = judgement
        self._large: deque[FileRecord] = deque()
        self._small: deque[FileRecord] = deque()
        for file in sorted(files, key=lambda file: (-file.size, file.path)):
            (self._small if file.size <= SMALL_FILE_BYTES else self._large).append(file)
        # Open files and how many threads use each; one that is judged is closed when nobody does.
        self._open: dict[Delivery, int] = {}
        self._judged: set[Delivery] = set()
        # Judged wrong, and to be sent again by somebody else as soon as nobody uses them any more.
        self._again: set[Delivery] = set()
        self._busy = 0
        self._failures_in_a_row = 0
        self._changed = Condition()

    # --- workers ---

    def next_job(self, mine: Delivery | None) -> Job | None:
        """Return what a worker does next, waiting while others may still leave it something; None ends it.

        Args:
            mine: the file it was at; going on with it keeps the bytes in order, and so hashed while they are hot.
        """
        with self._changed:
            while not self.stop.is_set():
                job = self._pick(mine)
                if job is not None:
                    self._busy += 1
                    return job
                if not self._busy and not self._again and all(map(self._is_over, self._open)):
                    self.finished.set()
                    self._changed.notify_all()
                    break
                self._changed.wait()
            return None

    def open(self, job: LargeFile) -> Delivery:
        """Open a large file for everybody."""
        delivery = self._staging.open(job.file, self)
        with self._changed:
            self._open[delivery] = 0
        if not delivery.claimable():
            # An earlier run has received it all: it only has to be judged.
            delivery.begin()
        return delivery

    def done(self, job: Job, failure: TransientError | None = None) -> None:
        """Take a job back, finished or failed."""
        with self._changed:
            self._busy -= 1
            if failure is not None:
                self.failures[job.file.path] = failure
                self._count(failure)
            if isinstance(job, Part):
                job.delivery.release_part(job.part)
                if failure is not None:
                    job.delivery.given_up = True
                self._unpin(job.delivery)
            self._changed.notify_all()

    def progressed(self) -> None:
        """Note that bytes arrived, so the source is alive."""
        self._failures_in_a_row = 0

    def fail(self, error: BaseException) -> None:
        """End the whole transfer with this error."""
        with self._changed:
            self.fatal = self.fatal or error
            self.halt()

    def halt(self) -> None:
        """Let every thread come to its end."""
        with self._changed:
            self.stop.set()
            self.finished.set()
            self._changed.notify_all()

    def work_waits(self) -> bool:
        """Say whether there is something that nobody is at."""
        with self._changed:
            return bool(self._large or self._small or any(delivery.claimable() for delivery in self._open))

    def close(self) -> None:
        """Close what is still open; its bytes stay for the next run."""
        with self._changed:
            left, self._open = [*self._open], {}
        # Not under the lock: a follower that has just come to its end waits for it.
        for delivery in left:
            delivery.close()

    def _pick(self, mine: Delivery | None) -> Job | None:
        if mine is not None and mine in self._open and (part := mine.claim_part()) is not None:
            return self._pinned(mine, part)
        if self._large:
            return LargeFile(self._large.popleft())
        if self._small:
            return SmallFile(self._small.popleft())
        neediest = max(self._open, key=Delivery.claimable, default=None)
        if neediest is not None and (part := neediest.claim_part()) is not None:
            return self._pinned(neediest, part)
        return None

    def _pinned(self, delivery: Delivery, part: int) -> Part:
        self._open[delivery] += 1
        return Part(delivery, part)

    def _unpin(self, delivery: Delivery) -> None:
        # Whoever comes back after the end finds it closed.
        if delivery in self._open:
            self._open[delivery] -= 1
            self._close_if_over(delivery)

    def _is_over(self, delivery: Delivery) -> bool:
        return delivery.given_up or delivery in self._judged

    def _close_if_over(self, delivery: Delivery) -> None:
        if self._open.get(delivery) == 0 and delivery in self._judged:
            del self._open[delivery]
            self._judged.remove(delivery)
            delivery.close()
            if delivery in self._again:
                self._again.remove(delivery)
                self._large.append(delivery.file)

    def _count(self, failure: TransientError) -> None:
        self._failures_in_a_row += isinstance(failure, SourceUnavailableError)
        if self._failures_in_a_row >= _MOST_FAILURES_IN_A_ROW:
            self.fail(failure)

    # --- deliveries ---

    def on_settled(self, delivery: Delivery) -> None:
        """Keep a proven file, or ask for a second delivery of one that is not."""
        try:
            if delivery.proven:
                self._staging.promote(delivery)
                self.proven.add(delivery.file.digest)
                if self._judgement is not None:
                    self._judgement.proved(delivery)
            else:
                self._reject(delivery)
        except OSError as error:
            self.fail(error)
        with self._changed:
            self._judged.add(delivery)
            self._close_if_over(delivery)
            self._changed.notify_all()

    def on_kept(self, count: int) -> None:
        """Count bytes that bring the plan forward."""
        self._meter.kept(count)

    def on_dirty(self, delivery: Delivery) -> None:
        """Have a file written back in the background."""
        with self._changed:
            self._open[delivery] += 1
        self.dirty.put(delivery)

    def on_error(self, error: BaseException) -> None:
        """End the transfer: what has arrived cannot be read."""
        self.fail(error)

    def write_back(self) -> None:
        """Write back what is dirty, until told by None in `dirty` that nothing more comes."""
        while (delivery := self.dirty.get()) is not None:
            try:
                delivery.write_back()
            except OSError as error:
                # The kernel tells of a lost write once: the last fsync would not fail any more.
                self.fail(error)
            with self._changed:
                self._unpin(delivery)

    def _reject(self, delivery: Delivery) -> None:
        parts = self._judgement.disproved(delivery) if self._judgement is not None else None
        before = delivery.journal.received_bytes
        delivery.journal.receive_again(parts)
        self._meter.kept(delivery.journal.received_bytes - before)
        if parts is None:
            told = self._judgement.verdict(delivery) if self._judgement is not None else None
            self.failures[delivery.file.path] = told or wrong_bytes(delivery.file, delivery.got or "")
        else:
            with self._changed:
                self._again.add(delivery)

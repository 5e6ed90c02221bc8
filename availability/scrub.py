"""Reading many files and judging them, from the disk itself: what lies in memory says nothing about what rots.

How that is done without disturbing who is served is `availability.direct`'s knowledge. Here two threads share the work
segment by segment; a throttle, a time box and a stop hold for both.

Nothing is written here, and what a judgement means for the model is `availability.check`'s question.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from time import time
from typing import NamedTuple

from availability.digests import CHUNK_BYTES
from availability.direct import ALIGNMENT_BYTES, Content, aligned_buffer
from availability.findings import Finding
from availability.integrity import ChunkJudge, Judge, Other, finding_of_error, judge_of
from availability.ledger import Ledger
from availability.model import FileRecord
from availability.pace import Pace
from availability.record import Signature

_THREADS = 2
_SEGMENT_BYTES = 4 * CHUNK_BYTES
"""What is read at a time, and so the least by which a file larger than the time box comes forward."""
_MEMORY_PIECE_BYTES = CHUNK_BYTES  # copied and hashed while it is still in the processor's cache


@dataclass(frozen=True, slots=True)
class Subject:
    """A file to be read.

    Attributes:
        place: where its content lies, links followed.
        file: what it must be.
        ledger: what its chunks must be; without one it is read from end to end, or not at all.
        start: where to go on; the bytes before were read under `signature`.
        stop: how far to go now.
        signature: the file's signature when it was begun, None when it begins now.
        damaged: what was found wrong in the bytes before `start`.
    """

    place: Path
    file: FileRecord
    ledger: Ledger | None
    start: int = 0
    stop: int | None = None
    signature: Signature | None = None
    damaged: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a file told.

    Attributes:
        subject: which.
        began_at: seconds since the epoch.
        signature: what the file looked like when it was begun, None when it could not be opened.
        position: how far it is read and judged; the file's size when it is done.
        is_done: whether it is judged as a whole.
        has_changed: somebody wrote to it meanwhile, so the judgement is void.
        finding: what is wrong, as far as it is read; None when nothing is.
        ledger: its ledger, made anew where it had none; None when it is damaged and had none.
        damaged: what was found wrong up to `position`.
        bytes_read: now.
    """

    subject: Subject
    began_at: float
    signature: Signature | None
    position: int
    is_done: bool
    has_changed: bool
    finding: Finding | None
    ledger: Ledger | None
    damaged: tuple[tuple[int, int], ...]
    bytes_read: int


Others = Callable[[FileRecord, int], Iterable[Other]]
"""Returns the other files of the same model that have so many bytes."""


def scrub(
    subjects: Sequence[Subject], pace: Pace, *, others: Others, on_read: Callable[[int], None] = lambda _: None
) -> list[Reading]:
    """Read files in their order and judge them; return a reading of each that was begun.

    A file with a ledger stops where the time box does. One without has to be read in one go, so the time box waits for
    it; a stop does not.

    Args:
        subjects: which.
        pace: how.
        others: what a wrong content may be taken from.
        on_read: told how many bytes were read, again and again, in any thread; what it raises ends the reading.
    """
    jobs: list[_Job] = []
    segments = _segments(subjects, pace, jobs)
    turn, broken = Lock(), Event()

    def work() -> None:
        view = aligned_buffer(_SEGMENT_BYTES)
        while not (pace.is_over or broken.is_set()):
            with turn:
                segment = next(segments, None)
            if segment is None:
                return
            segment.job.read(segment, view, pace, on_read)

    def work_or_break() -> None:
        try:
            work()
        except BaseException:
            broken.set()
            raise

    try:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="scrub") as pool:
            workers = [pool.submit(work_or_break) for _ in range(_THREADS)]
            try:
                for worker in workers:
                    worker.result()
            except BaseException:
                broken.set()
                raise
        return [job.reading(others) for job in jobs]
    finally:
        for job in jobs:
            job.close()


class _Segment(NamedTuple):
    job: "_Job"
    start: int
    stop: int


def _segments(subjects: Iterable[Subject], pace: Pace, jobs: list["_Job"]) -> Iterator[_Segment]:
    """Open one file after the other, each when its turn has come, and yield what there is to read of it."""
    for subject in subjects:
        job = _Job(subject, pace)
        jobs.append(job)
        for start in range(subject.start, job.stop, job.segment_bytes):
            yield _Segment(job, start, min(job.stop, start + job.segment_bytes))


class _Job:
    """One file on its way to a judgement; `read` may be called by both threads, for different segments."""

    def __init__(self, subject: Subject, pace: Pace) -> None:
        self._subject = subject
        self._began_at = time()
        self._lock = Lock()
        self._left: set[int] = set()
        self._bytes_read = 0
        self._error: OSError | None = None
        self._content: Content | None = None
        self._judge: Judge | None = None
        self._before: Signature | None = None
        self._after: Signature | None = None
        self.stop = subject.start
        self.segment_bytes = _SEGMENT_BYTES
        try:
            self._open(subject, pace)
        except OSError as error:
            self._error = error

    def _open(self, subject: Subject, pace: Pace) -> None:
        self._content = Content(subject.place, from_memory=pace.from_memory)
        self._before = self._content.signature()
        self._judge = judge_of(subject.file, subject.ledger, self._before.size)
        self.stop = self._judge.wants
        if isinstance(self._judge, ChunkJudge):
            self.stop = min(self.stop, subject.stop or self.stop)
            self._judge.damaged += subject.damaged
        else:
            # In one go, and as far as it goes: it may be longer than it ought to be.
            self.segment_bytes = max(1, self.stop)
        self._left = set(range(subject.start, self.stop, self.segment_bytes))
        self._close_if_read()

    def read(self, segment: _Segment, view: memoryview, pace: Pace, on_read: Callable[[int], None]) -> None:
        """Read one segment and judge it, unless the scrub is stopped meanwhile."""
        piece = _MEMORY_PIECE_BYTES if pace.from_memory else _SEGMENT_BYTES
        try:
            for offset in range(segment.start, segment.stop, piece):
                if pace.stop.is_set():
                    return
                count = self._take(view, offset, min(piece, segment.stop - offset))
                on_read(count)
                pace.throttle.take(count, pace.stop)
        except _DiskError as failure:
            self._error = failure.error
        with self._lock:
            self._left.discard(segment.start)
            self._close_if_read()

    def _take(self, view: memoryview, offset: int, wanted: int) -> int:
        assert self._content is not None and self._judge is not None  # noqa: S101, PT018  else it has no segments
        aligned = -(-wanted // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        try:
            count = min(self._content.read(view[:aligned], offset), wanted)
        except OSError as error:
            raise _DiskError(error) from error
        for start in range(0, wanted, CHUNK_BYTES):
            chunk = view[min(start, count) : min(start + CHUNK_BYTES, count)]
            self._judge.take((offset + start) // CHUNK_BYTES, chunk)
        with self._lock:
            self._bytes_read += count
        return count

    def reading(self, others: Others) -> Reading:
        """Return what was found; both threads are done."""
        if self._error is not None:
            failure = finding_of_error(self._subject.file, self._error)
            return self._told(position=0, is_done=True, finding=failure, ledger=self._subject.ledger)
        assert self._judge is not None and self._before is not None  # noqa: S101, PT018  else there is an error
        position = min(self._left, default=self.stop)
        if position < self._judge.wants:
            # What is wrong so far is wrong, whatever the rest will show.
            found = self._judge.finding(()) if isinstance(self._judge, ChunkJudge) else None
            return self._told(position=position, is_done=False, finding=found, ledger=self._subject.ledger)
        finding = self._judge.finding(others(self._subject.file, self._before.size))
        return self._told(position=self._subject.file.size, is_done=True, finding=finding, ledger=self._judge.ledger)

    def close(self) -> None:
        """Let the file go."""
        if self._content is not None:
            self._after = self._content.signature()
            self._content.close()
            self._content = None

    def _close_if_read(self) -> None:
        if not self._left:
            self.close()

    def _told(self, *, position: int, is_done: bool, finding: Finding | None, ledger: Ledger | None) -> Reading:
        self.close()
        known = {self._before, self._after, self._subject.signature or self._before}
        return Reading(
            subject=self._subject,
            began_at=self._began_at,
            signature=self._before,
            position=position,
            is_done=is_done,
            has_changed=len(known) > 1,
            finding=finding,
            ledger=ledger,
            damaged=self._damaged_before(position),
            bytes_read=self._bytes_read,
        )

    def _damaged_before(self, position: int) -> tuple[tuple[int, int], ...]:
        if not isinstance(self._judge, ChunkJudge):
            return ()
        return tuple(sorted((start, stop) for start, stop in self._judge.damaged if stop <= position))


class _DiskError(Exception):
    """The disk did not give what was asked of it; apart from what a listener may raise."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error

"""One connection's work: fetch a small file or a part of a large one, and go on where the line broke.

A broken connection is replaced at once and continues with the next missing byte; after a few without progress the error
goes up to the one retry policy. What a server asks for (`Retry-After`) is waited for here, bounded and shown.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from time import monotonic
from typing import assert_never

from availability.arrival import check_whole
from availability.errors import (
    BudgetSpentError,
    DownloadIntegrityError,
    RateLimitedError,
    SourceUnavailableError,
    TransientError,
)
from availability.model import FileRecord, Listing
from availability.sources.body import SourcedBody
from availability.sources.chain import Chain
from availability.transfer.agenda import Agenda, Job, LargeFile, Part, SmallFile
from availability.transfer.delivery import Delivery
from availability.transfer.meter import Meter
from availability.transfer.staging import Staging
from availability.transfer.throttle import Limiter, read_within

PIECE_BYTES = 1024 * 1024
_MOST_RECONNECTS = 3
_LEAST_WAIT_SECONDS = 1.0
_PROGRESS_BYTES = 64 * 1024
"""What a connection must have brought for the next one to count as a first try."""


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """What a transfer may use.

    Attributes:
        connections: how many at once.
        stall_seconds: the time over which `min_bytes_per_second` is judged.
        min_bytes_per_second: a connection slower than this is replaced; 0 never.
        max_server_wait_seconds: the longest time in all that a server's `Retry-After` is waited for.
    """

    connections: int = 16
    stall_seconds: float = 30.0
    min_bytes_per_second: float = 0.0
    max_server_wait_seconds: float = 300.0


class ServerWait:
    """The wait that a server asked for: one for all connections to it, and bounded in all."""

    def __init__(self, budget_seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        """Allow `budget_seconds` of waiting in all."""
        self._budget = budget_seconds
        self._clock = clock
        self._lock = Lock()
        self._until = 0.0

    def grant(self, seconds: float) -> bool:
        """Let everybody wait this long from now on; False when that is more than the budget has left.

        A server that asks for less than a second, and goes on refusing, must not be asked without end.
        """
        seconds = max(seconds, _LEAST_WAIT_SECONDS)
        with self._lock:
            now = self._clock()
            # Not the difference of two times of day: it is rounded, and a second may be more than the last second left.
            longer = max(0.0, seconds - max(0.0, self._until - now))
            if longer > self._budget:
                return False
            self._budget -= longer
            self._until = max(self._until, now + seconds)
            return True

    def obey(self, error: RateLimitedError) -> bool:
        """Let everybody wait as long as a server has asked for; False when it did not say, or nobody may wait so long.

        Where it was not asked because its budget is known to be spent, nothing was refused: that wait is always worth
        it, and costs no patience.
        """
        if error.retry_after_seconds is None:
            return False
        if not isinstance(error, BudgetSpentError):
            return self.grant(error.retry_after_seconds)
        with self._lock:
            self._until = max(self._until, self._clock() + error.retry_after_seconds)
        return True

    @property
    def seconds_left(self) -> float:
        """How long until the server may be asked again."""
        return max(0.0, self._until - self._clock())

    def pass_through(self, stop: Event) -> None:
        """Wait until the server may be asked again, or until `stop` is set."""
        stop.wait(self.seconds_left)


@dataclass(frozen=True, slots=True)
class Supplies:
    """What the workers of a transfer share."""

    sources: Chain
    listing: Listing
    staging: Staging
    limits: TransferLimits
    throttle: Limiter
    meter: Meter
    server_wait: ServerWait


class Worker:
    """Fetches one thing after the other over one connection at a time.

    Attributes:
        is_asking: waits for an answer's first byte; once the agenda has stopped it writes nothing afterwards.
    """

    def __init__(self, agenda: Agenda, supplies: Supplies) -> None:
        self._agenda = agenda
        self._supplies = supplies
        self._stop = agenda.stop
        self._watched_bytes = 0
        self._watched_seconds = 0.0
        self._body: SourcedBody | None = None
        self.is_asking = False

    def run(self) -> None:
        """Work until nothing is left."""
        mine: Delivery | None = None
        while (job := self._agenda.next_job(mine)) is not None:
            failure: TransientError | None = None
            try:
                mine = self._do(job)
            except TransientError as error:
                failure = self._supplies.sources.verdict(self._supplies.listing, job.file, error)
            except BaseException as error:  # noqa: BLE001  carried to the thread that waits for the transfer
                self._agenda.fail(error)
            self._agenda.done(job, failure)

    def abort(self) -> None:
        """Break the connection from another thread, so that a worker that waits for bytes comes to its end."""
        body = self._body
        if body is not None:
            body.abort()

    def _do(self, job: Job) -> Delivery | None:
        match job:
            case SmallFile(file):
                # It is received into memory and begins anew: what a broken connection brought is no progress.
                self._persist(file, lambda: self._fetch_small(file), lambda: 0)
                return None
            case LargeFile():
                return self._agenda.open(job)
            case Part(delivery, part):
                self._persist(job.file, lambda: self._fetch_part(delivery, part), lambda: delivery.missing(part)[0])
                return delivery
            case _:
                assert_never(job)

    def _persist(self, file: FileRecord, attempt: Callable[[], None], position: Callable[[], int]) -> None:
        """Repeat an attempt as long as it brings something that stays, and a few times when it does not."""
        reconnects = 0
        while not self._stop.is_set():
            before = position()
            self._supplies.server_wait.pass_through(self._stop)
            try:
                return attempt()
            except RateLimitedError as error:
                self._wait_for_server(error)
            except SourceUnavailableError:
                reconnects = 0 if position() - before >= _PROGRESS_BYTES else reconnects + 1
                if reconnects > _MOST_RECONNECTS:
                    raise
            except DownloadIntegrityError:
                # Whoever sent that is not asked again as long as somebody else can be.
                if not self._supplies.sources.has_another(self._supplies.listing, file):
                    raise
        return None

    def _wait_for_server(self, error: RateLimitedError) -> None:
        if not self._supplies.server_wait.obey(error):
            raise error
        self._supplies.meter.waiting = error.message
        self._supplies.server_wait.pass_through(self._stop)
        self._supplies.meter.waiting = None

    def _fetch_small(self, file: FileRecord) -> None:
        content = bytearray()
        with self._opened(file, 0, file.size) as body:
            while len(content) < file.size and not self._stop.is_set():
                content += self._read(body, file.size - len(content))
            if self._stop.is_set():
                return
            check_whole(file, content)
        self._supplies.staging.put(file, content)
        self._supplies.sources.proved(file, self._supplies.listing.model, {body.source: 1})
        self._agenda.proven.add(file.digest)
        self._supplies.meter.kept(file.size)

    def _fetch_part(self, delivery: Delivery, part: int) -> None:
        start, stop = delivery.missing(part)
        if start == stop:
            return
        with self._opened(delivery.file, start, stop) as body:
            if self._stop.is_set():
                return
            if not delivery.accept(part, start, body.tag, body.source):
                raise SourceUnavailableError(
                    f"{body.source} changed {delivery.file.path} while it was being fetched", kind="malformed"
                )
            delivery.begin()
            if (body.start, body.stop) == (start, stop):
                self._receive(body, delivery, part, stop)
                return
            with delivery.whole() as first:
                if first:
                    self._receive_whole(body, delivery, part)

    def _receive(self, body: SourcedBody, delivery: Delivery, part: int, stop: int) -> None:
        writer = delivery.writer(part, body.source)
        while writer.offset < stop and not self._is_over(delivery):
            data = self._read(body, stop - writer.offset)
            writer.write(memoryview(data))

    def _receive_whole(self, body: SourcedBody, delivery: Delivery, mine: int) -> None:
        """Take from a whole file what is missing: the source ignored that a part was asked for."""
        position = 0
        for part in range(len(delivery.journal.marks)):
            end = delivery.missing(part)[1]
            claimed = delivery.claim_from_whole(part)
            try:
                writer = delivery.writer(part, body.source) if claimed or part == mine else None
                while position < end and not self._is_over(delivery):
                    data = self._read(body, end - position)
                    position += len(data)
                    if writer is not None and position > writer.offset:
                        missing = memoryview(data)[max(0, len(data) - (position - writer.offset)) :]
                        writer.write(missing)
            finally:
                if claimed:
                    delivery.release_part(part)

    @contextmanager
    def _opened(self, file: FileRecord, start: int, stop: int) -> Iterator[SourcedBody]:
        """Ask for bytes; while they come, `abort` reaches the connection."""
        self.is_asking = True
        try:
            body = self._supplies.sources.open(self._supplies.listing, file, start, stop)
        finally:
            self.is_asking = False
        with body:
            self._body = body
            try:
                yield body
            finally:
                self._body = None

    def _read(self, body: SourcedBody, most: int) -> bytes:
        """Receive the next bytes, within the speed limit, and count them; none when all of it ends."""
        waited = body.waited
        data = read_within(self._supplies.throttle, body, min(PIECE_BYTES, most), self._stop)
        if self._stop.is_set() and not data:
            return b""
        self._watch(body, len(data), body.waited - waited)
        self._supplies.meter.received(body.source, len(data))
        self._agenda.progressed()
        return data

    def _watch(self, body: SourcedBody, count: int, seconds: float) -> None:
        """Give up a connection that has been too slow for too long; waiting for our own limit does not count."""
        limits = self._supplies.limits
        self._watched_bytes += count
        self._watched_seconds += seconds
        if self._watched_seconds < limits.stall_seconds:
            return
        speed = self._watched_bytes / self._watched_seconds
        self._watched_bytes, self._watched_seconds = 0, 0.0
        if speed < limits.min_bytes_per_second:
            raise SourceUnavailableError(
                f"{body.source} sent only {speed / 1024:.1f} KiB/s over {limits.stall_seconds:.0f} s, "
                f"expected at least {limits.min_bytes_per_second / 1024:.1f}",
                kind="slow",
            )

    def _is_over(self, delivery: Delivery) -> bool:
        return self._stop.is_set() or delivery.is_over

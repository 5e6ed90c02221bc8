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

from availability.errors import RateLimitedError, SourceUnavailableError, TransientError
from availability.model import FileRecord, Listing
from availability.sources.base import Body, Source
from availability.transfer.agenda import Agenda, Job, LargeFile, Part, SmallFile
from availability.transfer.delivery import Delivery
from availability.transfer.meter import Meter
from availability.transfer.small import check_whole
from availability.transfer.staging import Staging
from availability.transfer.throttle import Throttle

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
            longer = max(0.0, now + seconds - max(self._until, now))
            if longer > self._budget:
                return False
            self._budget -= longer
            self._until = max(self._until, now + seconds)
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

    source: Source
    listing: Listing
    staging: Staging
    limits: TransferLimits
    throttle: Throttle
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
        self._brought = 0
        self._watched_bytes = 0
        self._watched_seconds = 0.0
        self._body: Body | None = None
        self.is_asking = False

    def run(self) -> None:
        """Work until nothing is left."""
        mine: Delivery | None = None
        while (job := self._agenda.next_job(mine)) is not None:
            failure: TransientError | None = None
            try:
                mine = self._do(job)
            except TransientError as error:
                failure = error
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
                self._persist(lambda: self._fetch_small(file))
                return None
            case LargeFile():
                return self._agenda.open(job)
            case Part(delivery, part):
                self._persist(lambda: self._fetch_part(delivery, part))
                return delivery
            case _:
                assert_never(job)

    def _persist(self, attempt: Callable[[], None]) -> None:
        """Repeat an attempt as long as it brings something, and a few times when it does not."""
        reconnects = 0
        while not self._stop.is_set():
            self._brought = 0
            self._supplies.server_wait.pass_through(self._stop)
            try:
                return attempt()
            except RateLimitedError as error:
                self._wait_for_server(error)
            except SourceUnavailableError:
                reconnects = 0 if self._brought >= _PROGRESS_BYTES else reconnects + 1
                if reconnects > _MOST_RECONNECTS:
                    raise
        return None

    def _wait_for_server(self, error: RateLimitedError) -> None:
        if error.retry_after_seconds is None or not self._supplies.server_wait.grant(error.retry_after_seconds):
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
        self._agenda.proven.add(file.digest)
        self._supplies.meter.kept(file.size)

    def _fetch_part(self, delivery: Delivery, part: int) -> None:
        start, stop = delivery.missing(part)
        if start == stop:
            return
        with self._opened(delivery.file, start, stop) as body:
            if self._stop.is_set():
                return
            if not delivery.accept(part, start, body.tag):
                raise SourceUnavailableError(
                    f"{self._supplies.source.name} changed {delivery.file.path} while it was being fetched"
                )
            delivery.begin()
            if (body.start, body.stop) == (start, stop):
                self._receive(body, delivery, part, stop)
                return
            with delivery.whole() as first:
                if first:
                    self._receive_whole(body, delivery, part)

    def _receive(self, body: Body, delivery: Delivery, part: int, stop: int) -> None:
        writer = delivery.writer(part)
        while writer.offset < stop and not self._is_over(delivery):
            data = self._read(body, stop - writer.offset)
            writer.write(memoryview(data))

    def _receive_whole(self, body: Body, delivery: Delivery, mine: int) -> None:
        """Take from a whole file what is missing: the source ignored that a part was asked for."""
        position = 0
        for part in range(len(delivery.journal.marks)):
            end = delivery.missing(part)[1]
            claimed = delivery.claim_from_whole(part)
            try:
                writer = delivery.writer(part) if claimed or part == mine else None
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
    def _opened(self, file: FileRecord, start: int, stop: int) -> Iterator[Body]:
        """Ask for bytes; while they come, `abort` reaches the connection."""
        self.is_asking = True
        try:
            body = self._supplies.source.open(self._supplies.listing, file, start, stop)
        finally:
            self.is_asking = False
        self._body = body
        try:
            yield body
        finally:
            self._body = None
            body.close()

    def _read(self, body: Body, most: int) -> bytes:
        """Receive the next bytes, within the speed limit, and count them."""
        began = monotonic()
        data = body.read(min(self._supplies.throttle.piece_bytes(PIECE_BYTES), most))
        if not data:
            raise SourceUnavailableError(f"{self._supplies.source.name} ended a file before its last byte")
        self._watch(len(data), monotonic() - began)
        self._brought += len(data)
        self._supplies.meter.received(self._supplies.source.name, len(data))
        self._agenda.progressed()
        self._supplies.throttle.take(len(data), self._stop)
        return data

    def _watch(self, count: int, seconds: float) -> None:
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
                f"{self._supplies.source.name} sent only {speed / 1024:.1f} KiB/s over {limits.stall_seconds:.0f} s, "
                f"expected at least {limits.min_bytes_per_second / 1024:.1f}"
            )

    def _is_over(self, delivery: Delivery) -> bool:
        return self._stop.is_set() or delivery.is_over

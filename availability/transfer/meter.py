"""Counting what a transfer does, while many threads do it."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

_SPEED_WINDOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Attributes:
        phase: `queued`, `downloading`, `verifying`, `paused`, `completed`, `failed` or `cancelled`.
        bytes_total: of all files of the plan.
        bytes_done: of it, what is in place or in staging.
        bytes_fetched: received over the network, wasted bytes included.
        bytes_per_second: over the last five seconds, None before anything moved.
        seconds_left: at that speed, None when unknown.
        retries: attempts after the first.
        waiting: why nothing moves just now, None while it does.
    """

    phase: str
    bytes_total: int
    bytes_done: int
    bytes_fetched: int = 0
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    retries: int = 0
    waiting: str | None = None

    @property
    def bytes_left(self) -> int:
        """What is still to come, 0 while there is no plan yet."""
        return max(0, self.bytes_total - self.bytes_done)

    @property
    def percent(self) -> float:
        """How much of the plan is done, 0 to 100; 0 while there is no plan yet."""
        if not self.bytes_total:
            return 100.0 if self.phase == "completed" else 0.0
        return 100.0 * self.bytes_done / self.bytes_total


class Meter:
    """The running figures of one model's road; safe to call from any thread."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._samples: list[tuple[float, int]] = []
        self.phase = "queued"
        self.bytes_total = 0
        self.bytes_needed: int | None = None
        self.retries = 0
        self.waiting: str | None = None
        self._done = 0
        self._fetched: dict[str, int] = defaultdict(int)
        self._step_seconds: dict[str, float] = defaultdict(float)

    def plan(self, *, bytes_total: int, bytes_done: int) -> None:
        """Set the figures from which the transfer starts."""
        with self._lock:
            self.bytes_total, self._done = bytes_total, bytes_done

    def received(self, source: str, count: int) -> None:
        """Count bytes that came over the network."""
        with self._lock:
            self._fetched[source] += count

    def kept(self, count: int) -> None:
        """Count bytes that bring the plan forward; negative for those that turned out to be of no use."""
        with self._lock:
            self._done += count

    @property
    def bytes_fetched(self) -> int:
        """Bytes received over the network so far."""
        with self._lock:
            return sum(self._fetched.values())

    @property
    def bytes_by_source(self) -> dict[str, int]:
        """The same, for each source."""
        with self._lock:
            return dict(self._fetched)

    def took(self, step: str, seconds: float) -> None:
        """Count the time of a step; one that is taken again adds to it."""
        with self._lock:
            self._step_seconds[step] += seconds

    @property
    def step_seconds(self) -> dict[str, float]:
        """How long each step took, in the order in which they were first taken."""
        with self._lock:
            return dict(self._step_seconds)

    def progress(self) -> Progress:
        """Return the figures now."""
        with self._lock:
            fetched = sum(self._fetched.values())
            speed = self._speed(fetched)
            left = self.bytes_total - self._done
            return Progress(
                phase=self.phase,
                bytes_total=self.bytes_total,
                bytes_done=self._done,
                bytes_fetched=fetched,
                bytes_per_second=speed,
                seconds_left=max(0, left) / speed if speed else None,
                retries=self.retries,
                waiting=self.waiting,
            )

    def _speed(self, fetched: int) -> float | None:
        now = self._clock()
        self._samples.append((now, fetched))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _SPEED_WINDOW_SECONDS:
            self._samples.pop(0)
        (since, before) = self._samples[0]
        return (fetched - before) / (now - since) if fetched and now > since else None

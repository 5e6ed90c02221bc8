"""The speed limit that all connections of a process share."""

from collections.abc import Callable
from threading import Event, Lock
from time import monotonic


class Throttle:
    """Lets bytes pass at a rate, by making whoever takes them wait for their turn.

    A token bucket without a store: nothing is saved up while nobody takes, so the rate is never exceeded afterwards.
    """

    def __init__(self, bytes_per_second: float, *, clock: Callable[[], float] = monotonic) -> None:
        """Limit to `bytes_per_second`; 0 is no limit."""
        self._rate = bytes_per_second
        self._clock = clock
        self._lock = Lock()
        self._free_at = clock()

    def piece_bytes(self, most: int) -> int:
        """Return how much to take at a time so that the flow stays even: a twentieth of a second of it."""
        return max(1024, min(most, int(self._rate / 20))) if self._rate else most

    def take(self, count: int, stop: Event) -> None:
        """Wait until `count` bytes may pass, or until `stop` is set."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            until = self._free_at = max(now, self._free_at) + count / self._rate
        stop.wait(until - now)

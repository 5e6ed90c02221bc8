"""The speed limit that all processes of a state folder keep together.

One number is shared: the moment until which the line is booked. Whoever wants to receive some bytes books the time
that they take behind everybody else's, and waits for it. So the sum keeps the limit whoever comes and goes, nobody is
given a share that he does not use, and a process that dies takes along at most the twentieth of a second it had booked.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock
from time import time

from availability.shared import SharedNumbers
from availability.transfer.throttle import Wait, no_wait, piece_bytes

_MOST_AHEAD_SECONDS = 60.0
"""More than all connections of a fleet book; beyond it somebody's clock was wrong."""


class SharedThrottle:
    """A `Limiter` whose limit all processes keep together; each is told the limit, and may be told another at any time.

    The wall clock is what machines have in common. The sum never depends on it; one whose clock is behind waits longer
    than its turn by as much, so machines should keep the same time, as they do for most things.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time) -> None:
        """Share the file at `path`; without a limit it is never touched."""
        self._booked_until = SharedNumbers(path, 1)
        self._clock = clock
        self._lock = Lock()
        self._rate = 0.0
        self._credit = 0

    @property
    def bytes_per_second(self) -> float:
        """The limit in force; 0 is none."""
        return self._rate

    def limit_to(self, bytes_per_second: float) -> None:
        """Change the limit of this process; those who wait have booked by the old one. 0 is no limit."""
        self._rate = bytes_per_second

    def piece_bytes(self, most: int) -> int:
        """Return how much to take at a time so that the flow stays even: a twentieth of a second of it."""
        return piece_bytes(most, self._rate)

    def book(self, count: int) -> Wait:
        """Take a place in the order for `count` bytes, and return how to wait for it."""
        rate = self._rate
        if not rate or not (left := self._pay(count)):
            return no_wait
        until = self._book(left / rate)
        return lambda stop: _wait_until(until, self._clock, stop)

    def give_back(self, count: int) -> None:
        """Return leave for bytes that did not come: the next of this process gets it."""
        if self._rate and count:
            with self._lock:
                self._credit += count

    def _pay(self, count: int) -> int:
        """Take from what was given back; return what is still needed."""
        with self._lock:
            paid = min(self._credit, count)
            self._credit -= paid
            return count - paid

    def _book(self, seconds: float) -> float:
        """Book the line for so long, and return until when it is booked then."""
        with self._booked_until.held() as numbers:
            now = self._clock()
            begin = numbers[0] if now < numbers[0] < now + _MOST_AHEAD_SECONDS else now
            numbers[0] = begin + seconds
            return numbers[0]


def _wait_until(moment: float, clock: Callable[[], float], stop: Event) -> None:
    # A clock that is set back must not make anybody wait for it.
    stop.wait(min(moment - clock(), _MOST_AHEAD_SECONDS))

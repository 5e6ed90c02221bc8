"""Speed limits that connections share: each takes leave for some bytes before it receives them.

Leave is taken first, so that no connection ever has more than it may; what was taken and did not come is given back.
"""

from collections.abc import Callable, Iterable
from functools import partial
from threading import Event, Lock
from time import monotonic
from typing import Protocol

LEAST_PIECE_BYTES = 1024
_PIECES_PER_SECOND = 20
_NO_WAIT_SECONDS = 1e-6
_LOOK_SECONDS = 0.25
"""How soon somebody who waits notices that the limit has changed."""


Wait = Callable[[Event], None]
"""Waits until the bytes that were booked may pass, or until the event is set."""


class Limiter(Protocol):
    """Whatever bytes need leave from."""

    def piece_bytes(self, most: int) -> int:
        """Return how much to take at a time so that the flow stays even, at most `most`."""

    def book(self, count: int) -> Wait:
        """Take a place in the order for `count` bytes, and return how to wait for it."""

    def give_back(self, count: int) -> None:
        """Return leave for bytes that did not come."""


class Readable(Protocol):
    """Whatever bytes come from."""

    def read(self, most: int) -> bytes:
        """Return the next bytes as soon as there are any, at most `most`."""


def read_within(limiter: Limiter, body: Readable, most: int, stop: Event) -> bytes:
    """Take leave for some bytes and receive them; what does not come is given back.

    Args:
        limiter: what leave is taken of.
        body: where they come from.
        most: how many at most.
        stop: calls away from the wait for leave; then nothing is received, and nothing is returned.
    """
    leave = limiter.piece_bytes(most)
    limiter.book(leave)(stop)
    if stop.is_set():
        # Called away, so it has no leave; nobody asks for more.
        return b""
    data = b""
    try:
        data = body.read(leave)
    finally:
        limiter.give_back(leave - len(data))
    return data


def piece_bytes(most: int, bytes_per_second: float) -> int:
    """Return a twentieth of a second of a rate, at least 1 KiB and at most `most`; 0 is no limit."""
    if not bytes_per_second:
        return most
    return min(most, max(LEAST_PIECE_BYTES, int(bytes_per_second / _PIECES_PER_SECOND)))


class Throttle:
    """Lets bytes pass at a rate that may change at any time, by making whoever takes them wait for their turn.

    A token bucket without a store: nothing is saved up while nobody takes, so the rate is never exceeded afterwards.
    """

    def __init__(self, bytes_per_second: float = 0.0, *, clock: Callable[[], float] = monotonic) -> None:
        """Limit to `bytes_per_second`; 0 is no limit."""
        self._rate = bytes_per_second
        self._clock = clock
        self._lock = Lock()
        # Bytes since the beginning: what was asked for, and what could pass until `_at`.
        self._booked = 0.0
        self._passed = 0.0
        self._at = clock()

    @property
    def bytes_per_second(self) -> float:
        """The limit in force; 0 is none."""
        return self._rate

    def limit_to(self, bytes_per_second: float) -> None:
        """Change the limit, for those who wait now as well; 0 is no limit."""
        if bytes_per_second != self._rate:
            with self._lock:
                self._go_on()
                self._rate = bytes_per_second

    def piece_bytes(self, most: int) -> int:
        """Return how much to take at a time so that the flow stays even: a twentieth of a second of it."""
        return piece_bytes(most, self._rate)

    def book(self, count: int) -> Wait:
        """Take a place in the order for `count` bytes, and return how to wait for it."""
        if not self._rate:
            return no_wait
        with self._lock:
            self._go_on()
            self._booked += count
            return partial(self._wait_for, self._booked)

    def take(self, count: int, stop: Event) -> None:
        """Wait until `count` bytes may pass, or until `stop` is set."""
        self.book(count)(stop)

    def _wait_for(self, mine: float, stop: Event) -> None:
        while (seconds := self._seconds_until(mine)) > _NO_WAIT_SECONDS and not stop.wait(min(seconds, _LOOK_SECONDS)):
            pass

    def give_back(self, count: int) -> None:
        """Return leave for bytes that did not come: whoever takes next gets it."""
        if self._rate and count:
            with self._lock:
                self._booked -= count

    def _seconds_until(self, mine: float) -> float:
        with self._lock:
            self._go_on()
            return (mine - self._passed) / self._rate if self._rate else 0.0

    def _go_on(self) -> None:
        now = self._clock()
        if self._passed < self._booked:
            through = self._passed + self._rate * (now - self._at) if self._rate else self._booked
            self._passed = min(self._booked, through)
        self._at = now


class Limits:
    """Several limits at once: what passes needs leave from each."""

    def __init__(self, *limiters: Limiter) -> None:
        self._limiters = limiters

    def piece_bytes(self, most: int) -> int:
        """Return how much to take at a time so that the flow stays even."""
        for limiter in self._limiters:
            most = limiter.piece_bytes(most)
        return most

    def book(self, count: int) -> Wait:
        """Take a place in every order first: the waits then pass at one and the same time."""
        waits = [wait for limiter in self._limiters if (wait := limiter.book(count)) is not no_wait]
        return partial(_wait_for_all, waits) if waits else no_wait

    def give_back(self, count: int) -> None:
        """Return leave for bytes that did not come."""
        for limiter in self._limiters:
            limiter.give_back(count)


def no_wait(_stop: Event) -> None:
    """Wait for nothing: there is no limit."""


def _wait_for_all(waits: Iterable[Wait], stop: Event) -> None:
    for wait in waits:
        wait(stop)

"""The law of the throttle: over any stretch of time no more passes than the rate allows, and hardly less."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.transfer.throttle import Throttle
from tests.builders import KIB, MIB, no_deadline

RATE = 1000.0


class Time(Event):
    """A clock that goes on exactly as long as somebody waits; it is the event that they wait for as well."""

    def __init__(self, start=100.0):
        super().__init__()
        self.now = start
        self.waits = []
        self._guard = Lock()

    def __call__(self):
        return self.now

    def wait(self, timeout=None):
        with self._guard:
            self.waits.append(timeout)
            self.now += max(0.0, timeout)
        return False


@no_deadline
@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 10)), min_size=1, max_size=30))
def test_nothing_is_saved_up_and_nothing_is_lost(steps):
    time = Time()
    throttle = Throttle(RATE, clock=time)
    for count, pause in steps:
        time.now += pause
        begun = time.now
        throttle.take(count, time)
        # Whoever is alone waits for his own bytes, however long it was quiet before.
        assert time.now - begun == pytest.approx(count / RATE)


@no_deadline
@given(st.lists(st.integers(1, 5000), min_size=2, max_size=30))
def test_those_who_come_at_once_wait_for_their_turn(counts):
    time = Time()
    throttle = Throttle(RATE, clock=time)
    told = []
    stop = Event()
    stop.wait = told.append  # everybody comes before anybody has waited
    for count in counts:
        throttle.take(count, stop)
    assert told == [pytest.approx(sum(counts[: index + 1]) / RATE) for index in range(len(counts))]


def test_threads_that_share_it_get_the_rate_together():
    time = Time()
    throttle = Throttle(RATE, clock=time)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: throttle.take(50, time), range(100)))
    assert time.now - 100.0 >= 100 * 50 / RATE - 1e-6


def test_no_limit_never_waits():
    time = Time()
    throttle = Throttle(0, clock=time)
    throttle.take(10**12, time)
    assert time.waits == []
    assert throttle.piece_bytes(MIB) == MIB


def test_a_stop_ends_the_wait():
    stop = Event()
    stop.set()
    Throttle(1.0).take(10**9, stop)


@pytest.mark.parametrize(
    ("rate", "piece"),
    [(1.0, KIB), (20 * KIB, KIB), (200 * KIB, 10 * KIB), (20 * MIB, MIB), (10**12, MIB)],
)
def test_what_is_taken_at_a_time_is_a_twentieth_of_a_second_of_it(rate, piece):
    assert Throttle(rate).piece_bytes(MIB) == piece

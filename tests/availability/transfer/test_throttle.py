"""The law of the throttle: over any stretch of time no more passes than the rate allows, and hardly less."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.transfer.throttle import Limits, Throttle
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
def test_whoever_comes_waits_behind_all_who_came_before(counts):
    time = Time()
    throttle = Throttle(RATE, clock=time)
    gone = Event()
    gone.set()
    for count in counts:
        throttle.take(count, gone)  # books its turn, and is told to stop waiting for it
    throttle.take(1, time)
    assert time.now - 100.0 == pytest.approx((sum(counts) + 1) / RATE)


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


def test_leave_for_bytes_that_did_not_come_is_the_next_ones():
    time = Time()
    throttle = Throttle(RATE, clock=time)
    for _ in range(10):
        throttle.take(1000, time)
        throttle.give_back(900)
    # The first waits for all he asks for, since nobody knows yet how little comes.
    assert time.now - 100.0 == pytest.approx(1.0 + 9 * 100 / RATE)


def test_a_limit_that_changes_holds_at_once_for_those_who_wait():
    time = Time()
    throttle = Throttle(RATE, clock=time)

    class Change(Time):
        """Lifts the limit while somebody waits."""

        def wait(self, timeout=None):
            time.wait(timeout)
            throttle.limit_to(10 * RATE)
            return False

    throttle.take(10_000, Change())
    assert time.now - 100.0 == pytest.approx(0.25 + (10_000 - 250) / (10 * RATE))
    throttle.limit_to(0)
    assert throttle.bytes_per_second == 0
    throttle.take(10**12, time)
    throttle.limit_to(RATE)
    before = time.now
    throttle.take(1000, time)
    assert time.now - before == pytest.approx(1.0), "what passed without a limit is not paid for afterwards"


@pytest.mark.parametrize("most", [1, 500, KIB, MIB])
def test_of_several_limits_the_smallest_tells_how_much_is_taken_at_a_time(most):
    limits = Limits(Throttle(0), Throttle(20 * KIB), Throttle(20 * MIB))
    assert limits.piece_bytes(most) == min(most, KIB)


def test_what_passes_several_limits_has_leave_from_each():
    time = Time()
    limits = Limits(Throttle(RATE, clock=time), Throttle(0, clock=time), Throttle(RATE / 4, clock=time))
    limits.book(1000)(time)
    assert time.now - 100.0 == pytest.approx(4.0), "one wait, not one after the other"
    limits.give_back(1000)
    limits.book(1000)(time)
    assert time.now - 100.0 == pytest.approx(4.0)

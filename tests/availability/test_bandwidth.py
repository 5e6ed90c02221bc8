"""The law of the shared limit: all together keep it, whoever comes and goes, and nobody's clock can break it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.bandwidth import SharedThrottle
from tests.builders import KIB, MIB, no_deadline

RATE = 1000.0


class Clock:
    """Goes on only when somebody waits for it, and then as far as he has to wait."""

    def __init__(self):
        self.now = 1_000_000.0
        self.skew = 0.0

    def __call__(self):
        return self.now + self.skew

    def wait(self, seconds):
        self.now += max(0.0, seconds)


@pytest.fixture
def clock():
    return Clock()


def throttles(folder, clock, count=3, rate=RATE):
    made = [SharedThrottle(folder / "bandwidth", clock=clock) for _ in range(count)]
    for throttle in made:
        throttle.limit_to(rate)
    return made


@no_deadline
@given(takes=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2000)), min_size=1, max_size=30))
def test_all_together_wait_as_long_as_their_bytes_take(tmp_path_factory, takes):
    clock = Clock()
    processes = throttles(tmp_path_factory.mktemp("state"), clock)
    for who, count in takes:
        processes[who].book(count)(clock)
    assert clock.now - 1_000_000.0 == pytest.approx(sum(count for _, count in takes) / RATE)


def test_those_who_book_before_they_wait_wait_for_each_other(tmp_path, clock):
    first, second, _ = throttles(tmp_path, clock)
    waits = [first.book(1000), second.book(500), first.book(250)]
    waits[2](clock)
    assert clock.now - 1_000_000.0 == pytest.approx(1.75)


def test_nothing_is_saved_up_while_nobody_takes(tmp_path, clock):
    first, second, _ = throttles(tmp_path, clock)
    first.book(1000)(clock)
    clock.now += 3600
    before = clock.now
    second.book(1000)(clock)
    assert clock.now - before == pytest.approx(1.0)


def test_leave_for_bytes_that_did_not_come_is_the_next_ones(tmp_path, clock):
    first = throttles(tmp_path, clock)[0]
    for _ in range(10):
        first.book(1000)(clock)
        first.give_back(900)
    assert clock.now - 1_000_000.0 == pytest.approx(1.0 + 9 * 0.1)


def test_without_a_limit_nothing_is_written_and_nobody_waits(tmp_path, clock):
    (free,) = throttles(tmp_path, clock, count=1, rate=0)
    free.book(10**12)(clock)
    free.give_back(10**12)
    assert clock.now == 1_000_000.0
    assert [*tmp_path.iterdir()] == []
    assert free.piece_bytes(MIB) == MIB
    free.limit_to(20 * KIB)
    assert free.piece_bytes(MIB) == KIB


@pytest.mark.parametrize("skew", [-86_400, 86_400], ids=["behind", "ahead"])
def test_a_clock_that_was_wrong_stops_nobody_for_long(tmp_path, clock, skew):
    first, second, _ = throttles(tmp_path, clock)
    clock.skew = skew
    first.book(1000)
    clock.skew = 0
    before = clock.now
    second.book(1000)(clock)
    assert clock.now - before == pytest.approx(1.0)


def test_a_limit_that_changes_holds_for_what_is_booked_from_then_on(tmp_path, clock):
    first = throttles(tmp_path, clock)[0]
    first.book(1000)(clock)
    first.limit_to(10 * RATE)
    before = clock.now
    first.book(1000)(clock)
    assert clock.now - before == pytest.approx(0.1)

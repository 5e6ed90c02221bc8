"""The law of the meter: the figures add up whoever counts, and what is not known is not made up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.transfer.meter import Meter, Progress
from tests.builders import Clock, no_deadline


@pytest.fixture
def clock():
    return Clock(50.0)


@pytest.fixture
def meter(clock):
    return Meter(clock=clock)


def test_before_anything_happens_nothing_is_claimed(meter):
    assert meter.progress() == Progress("queued", 0, 0)


def test_a_plan_says_where_it_begins(meter):
    meter.plan(bytes_total=100, bytes_done=30)
    assert (meter.progress().bytes_total, meter.progress().bytes_done, meter.progress().percent) == (100, 30, 30.0)


def test_what_is_received_and_what_is_kept_are_counted_apart(meter):
    meter.plan(bytes_total=100, bytes_done=0)
    meter.received("hub", 60)
    meter.received("mirror", 20)
    meter.kept(50)
    meter.kept(-10)
    assert meter.progress().bytes_done == 40
    assert meter.bytes_fetched == meter.progress().bytes_fetched == 80
    assert meter.bytes_by_source == {"hub": 60, "mirror": 20}


def test_counting_loses_nothing_between_threads(meter):
    def count(_):
        for _ in range(500):
            meter.received("hub", 3)
            meter.kept(2)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert (meter.bytes_fetched, meter.progress().bytes_done) == (12_000, 8_000)


@pytest.mark.parametrize(
    ("phase", "total", "done", "percent"),
    [("queued", 0, 0, 0.0), ("completed", 0, 0, 100.0), ("downloading", 8, 2, 25.0), ("completed", 8, 8, 100.0)],
)
def test_a_share_is_of_the_plan(phase, total, done, percent):
    assert Progress(phase, total, done).percent == percent


# --- speed ----------------------------------------------------------------------------------------------


def test_there_is_no_speed_before_anything_moved(meter, clock):
    meter.plan(bytes_total=100, bytes_done=0)
    for _ in range(3):
        assert (meter.progress().bytes_per_second, meter.progress().seconds_left) == (None, None)
        clock.now += 1


def test_the_speed_is_that_of_the_last_seconds_and_the_rest_follows_from_it(meter, clock):
    meter.plan(bytes_total=1000, bytes_done=0)
    meter.progress()
    for _ in range(20):
        clock.now += 1
        meter.received("hub", 10)
        meter.kept(10)
        told = meter.progress()
    assert told.bytes_per_second == pytest.approx(10)
    assert told.seconds_left == pytest.approx(80)
    for _ in range(10):
        clock.now += 1
        meter.received("hub", 40)
        told = meter.progress()
    assert told.bytes_per_second == pytest.approx(40)


def test_a_line_that_stands_still_has_speed_zero_and_no_end(meter, clock):
    meter.plan(bytes_total=1000, bytes_done=0)
    meter.progress()
    meter.received("hub", 10)
    for _ in range(12):
        clock.now += 1
        told = meter.progress()
    assert (told.bytes_per_second, told.seconds_left) == (0.0, None)


def test_more_than_the_plan_leaves_no_negative_time(meter, clock):
    meter.plan(bytes_total=10, bytes_done=0)
    meter.progress()
    clock.now += 1
    meter.received("hub", 20)
    meter.kept(20)
    assert meter.progress().seconds_left == 0


@no_deadline
@given(st.lists(st.tuples(st.floats(0.001, 3), st.integers(0, 10**9)), min_size=1, max_size=60))
def test_the_speed_lies_between_the_slowest_and_the_fastest_stretch(steps):
    clock = Clock(50.0)
    meter = Meter(clock=clock)
    meter.progress()
    speeds = []
    for seconds, count in steps:
        clock.now += seconds
        meter.received("hub", count)
        told = meter.progress().bytes_per_second
        speeds.append(count / seconds)
    assert told is None or min(speeds) * 0.999 <= told <= max(speeds) * 1.001


def test_asking_often_keeps_only_the_last_seconds(meter, clock):
    for _ in range(10_000):
        clock.now += 0.05
        meter.progress()
    assert len(meter._samples) < 200


def test_what_others_set_is_told_as_it_stands(meter):
    meter.phase, meter.retries, meter.waiting = "downloading", 2, "retry in 5 s"
    assert meter.progress() == replace(Progress("downloading", 0, 0), retries=2, waiting="retry in 5 s")


def test_the_time_of_a_step_that_is_taken_again_adds_up(meter):
    assert meter.step_seconds == {}
    for step, seconds in (("fetch", 1.5), ("publish", 0.25), ("fetch", 2.0)):
        meter.took(step, seconds)
    assert [*meter.step_seconds.items()] == [("fetch", 3.5), ("publish", 0.25)]

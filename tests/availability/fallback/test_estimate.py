"""The law of waits: measured or not known, and the confidence says how far they can be relied on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.fallback.estimate import WaitEstimate, wait_for_bytes, wait_of_running
from tests.builders import no_deadline

MB = 1e6
speeds = st.lists(st.floats(1.0, 1e10), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("left", "speed", "fetched", "running"),
    [(None, MB, 10, 10.0), (5.0, None, 10, 10.0), (5.0, 0.0, 10, 10.0), (5.0, MB, 0, 10.0), (5.0, MB, 10, 0.0)],
    ids=["no plan", "no speed", "no movement", "no byte", "no time"],
)
def test_without_a_measurement_nothing_is_known(left, speed, fetched, running):
    estimate = wait_of_running(left, speed, fetched, running)
    assert (estimate.seconds, estimate.confidence) == (None, 0.0)
    assert not estimate.is_within(1e9)


def test_a_steady_download_half_way_through_is_half_certain():
    estimate = wait_of_running(60.0, 10 * MB, int(600 * MB), 60.0)
    assert (estimate.seconds, estimate.confidence) == (60.0, 0.5)
    assert estimate.basis == "its own speed of 10.0 MB/s, watched for 60 s"


def test_a_speed_that_has_changed_is_relied_on_less():
    steady = wait_of_running(60.0, 10 * MB, int(600 * MB), 60.0).confidence
    assert wait_of_running(60.0, 5 * MB, int(600 * MB), 60.0).confidence == pytest.approx(steady / 2)
    assert wait_of_running(60.0, 20 * MB, int(600 * MB), 60.0).confidence == pytest.approx(steady / 2)


def test_bytes_wait_as_long_as_the_usual_speed_says():
    estimate = wait_for_bytes(int(100 * MB), [5 * MB, 10 * MB, 100 * MB])
    assert estimate.seconds == pytest.approx(10.0)
    # Nine of ten were faster than 6 MB/s; three downloads are three eighths of the evidence.
    assert estimate.confidence == pytest.approx(3 / 8 * 0.6)


def test_nothing_to_fetch_is_no_wait_and_unknown_bytes_are_an_unknown_one():
    assert wait_for_bytes(0, []) == WaitEstimate(0.0, 1.0, "nothing has to be fetched")
    assert wait_for_bytes(None, [MB]).seconds is None
    assert wait_for_bytes(1, []).seconds is None


@no_deadline
@given(st.integers(1, 10**15), speeds)
def test_a_confidence_is_within_0_and_1_and_grows_with_the_evidence(count, measured):
    once, twice = wait_for_bytes(count, measured), wait_for_bytes(count, measured * 2)
    assert 0 < once.confidence < twice.confidence + 0.5 < 1.5
    assert once.seconds == pytest.approx(twice.seconds)


@no_deadline
@given(st.floats(0, 1e6), st.floats(1, 1e10), st.integers(1, 10**12), st.floats(0.1, 1e6))
def test_the_confidence_in_a_running_download_is_within_0_and_1(left, speed, fetched, running):
    assert 0 <= wait_of_running(left, speed, fetched, running).confidence <= 1

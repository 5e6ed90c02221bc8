"""The law of retries: as many waits as retries, growing, jittered, never past the cap; and only what can pass."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from availability.errors import EnhancedModelAvailabilityError, LeaseLostError
from availability.retry import may_pass, retry_delays

counts = st.integers(0, 10)
bases = st.floats(1, 600)
caps = st.floats(1, 3600)
seeds = st.integers(0, 2**32)


@given(counts, bases, caps, seeds)
def test_there_are_as_many_waits_as_retries(count, base, cap, seed):
    assert len(retry_delays(count, base, max(base, cap), Random(seed))) == count


def test_no_retry_is_no_wait():
    assert retry_delays(0, 30, 300, Random(0)) == ()


@given(counts, bases, caps, seeds)
@example(10, 30.0, 300.0, 0)
@example(3, 300.0, 300.0, 0)
def test_each_wait_doubles_with_ten_to_thirty_percent_more_and_ends_at_the_cap(count, base, cap, seed):
    cap = max(base, cap)
    for k, delay in enumerate(retry_delays(count, base, cap, Random(seed))):
        assert delay <= cap
        assert min(base * 2**k * 1.1, cap) <= delay <= base * 2**k * 1.3 * (1 + 1e-9)


def test_a_fleet_does_not_come_back_at_one_moment():
    first = {retry_delays(1, 30, 300, Random(seed))[0] for seed in range(100)}
    assert len(first) == 100
    assert max(first) - min(first) > 30 * 0.15


def test_the_same_randomness_gives_the_same_waits():
    assert retry_delays(5, 30, 300, Random(7)) == retry_delays(5, 30, 300, Random(7))


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "full"),
        ValueError(),
        KeyboardInterrupt(),
        TimeoutError(),
        EnhancedModelAvailabilityError("x"),
        LeaseLostError("another process took over"),
    ],
)
def test_what_we_did_not_judge_to_pass_does_not(error):
    assert not may_pass(error)

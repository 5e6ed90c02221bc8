"""What a server asks for is waited for once by all, and bounded in all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from availability.errors import BudgetSpentError, RateLimitedError
from availability.transfer.worker import ServerWait
from tests.builders import Clock


@given(st.floats(0, 1e7), st.integers(1, 5))
@example(255.592118506, 2)  # a second later the clock is past 256, where its last digits are rounded away
def test_a_budget_of_whole_waits_is_spent_to_the_last_one(start, waits):
    clock = Clock(start)
    wait = ServerWait(float(waits), clock=clock)
    for _ in range(waits):
        assert wait.grant(1.0)
        clock.now += 1.001
    assert not wait.grant(1.0)


def test_who_asks_for_a_wait_that_runs_already_pays_for_what_is_longer():
    clock = Clock()
    wait = ServerWait(10.0, clock=clock)
    assert wait.grant(8.0)
    clock.now += 4.0
    assert wait.grant(4.0)  # ends with the first one
    assert wait.grant(6.0)  # two seconds more than that
    assert wait.seconds_left == pytest.approx(6.0)
    assert not wait.grant(7.0)


def test_a_wait_of_less_than_a_second_costs_a_second():
    clock = Clock()
    wait = ServerWait(1.0, clock=clock)
    assert wait.grant(0.0)
    clock.now += 2.0
    assert not wait.grant(0.0)


def test_a_budget_that_is_known_to_be_spent_costs_no_patience():
    clock = Clock()
    wait = ServerWait(1.0, clock=clock)
    assert wait.obey(BudgetSpentError("spent", retry_after_seconds=60.0))
    assert wait.seconds_left == pytest.approx(60.0)
    clock.now += 60.0
    assert wait.obey(RateLimitedError("429", retry_after_seconds=1.0))
    assert not wait.obey(RateLimitedError("429", retry_after_seconds=None))

"""The law of the budget: all who share a state folder stop asking before a hub refuses, and nobody asks too early."""

import pytest

from availability.errors import BudgetSpentError, RateLimitedError
from availability.sources.request_budget import RequestBudget

ALLOWED, WINDOW = 100, 60
USABLE = 95
"""What is used of what the hub allows: the rest is left for those it counts too."""


class Hub:
    """Counts in fixed windows and says so, as the Hub does; its clock is everybody's."""

    def __init__(self):
        self.now = 1000.0
        self.refused = 0
        self._window, self._asked = 0, 0

    def clock(self):
        return self.now

    def answer(self, budget):
        """Take a request and let the budget hear the answer."""
        window = int(self.now // WINDOW)
        if window != self._window:
            self._window, self._asked = window, 0
        self._asked += 1
        self.refused += self._asked > ALLOWED
        seconds = WINDOW - int(self.now % WINDOW)
        headers = {"ratelimit": f'"api";r={max(0, ALLOWED - self._asked)};t={seconds}'}
        headers["ratelimit-policy"] = f'"fixed window";"api";q={ALLOWED};w={WINDOW}'
        budget.told(200, headers, None)


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def processes(tmp_path, hub):
    """The budgets of three processes that share a state folder."""
    return [RequestBudget(tmp_path / "budgets", "hub:80", "api", clock=hub.clock) for _ in range(3)]


def ask_until_told_to_wait(hub, processes):
    """Let the processes ask by turns for as long as one has leave; return how often, and how long to wait."""
    count, told = 0, []
    while len(told) < len(processes):
        told = []
        for budget in processes:
            try:
                budget.ask()
            except RateLimitedError as error:
                told.append(error.retry_after_seconds)
            else:
                count += 1
                hub.answer(budget)
    return count, max(told)


def test_a_fleet_stops_before_it_is_refused_and_goes_on_when_the_hub_counts_anew(hub, processes):
    for _ in range(5):
        count, seconds = ask_until_told_to_wait(hub, processes)
        assert USABLE - 3 * 3 <= count <= ALLOWED
        assert 0 < seconds <= WINDOW
        hub.now += seconds + 0.5
    assert hub.refused == 0


def test_requests_of_others_are_seen_in_what_is_left(hub, processes, tmp_path):
    stranger = RequestBudget(tmp_path / "elsewhere" / "budgets", "hub:80", "api", clock=hub.clock)
    for _ in range(50):
        hub.answer(stranger)
    count, _ = ask_until_told_to_wait(hub, processes)
    assert count <= ALLOWED - 50
    assert hub.refused == 0


def test_what_is_spent_costs_no_patience_and_says_when_it_is_renewed(hub, processes):
    ask_until_told_to_wait(hub, processes)
    with pytest.raises(BudgetSpentError, match=r"hub:80 takes no more requests for \d+ s") as caught:
        processes[0].ask()
    assert caught.value.retry_after_seconds == pytest.approx(WINDOW - hub.now % WINDOW, abs=1)


def test_who_is_refused_tells_the_others_and_nobody_asks_until_then(hub, processes):
    processes[0].told(429, {}, 30.0)
    for budget in processes:
        with pytest.raises(RateLimitedError, match="left alone for another 30 s") as caught:
            budget.ask()
        assert not isinstance(caught.value, BudgetSpentError)
    hub.now += 29
    with pytest.raises(RateLimitedError):
        processes[1].ask()
    hub.now += 1.5
    processes[1].ask()


def test_a_refusal_takes_back_the_leave_that_was_taken(hub, processes):
    first = processes[0]
    first.ask()
    hub.answer(first)
    first.ask()
    first.told(503, {}, 5.0)
    with pytest.raises(RateLimitedError):
        first.ask()


@pytest.mark.parametrize(
    "headers",
    [{}, {"ratelimit": "soon"}, {"ratelimit": '"api";r=;t='}, {"ratelimit": ""}],
    ids=str,
)
def test_of_a_hub_that_does_not_count_nothing_is_kept(processes, tmp_path, headers):
    for _ in range(1000):
        processes[0].ask()
        processes[0].told(200, headers, None)
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_written_where_there_is_no_state_yet(hub, tmp_path):
    budget = RequestBudget(tmp_path / "state" / "budgets", "hub:80", "api", clock=hub.clock)
    budget.ask()
    hub.answer(budget)
    budget.told(429, {}, 5.0)
    budget.ask()
    assert [*tmp_path.iterdir()] == []


def test_kinds_and_hubs_are_counted_apart(hub, processes, tmp_path):
    processes[0].told(429, {}, 30.0)
    for name, kind in [("hub:80", "resolvers"), ("mirror/a", "api")]:
        RequestBudget(tmp_path / "budgets", name, kind, clock=hub.clock).ask()


def test_a_late_answer_of_the_window_before_does_not_renew_the_budget(hub, processes):
    first = processes[0]
    hub.answer(first)
    for _ in range(40):
        first.told(200, {"ratelimit": '"api";r=0;t=1'}, None)
    hub.now += 5
    with pytest.raises(BudgetSpentError):
        first.ask()

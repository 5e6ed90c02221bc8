"""Whatever a hub does over the wire, a model ends verified or with one named error, and nothing wrong is published."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from availability.outcome import EnsureOutcome
from service.faults import FaultyHub
from tests.road.fault_table import ROWS, VERIFIED
from tests.road.ground import Ground, size_of


@dataclass(frozen=True)
class Walk:
    """How a row ended, and how it went on when the hub behaved again."""

    outcome: EnsureOutcome
    bytes_sent: int
    bytes_needed: int
    after: EnsureOutcome


@pytest.fixture(scope="module")
def walks(request, published, tmp_path_factory):
    """Walk the rows side by side, because most of their time they wait, and all before the first test.

    Each test changes the environment, which the walks read.
    """
    asked = [item.callspec.params["row"] for item in request.session.items if item.name.startswith(f"{TEST}[")]
    with ThreadPoolExecutor(6) as pool:
        return {row.name: pool.submit(walk, row, published, tmp_path_factory.mktemp("row")) for row in asked}


def walk(row, published, folder):
    with FaultyHub(published, page_size=2, faults=row.faults, **row.hub) as hub:
        ground = Ground(hub, folder, row.settings)
        outcome = ground.ensure(row.model)
        sent = ground.sent()
        ground.assert_honest()
        hub.faults.clear()
        shutil.rmtree(ground.state / "budgets", ignore_errors=True)  # whatever time it asked for has passed
        after = ground.ensure(row.model)
        ground.assert_honest()
        return Walk(outcome, sent, size_of(hub, row.model), after)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_fault_ends_verified_or_with_one_named_error(row, walks):
    ended = walks[row.name].result()
    outcome = ended.outcome
    assert (VERIFIED if outcome.success else type(outcome.error).__name__) == row.expected, outcome.error
    assert row.attempts in (None, outcome.attempts), outcome.error
    assert row.share is None or ended.bytes_sent <= row.share * ended.bytes_needed
    if outcome.error is not None:
        assert row.says in str(outcome.error)
        assert outcome.path is None
    assert ended.after.success, ended.after.error
    assert outcome.error is not None or ended.after.bytes_fetched == 0


TEST = test_a_fault_ends_verified_or_with_one_named_error.__name__

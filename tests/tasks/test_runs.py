"""The law of runs: a large value reaches its task as it is, and what is known of a run is read off it rightly."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State

from tasks.runs import whole
from tasks.server import is_lost, urgency_of


class Sealed(list):
    """A collection that tells who looks through it."""

    def __iter__(self):
        raise AssertionError("somebody looks through it")


@task(cache_policy=NO_CACHE, persist_result=False)
def kind_of(value):
    return type(value)


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_a_whole_value_reaches_its_task_as_it_is():
    assert kind_of(whole(Sealed("ab"))) is Sealed
    with pytest.raises(AssertionError):
        kind_of(Sealed("ab"))


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "minutes", "lost"),
    [
        ("RUNNING", 1, False),
        ("RUNNING", 3, True),
        ("PENDING", 3, False),
        ("PENDING", 16, True),
        ("SCHEDULED", 600, False),
        ("PAUSED", 600, False),
    ],
)
def test_a_run_for_a_model_on_which_nobody_works_is_lost_after_a_while(state, minutes, lost):
    run = FlowRun(flow_id=uuid4(), state=State(type=state, timestamp=NOW - timedelta(minutes=minutes)))
    assert is_lost(run, NOW) == lost


@pytest.mark.parametrize(
    ("tags", "urgency"),
    [(["priority:critical"], 0), (["priority:low", "model:org/x@main"], 3), ([], 2), (["priority:urgent"], 2)],
)
def test_a_run_tells_its_urgency_by_its_tag_and_is_normal_without(tags, urgency):
    assert urgency_of(FlowRun(flow_id=uuid4(), tags=tags)) == urgency

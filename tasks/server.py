"""Talking to the Prefect server about our deployments and their runs: for `tasks.runs`, which alone decides."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import (
    TERMINAL_STATES,
    DeploymentStatus,
    FlowRun,
    StateType,
    WorkPoolStatus,
    WorkQueueStatus,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectException

from availability.catalog import Priority
from availability.errors import NoRunsError

QUEUED = (StateType.SCHEDULED, StateType.PENDING)
"""States of a run that has not begun."""
_LOST_AFTER = {StateType.RUNNING: timedelta(minutes=2), StateType.PENDING: timedelta(minutes=15)}
"""A run that begins takes seconds to hold its model's lease; where a container is fetched for it, minutes to begin."""

_MOST_LISTED = 200
_PRIORITY = "priority:"
_URGENCY = {f"{_PRIORITY}{priority.value}": place for place, priority in enumerate(Priority)}


@contextmanager
def server_of(name: str) -> Iterator[tuple[SyncPrefectClient, DeploymentResponse]]:
    """Talk to the server about a deployment of ours.

    Raises:
        NoRunsError: it is not deployed, or the server does not answer as it should.
    """
    try:
        with get_client(sync_client=True) as client:
            yield client, client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise NoRunsError(
            f"{name} is not deployed, so no run can be started.", advice=("Deploy it: prefect deploy --all",)
        ) from None
    except (httpx.HTTPError, PrefectException) as error:
        raise NoRunsError(
            f"No run can be started: the Prefect server does not answer as it should ({type(error).__name__}).",
            advice=("See whether PREFECT_API_URL names a server that runs.",),
        ) from error


def runs_of(
    client: SyncPrefectClient, found: DeploymentResponse, *, tag: str = "", states: Sequence[StateType] = ()
) -> list[FlowRun]:
    """Return runs of a deployment, those that begin first before the others."""
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
        flow_run_filter=FlowRunFilter(
            tags=FlowRunFilterTags(all_=[tag]) if tag else None, state=_in_states(states) if states else None
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=_MOST_LISTED,
    )


def is_lost(run: FlowRun, now: datetime) -> bool:
    """Say whether a run for a model on which nobody works has lost its process: it should have begun long ago.

    Prefect learns late of the death of a worker, or never; the model's lease tells at once, and who asks has looked.
    """
    state = run.state
    limit = _LOST_AFTER.get(state.type) if state else None
    return state is not None and limit is not None and now - state.timestamp > limit


def last_ended(client: SyncPrefectClient, found: DeploymentResponse, *, tag: str) -> FlowRun | None:
    """Return the run of a deployment that ended last, None when none has."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
        flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]), state=_in_states(TERMINAL_STATES)),
        sort=FlowRunSort.END_TIME_DESC,
        limit=1,
    )
    return runs[0] if runs else None


def place_of(client: SyncPrefectClient, found: DeploymentResponse, run: FlowRun) -> int:
    """Return the place of a run among those of its pool that have not begun, from 1: the urgent first."""
    name = found.work_pool_name
    queued = client.read_flow_runs(
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[name])) if name else None,
        deployment_filter=None if name else DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
        flow_run_filter=FlowRunFilter(state=_in_states(QUEUED)),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=_MOST_LISTED,
    )
    order = [one.id for one in sorted(queued, key=urgency_of)]
    return order.index(run.id) + 1 if run.id in order else len(order) + 1


def why_nobody(client: SyncPrefectClient, found: DeploymentResponse, run: FlowRun) -> str | None:
    """Return why no worker will take a run, as a sentence; None when one will."""
    name = found.work_pool_name
    if name is None:
        is_served = found.status == DeploymentStatus.READY
        return None if is_served else f"No process serves the deployment {found.name}."
    pool = client.read_work_pool(name)
    if pool.is_paused:
        return f"The work pool {name} is paused."
    if pool.status != WorkPoolStatus.READY:
        return f"No worker polls the work pool {name}: start one with `prefect worker start --pool {name}`."
    queue = client.read_work_queue(run.work_queue_id) if run.work_queue_id else None
    if queue is not None and queue.is_paused:
        return f"The work queue {queue.name} of the pool {name} is paused."
    if queue is not None and queue.status != WorkQueueStatus.READY:
        return f"No worker polls the work queue {queue.name} of the pool {name}."
    return None


def queue_for(client: SyncPrefectClient, found: DeploymentResponse, priority: Priority) -> str | None:
    """Return the queue that is called like the priority, where somebody polls it; None for the deployment's own."""
    if found.work_pool_name is None:
        return None
    queues = client.read_work_queues(work_pool_name=found.work_pool_name)
    polled = {queue.name for queue in queues if queue.status == WorkQueueStatus.READY}
    return priority.value if priority.value in polled else None


def priority_tag(priority: Priority) -> str:
    """Return the tag by which a run tells how urgent it is."""
    return f"{_PRIORITY}{priority.value}"


def urgency_of(run: FlowRun) -> int:
    """Return how urgent a run is, 0 the most; one that does not tell is normal."""
    return min((_URGENCY[tag] for tag in run.tags if tag in _URGENCY), default=_URGENCY[priority_tag(Priority.NORMAL)])


def _in_states(states: Iterable[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=[*states]))

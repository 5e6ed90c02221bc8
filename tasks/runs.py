"""The only place that starts or looks up Prefect runs, and how large values reach their tasks.

A run for a model carries the tag `model:<id>`. While such a run lives, another is not begun: whoever asks gets the one
that is there. Two who ask at the same moment use one idempotency key, made from the run that ended last, so that the
server makes one run of both.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.flow_runs import suspend_flow_run
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Scheduled
from prefect.utilities.annotations import quote

from availability.catalog import Priority
from availability.errors import NoRunsError
from availability.fallback.recovery import RECOVERIES, FailureKind
from availability.model import ModelId, parse_model_id
from availability.runner import Started
from tasks.context import flow_run_id
from tasks.server import (
    QUEUED,
    is_lost,
    last_ended,
    place_of,
    priority_tag,
    queue_for,
    runs_of,
    server_of,
    urgency_of,
    why_nobody,
)

T = TypeVar("T")

DOWNLOADS = "ensure-models/ensure-models"
REPAIRS = "repair-model/repair-model"
REQUESTS = "request-model/request-model"

_ASKER = "availability.asker"
_MODEL = "model:"
_HAS_WAITED = "has-waited"
_LIVE = (*QUEUED, StateType.RUNNING, StateType.PAUSED)
_UNWELL = (StateType.FAILED, StateType.CRASHED)
_SOON = timedelta(seconds=5)


def cancel_task_run(run_id: str, why: str) -> None:
    """Let the UI show that a task run will not be tried again; where that cannot be shown, it is none the less so."""
    try:
        with get_client(sync_client=True) as client:
            client.set_task_run_state(UUID(run_id), Cancelled(message=why), force=True)
    except Exception as error:  # noqa: BLE001  whatever the server's client raises, the order comes first
        get_run_logger().warning("The end of a task run could not be shown: %s", type(error).__name__)


def whole(value: T) -> T:
    """Hand a value to a task as it is.

    Prefect looks through every part of an argument for runs to wait for; of a plan of 20,000 files that takes seconds.
    """
    return cast("T", quote(value))  # Prefect takes the wrapper off again


# --- starting -------------------------------------------------------------------------------------------


class PrefectRunner:
    """Starts runs of our deployments; see `availability.runner.Runner`."""

    def download(self, model: ModelId, priority: Priority, *, after_seconds: float = 0.0) -> Started:
        """Start the flow ensure_models for one model."""
        parameters = {"models": [_exactly(model)], "priority": priority.value}
        return _start(DOWNLOADS, model, parameters, priority, after_seconds=after_seconds)

    def repair(self, model: ModelId) -> Started:
        """Start the flow repair_model; after a repair that failed, no sooner than the table of recoveries says."""
        rest = RECOVERIES[FailureKind.CORRUPT].retry_after_seconds or 0.0
        return _start(REPAIRS, model, {"model": _exactly(model)}, Priority.HIGH, rest_seconds=rest)

    def current(self, model: ModelId) -> Started | None:
        """Return the run that fetches or repairs a model, or will."""
        for name in (DOWNLOADS, REPAIRS):
            with server_of(name) as (client, found):
                living = _living(runs_of(client, found, tag=_tag(model), states=_LIVE))
                if living:
                    return _started(client, found, living[0], is_new=False)
        return None


def start_download(model: ModelId, parameters: Mapping[str, object], priority: Priority) -> str:
    """Start a run of ensure_models by itself, whatever other runs there are, and return its id.

    Args:
        model: whose.
        parameters: the form's fields; one that is None is left empty.
        priority: how urgent the run is.

    Raises:
        NoRunsError: none can be started.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    with server_of(DOWNLOADS) as (client, found):
        return str(_create(client, found, model, given, priority, key=str(uuid4()))[0].id)


def _start(
    name: str,
    model: ModelId,
    parameters: Mapping[str, Any],
    priority: Priority,
    *,
    after_seconds: float = 0.0,
    rest_seconds: float = 0.0,
) -> Started:
    with server_of(name) as (client, found):
        same = runs_of(client, found, tag=_tag(model), states=_LIVE)
        living = [run for run in _living(same) if str(run.id) != flow_run_id()]
        ended = last_ended(client, found, tag=_tag(model)) if rest_seconds or not same else None
        rest = _rest_after(ended, rest_seconds)
        if living:
            is_new = not (after_seconds or rest) and _bring_forward(client, living[0])
            return _started(client, found, living[0], is_new=is_new, rest=rest)
        # After the run we are in, or a lost one, another may follow as if it had ended.
        last = same[-1] if same else ended
        key = f"{found.id} {_tag(model)} after {last.id if last else 'none'}"
        after = max(after_seconds, rest)
        made, is_new = _create(client, found, model, parameters, priority, key=key, after_seconds=after)
        return _started(client, found, made, is_new=is_new, rest=rest)


def _rest_after(ended: FlowRun | None, rest_seconds: float) -> float:
    """Return for how many seconds yet none is begun after a run that failed."""
    if ended is None or ended.end_time is None or ended.state_type not in _UNWELL:
        return 0.0
    return max(0.0, rest_seconds - (datetime.now(UTC) - ended.end_time).total_seconds())


def _living(runs: Sequence[FlowRun]) -> list[FlowRun]:
    return [run for run in runs if not is_lost(run, datetime.now(UTC))]


def _create(
    client: SyncPrefectClient,
    found: DeploymentResponse,
    model: ModelId,
    parameters: Mapping[str, Any],
    priority: Priority,
    *,
    key: str,
    after_seconds: float = 0.0,
) -> tuple[FlowRun, bool]:
    """Return the run of a key, and whether it was made now: its label tells whose question made it."""
    asker = str(uuid4())
    run = client.create_flow_run_from_deployment(
        found.id,
        parameters=dict(parameters),
        state=Scheduled(scheduled_time=datetime.now(UTC) + timedelta(seconds=after_seconds)),
        tags=[_tag(model), priority_tag(priority)],
        idempotency_key=key,
        work_queue_name=queue_for(client, found, priority),
        labels={_ASKER: asker},
    )
    return run, run.labels.get(_ASKER) == asker


def _bring_forward(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Let a run that is to begin later begin now; say whether it was one."""
    due = run.state.state_details.scheduled_time if run.state else None
    if run.state_type != StateType.SCHEDULED or due is None or due <= datetime.now(UTC) + _SOON:
        return False
    client.set_flow_run_state(run.id, Scheduled(scheduled_time=datetime.now(UTC)), force=True)
    return True


def _started(
    client: SyncPrefectClient, found: DeploymentResponse, run: FlowRun, *, is_new: bool, rest: float = 0.0
) -> Started:
    if run.state_type not in QUEUED:
        return Started(str(run.id), is_new)
    why = why_nobody(client, found, run)
    if why is None and rest:
        why = f"The one before it failed; it begins in {rest / 60:.0f} minutes."
    return Started(str(run.id), is_new, why, place_of(client, found, run))


# --- requests that wait ---------------------------------------------------------------------------------


def start_waiting(model: ModelId, parameters: Mapping[str, Any], priority: Priority) -> Started:
    """Start a request that waits until a model is ready; each who asks has one of his own.

    Raises:
        NoRunsError: none can be started.
    """
    with server_of(REQUESTS) as (client, found):
        made, _ = _create(client, found, model, parameters, priority, key=str(uuid4()))
        return _started(client, found, made, is_new=True)


def count_waiting() -> int:
    """Return how many requests wait.

    Raises:
        NoRunsError: nobody could say.
    """
    with server_of(REQUESTS) as (client, found):
        return len(_waiting(client, found))


def wait_for_model(model: ModelId, priority: Priority, seconds: float) -> None:
    """Let the run we are in wait until the model is ready, without a process: it does not return.

    The run begins anew when it is answered, and fails when nobody has in time. It survives restarts of the worker and
    of the server.
    """
    with server_of(REQUESTS) as (client, _):
        run_id = UUID(flow_run_id())
        run = client.read_flow_run(run_id)
        client.update_flow_run(run_id, tags={*run.tags, _tag(model), priority_tag(priority), _HAS_WAITED})
    # A pause of one name happens once: who is woken too early waits again under another.
    suspend_flow_run(timeout=max(1, round(seconds)), key=str(uuid4()))


def has_waited() -> bool:
    """Say whether the run we are in has waited, and was woken."""
    return _HAS_WAITED in flow_run.tags


def seconds_since_asked() -> float:
    """Return how long ago the run we are in was asked for, waiting included."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(flow_run_id()))
    return (datetime.now(UTC) - cast("datetime", run.created)).total_seconds()


def answer_waiting(has_answer: Callable[[ModelId], bool]) -> int:
    """Let the requests begin anew for whose model there is an answer, the urgent first; return how many there were."""
    try:
        with server_of(REQUESTS) as (client, found):
            meant = [run for run in _waiting(client, found) if any(map(has_answer, _models_of(run)))]
            for run in meant:
                client.resume_flow_run(run.id)
            return len(meant)
    except NoRunsError:
        return 0  # nobody can wait where nothing is deployed


def _waiting(client: SyncPrefectClient, found: DeploymentResponse) -> list[FlowRun]:
    """Return the requests that wait, in the order in which they are answered."""
    paused = runs_of(client, found, states=[StateType.PAUSED])
    return sorted((run for run in paused if run.state_name == "Suspended"), key=urgency_of)


def _models_of(run: FlowRun) -> list[ModelId]:
    return [parse_model_id(tag.removeprefix(_MODEL)) for tag in run.tags if tag.startswith(_MODEL)]


def _exactly(model: ModelId) -> str:
    # Without the revision it would be the catalog's, which may be another by the time the run begins.
    return f"{model.repo_id}@{model.revision}"


def _tag(model: ModelId) -> str:
    return f"{_MODEL}{_exactly(model)}"

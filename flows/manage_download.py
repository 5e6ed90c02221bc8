"""Manage downloads, whichever worker or machine runs them: see, start, pause, resume, cancel, reorder, slow down."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypedDict

from prefect import State, flow
from prefect.states import Completed

from availability import road
from availability.catalog import Catalog, Priority
from availability.controls import DownloadState
from availability.download import Download
from availability.downloads import DownloadEntry, find_download, list_downloads
from availability.errors import EnhancedModelAvailabilityError, UsageError
from availability.inventory import known_ids
from availability.managing import request_again
from availability.model import ModelId
from availability.opening import catalog_of
from availability.orders import OrderKind
from availability.requests import Request, requests_for
from availability.settings import bounds_of
from availability.workspace import Workspace
from tasks.context import runner
from tasks.ending import failed
from tasks.events import tell_controlled, tell_order
from tasks.orders import give_order, publish_downloads
from tasks.runs import start_download
from tasks.workspace import open_workspace

Action = Literal["list", "start", "pause", "resume", "cancel", "set_priority", "set_limit"]


class ManagedRecord(TypedDict):
    """What a run returns.

    `download_id` is the id of the flow run that downloads, or of the download where another program runs it; null when
    there is none. `position` is its place in the queue from 1; `estimate_seconds` is how long until it is done, or
    until its turn while it waits, null when nothing tells. `downloads` is the whole list as it stands now.
    """

    success: bool
    action: str
    model_id: str | None
    download_id: str | None
    state: str | None
    position: int | None
    estimate_seconds: float | None
    downloads: list[DownloadEntry]


@flow(name="manage-download")
def manage_download(
    action: Action = "list",
    model_id: str = "",
    priority: Priority | None = None,
    max_retries: Annotated[int, bounds_of("download.max_retries")] | None = None,
    bandwidth_limit_mbps: Annotated[float, bounds_of("download.bandwidth_limit_mbps")] | None = None,
) -> State[Any]:
    """See and manage downloads, whichever worker or machine runs them.

    What runs follows within a second. A paused download moves nothing until it is resumed, whoever asks for the model;
    a cancelled one is over. What has arrived is kept, and whatever goes on goes on where it was.

    Args:
        action: What to do; list only shows what runs, what waits in its order and what is paused.
        model_id: The model as org/name or org/name@revision, or an alias of the catalog; list needs none.
        priority: With start and set_priority, how urgent it is.
        max_retries: With start and resume, retries after the first attempt; empty takes the worker's setting.
        bandwidth_limit_mbps: With start, resume and set_limit, a limit for this download in Mbit/s; 0 means none.
    """
    workspace = open_workspace({})
    catalog = catalog_of(workspace.settings)
    form = Form(action, priority, max_retries, bandwidth_limit_mbps)
    model: ModelId | None = None
    try:
        model = _named(workspace, catalog, form, model_id)
        download_id, told = carry_out(workspace, catalog, form, model) if model else (None, _count(workspace))
    except EnhancedModelAvailabilityError as error:
        if model is not None:
            tell_controlled(action, model, runner() or "", error)
        message = " ".join((error.message, *error.advice))
        return failed(message, _record(workspace, form, model, None, success=False))
    publish_downloads(list_downloads(workspace), told)
    return Completed(message=told, data=_record(workspace, form, model, download_id, success=True))


@dataclass(frozen=True, slots=True)
class Form:
    """What was filled in, beside the model."""

    action: Action
    priority: Priority | None
    max_retries: int | None
    limit_mbps: float | None


def carry_out(workspace: Workspace, catalog: Catalog, form: Form, model: ModelId) -> tuple[str | None, str]:
    """Do what was asked for; return the id of the run that was started, if one was, and what was done, in words."""
    urgency, limit = form.priority or Priority.NORMAL, form.limit_mbps or 0
    give = partial(give_order, form.action, model, workspace, catalog, priority=urgency, limit_mbps=limit)
    match form.action:
        case "start":
            return start(workspace, catalog, form, model)
        case "resume":
            is_paused = workspace.orders.standing(OrderKind.PAUSE, model) is not None
            # Started before the pause is lifted: where that cannot be done, all stays as it was.
            run_id = _start_run(form, request_again(workspace, catalog, model)) if is_paused else None
            give()
            tell_controlled("resume", model, runner() or "", None)
            return run_id, f"{model} goes on in flow run {run_id}"
        case _:
            tell_order(give())
            return None, f"{form.action} was ordered for {model}"


def start(workspace: Workspace, catalog: Catalog, form: Form, model: ModelId) -> tuple[str | None, str]:
    """Start a run that downloads a model, unless it is there or on its way."""
    found = find_download(workspace, model)
    if found is not None and found.state is DownloadState.PAUSED:
        raise UsageError(f"{model} is {found.reason}: nothing was started.", advice=("Choose the action resume.",))
    if found is not None:
        return found.download_id, f"{model} is {found.state} already; nothing was started"
    request = requests_for(workspace, catalog, [str(model)])[0][0]
    if road.find_ready(Download(workspace, model, request.selection)) is not None:
        return None, f"{model} is available already; nothing was started"
    run_id = _start_run(form, request)
    tell_controlled("start", model, runner() or "", None)
    return run_id, f"{model} is downloaded by flow run {run_id}"


def _start_run(form: Form, request: Request) -> str:
    chosen, priority = request.selection, form.priority or request.priority
    fields = {
        "models": [str(request.model)],
        "include": list(chosen.include),
        "exclude": list(chosen.exclude),
        "variant": chosen.variant,
        "priority": priority.value,
        "max_retries": form.max_retries,
        "bandwidth_limit_mbps": form.limit_mbps,
    }
    return start_download(request.model, fields, priority)


def _named(workspace: Workspace, catalog: Catalog, form: Form, model_id: str) -> ModelId | None:
    if form.action == "list":
        return None
    if not model_id.strip():
        raise UsageError(f"{form.action} needs a model; fill in the field model_id.")
    if form.action == "set_priority" and form.priority is None:
        raise UsageError("set_priority needs a priority; fill in the field priority.")
    if form.action == "set_limit" and form.limit_mbps is None:
        raise UsageError("set_limit needs a limit, 0 for none; fill in the field bandwidth_limit_mbps.")
    return catalog.resolve(model_id, frozenset(known_ids(workspace)))


def _count(workspace: Workspace) -> str:
    found = Counter(download.state.value for download in list_downloads(workspace))
    return ", ".join(f"{count} {state}" for state, count in found.items()) or "Nothing runs, waits or is paused"


def _record(
    workspace: Workspace, form: Form, model: ModelId | None, download_id: str | None, *, success: bool
) -> ManagedRecord:
    now = list_downloads(workspace)
    found = next((one for one in now if one.model == model), None)
    told = found.as_dict() if found else None
    is_queued = found is not None and found.position is not None
    return ManagedRecord(
        success=success,
        action=form.action,
        model_id=str(model) if model else None,
        download_id=download_id or (told["download_id"] if told else None),
        state=told["state"] if told else None,
        position=told["position"] if told else None,
        estimate_seconds=(told["starts_in_seconds"] if is_queued else told["seconds_left"]) if told else None,
        downloads=[one.as_dict() for one in now],
    )

"""Make models available: look at all of them, and bring what is missing or damaged, a task each."""

import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from itertools import chain
from threading import Event
from typing import Annotated, Any

from prefect import State, flow
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed

from availability import road
from availability.catalog import Catalog, Priority
from availability.download import Download
from availability.ensure import bring_absent, failed_outcome, plan_one, ready_outcome, recorded
from availability.errors import DownloadCancelledError, DownloadPausedError, EnhancedModelAvailabilityError
from availability.limits import bytes_per_second
from availability.opening import catalog_of
from availability.outcome import EnsureOutcome, summarise
from availability.plan import Plan
from availability.requests import Request, request_for, requests_for
from availability.settings import bounds_of
from availability.sweep import record_end
from availability.transfer.throttle import Throttle
from availability.turns import Job
from availability.workspace import Workspace
from tasks.artifacts import publish_outcomes, publish_plans
from tasks.attempts import run_with_retries
from tasks.context import flow_run_id, runner
from tasks.download import bring_model, observe_models
from tasks.ending import failed
from tasks.events import tell_available, tell_finished, tell_orders_followed
from tasks.fallback import (
    answer_requests,
    approve,
    fall_back,
    model_of,
    note_decision,
    release_last_copies,
    retry_later,
    settle,
    to_fetch,
    with_fallback,
)
from tasks.fallback_artifacts import publish_fallback
from tasks.progress import ProgressBoard, tell_waiting
from tasks.runs import whole
from tasks.usage import shipped
from tasks.workspace import open_workspace

MODELS_A_BATCH = 50


@flow(name="ensure-models")
def ensure_models(  # noqa: PLR0917  the form's fields
    models: list[str] = [],  # noqa: B006  Prefect makes the form from it, and a form wants a list, not nothing
    include: list[str] = [],  # noqa: B006
    exclude: list[str] = [],  # noqa: B006
    variant: str | None = None,
    priority: Priority | None = None,
    max_retries: Annotated[int, bounds_of("download.max_retries")] | None = None,
    bandwidth_limit_mbps: Annotated[float, bounds_of("download.bandwidth_limit_mbps")] | None = None,
    dry_run: bool = False,
) -> State[Any]:
    """Make models available: verified, complete and ready to use.

    What is there and proven is left alone, what is there and not proven is verified, what is missing or damaged is
    fetched, and continues where an earlier run left off. One model's failure does not stop the others.

    Args:
        models: Models as org/name or org/name@revision, or aliases of the catalog; empty means the whole catalog.
        include: Only files that match one of these patterns, such as *.json; empty means what the catalog says.
        exclude: Leave out files that match one of these patterns.
        variant: A dtype (fp16), a quantisation (Q4_K_M) or a format (safetensors); empty takes all there are.
        priority: How urgent the models are; empty takes what the catalog says.
        max_retries: Retries after the first attempt, of what can pass; 0 means no retry, empty the worker's setting.
        bandwidth_limit_mbps: Speed limit of this run in Mbit/s, beside the shared one; 0 or empty means none.
        dry_run: Only show files and bytes; fetch and write nothing.
    """
    workspace = open_workspace({"download.max_retries": max_retries})
    catalog = catalog_of(workspace.settings)
    requests, refused = requests_for(
        workspace, catalog, models, include=include, exclude=exclude, variant=variant, priority=priority
    )
    if dry_run:
        return show_plans(workspace, requests, refused)
    with shipped(workspace):
        outcomes = ensure_requests(workspace, catalog, requests, bandwidth_limit_mbps or 0)
        record_end(workspace, catalog, outcomes, refused, whole_catalog=not models)
        outcomes = seek_stand_ins(workspace, catalog, [*outcomes, *refused], may_retry=bool(models))
        release_last_copies(workspace, outcomes)
        settle(workspace, catalog)
    answer_requests(workspace, catalog, {*map(model_of, outcomes)})
    return conclude(outcomes)


def ensure_requests(
    workspace: Workspace, catalog: Catalog, requests: Sequence[Request], limit_mbps: float = 0
) -> list[EnsureOutcome]:
    """Look at all models in batches, then take the road where something has to be done, each when it is its turn."""
    stop, throttle = Event(), Throttle(bytes_per_second(limit_mbps))
    slots = workspace.settings.download.max_concurrent_downloads
    sharers = min(slots, len(requests))
    downloads = [_download(workspace, request, stop, throttle, sharers=sharers) for request in requests]
    batches = [downloads[start : start + MODELS_A_BATCH] for start in range(0, len(downloads), MODELS_A_BATCH)]
    seen = dict(zip(downloads, chain.from_iterable(map(observe_models, batches)), strict=True))

    with ProgressBoard() as board:

        def job_of(one: Download) -> Job[EnsureOutcome]:
            take = partial(copy_context().run, ensure_model, one, catalog, board)
            return Job(one.steering, take, partial(tell_waiting, one))

        # Cancelled, or told to end: `stop` is set, the threads come to their end, and what has arrived is kept.
        return bring_absent(workspace, catalog, seen, job_of, stop)


def ensure_model(download: Download, catalog: Catalog, board: ProgressBoard) -> EnsureOutcome:
    """Take one model from wherever it is to verified and published; a failure is part of the outcome."""
    try:
        download.may_start()
        with board.shows(download), download.held():
            # Another process may have brought it while we waited for it, and told so.
            ready = road.find_ready(download) or run_with_retries(bring_model, download)
            outcome = ready_outcome(download, ready)
    except EnhancedModelAvailabilityError as error:
        return recorded(download, failed_outcome(download, catalog, error))
    except Exception as error:  # noqa: BLE001  nobody foresaw it; it must not stop the other models
        get_run_logger().exception("%s failed for a reason that nobody foresaw", download)
        unforeseen = EnhancedModelAvailabilityError(f"{download}: {type(error).__name__}: {error}")
        return recorded(download, failed_outcome(download, catalog, unforeseen))
    finally:
        tell_orders_followed(download)
    if download.begun:
        tell_available(download.model, outcome)
    return recorded(download, outcome)


def seek_stand_ins(
    workspace: Workspace, catalog: Catalog, outcomes: Sequence[EnsureOutcome], *, may_retry: bool
) -> list[EnsureOutcome]:
    """End every failure in a decision: another model stands in where the catalog lets it, or a person does.

    What somebody has cancelled or paused is no failure.

    A run for some models lets another try again later, within the bounds of the failure; a run over the whole catalog
    comes again by its schedule.
    """
    failures = [outcome for outcome in outcomes if outcome.error is not None and not _is_ordered(outcome.error)]
    if not failures:
        return [*outcomes]
    if not workspace.settings.features.intelligent_fallback:
        get_run_logger().warning("intelligent_fallback is switched off: no stand-in was sought")
        return [*outcomes]
    resolutions = approve(workspace, catalog, fall_back(whole(workspace), whole(catalog), whole(failures)))
    fetched = [request_for(workspace, catalog, model) for model in to_fetch(resolutions)]
    if fetched:
        ensure_requests(workspace, catalog, fetched)
    for resolution in resolutions:
        note_decision(workspace, resolution)
        if may_retry:
            retry_later(workspace, catalog, resolution)
    publish_fallback(resolutions)
    decided = {resolution.decision.wanted: resolution for resolution in resolutions}
    return [with_fallback(workspace, catalog, outcome, decided.get(model_of(outcome))) for outcome in outcomes]


def show_plans(workspace: Workspace, requests: Sequence[Request], refused: Sequence[EnsureOutcome]) -> State[Any]:
    """Show what would be done, file by file."""
    answers = [plan_one(workspace, request) for request in requests]
    plans = [answer for answer in answers if isinstance(answer, Plan)]
    publish_plans(plans)
    failures = [
        *(answer for answer in answers if not isinstance(answer, Plan)),
        *(outcome.error for outcome in refused),
    ]
    told = f"{len(plans)} of {len(plans) + len(failures)} models planned"
    if failures:
        return Failed(message=f"{told}. {failures[0]}")
    return Completed(message=f"{told}; nothing was written")


def conclude(outcomes: Sequence[EnsureOutcome]) -> State[Any]:
    """Publish the table, and let the run's state tell the truth."""
    summary = summarise(outcomes)
    publish_outcomes(outcomes, summary)
    for outcome in outcomes:
        tell_finished(outcome)
    told = f"{summary['verified']} of {summary['requested']} models verified"
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    for error in errors:
        level = logging.WARNING if _is_ordered(error) else logging.ERROR
        get_run_logger().log(level, " ".join((error.message, *error.advice)))
    stand_ins = [f"{outcome.model_id} by {outcome.stand_in}" for outcome in outcomes if outcome.stand_in is not None]
    if stand_ins:
        told = f"{told}, {len(stand_ins)} substituted ({', '.join(stand_ins)})"
    if not errors:
        return Completed(message=told, data=list(outcomes))
    state = partial(Failed, name="Substituted") if len(stand_ins) == len(errors) else _unwell(errors)
    return failed(f"{told}. {errors[0]}", list(outcomes), state)


def _unwell(errors: Sequence[EnhancedModelAvailabilityError]) -> Callable[..., State[Any]]:
    """Return the state of a run that did not reach its goal: what people have ordered is no failure."""
    if all(isinstance(error, DownloadPausedError) for error in errors):
        return partial(Cancelled, name="Paused")
    if all(map(_is_ordered, errors)):
        return Cancelled
    return Failed


def _is_ordered(error: EnhancedModelAvailabilityError) -> bool:
    return isinstance(error, DownloadCancelledError | DownloadPausedError)


def _download(workspace: Workspace, request: Request, stop: Event, throttle: Throttle, *, sharers: int) -> Download:
    return Download(
        workspace,
        request.model,
        request.selection,
        priority=request.priority,
        download_id=flow_run_id(),
        stop=stop,
        sharers=sharers,
        runner=runner(),
        throttle=throttle,
        asked=request.asked,
    )

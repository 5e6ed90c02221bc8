"""Make models available: plan, download, integrity, publish; and repair where a check failed."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain
from threading import Event
from typing import Annotated, Any

from prefect import State, flow
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from availability import road
from availability.catalog import Catalog, Priority
from availability.download import Download
from availability.ensure import Request, check_feature, failed_outcome, plan_one, ready_outcome, requests_for
from availability.errors import EnhancedModelAvailabilityError
from availability.outcome import Ensured, EnsureOutcome, summarise
from availability.plan import Plan
from availability.road import Ready
from availability.settings import bounds_of
from availability.workspace import Workspace
from tasks.artifacts import publish_outcomes, publish_plans
from tasks.attempts import with_retries
from tasks.download import fetch_model, observe_models, plan_model, publish_model
from tasks.events import tell_available
from tasks.integrity import check_integrity
from tasks.progress import progress_artifact
from tasks.repair import repair_model
from tasks.runs import flow_run_id, whole
from tasks.workspace import open_catalog, open_workspace

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
        bandwidth_limit_mbps: Speed limit of one process in Mbit/s; 0 means none, empty the worker's setting.
        dry_run: Only show files and bytes; fetch and write nothing.
    """
    workspace = open_workspace(
        {"download.max_retries": max_retries, "download.bandwidth_limit_mbps": bandwidth_limit_mbps}
    )
    catalog = open_catalog(workspace.settings)
    requests, refused = requests_for(
        workspace, catalog, models, include=include, exclude=exclude, variant=variant, priority=priority
    )
    if dry_run:
        return show_plans(workspace, requests, refused)
    return conclude([*ensure_requests(workspace, catalog, requests), *refused])


def ensure_requests(workspace: Workspace, catalog: Catalog, requests: Sequence[Request]) -> list[EnsureOutcome]:
    """Look at all models in batches, then take the road only where something has to be done, some at once."""
    stop = Event()
    at_once = workspace.settings.download.max_concurrent_downloads
    downloads = [_download(workspace, request, stop, sharers=min(at_once, len(requests))) for request in requests]
    batches = [downloads[start : start + MODELS_A_BATCH] for start in range(0, len(downloads), MODELS_A_BATCH)]
    seen = chain.from_iterable(map(observe_models, batches))
    with ThreadPoolExecutor(at_once, thread_name_prefix="model") as pool:
        try:
            outcomes = [
                ready or pool.submit(copy_context().run, ensure_model, download, catalog)
                for download, ready in zip(downloads, seen, strict=True)
            ]
            return [outcome.result() if isinstance(outcome, Future) else outcome for outcome in outcomes]
        except BaseException:
            # Cancelled, or told to end: the threads must come to their end, and what has arrived is kept.
            stop.set()
            raise


def ensure_model(download: Download, catalog: Catalog) -> EnsureOutcome:
    """Take one model from wherever it is to verified and published; a failure is part of the outcome."""
    try:
        check_feature(download)
        with progress_artifact(download), download.held():
            # Another process may have brought it while we waited for it, and told so.
            ready = road.find_ready(download)
            return ready_outcome(download, ready) if ready else bring(download)
    except EnhancedModelAvailabilityError as error:
        return failed_outcome(download, catalog, error)
    except Exception as error:  # noqa: BLE001  nobody foresaw it; it must not stop the other models
        get_run_logger().exception("%s failed for a reason that nobody foresaw", download)
        unforeseen = EnhancedModelAvailabilityError(f"{download}: {type(error).__name__}: {error}")
        return failed_outcome(download, catalog, unforeseen)


def bring(download: Download) -> Ensured:
    """Take the road to its end, and tell that the model has become available."""
    outcome = ready_outcome(download, travel(download))
    tell_available(download.model, outcome)
    return outcome


def travel(download: Download) -> Ready:
    """Take the steps in order; each is a task, and those that can pass are retried."""
    settings = download.workspace.settings.download
    download.begun = True
    plan = with_retries(plan_model, settings)(download)
    if plan.absent:
        plan = with_retries(fetch_model, settings)(download, whole(plan))
    findings = check_integrity(download, whole(plan))
    if findings:
        plan = with_retries(repair_model, settings)(download, whole(plan), whole(findings))
    return publish_model(download, whole(plan))


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
    told = f"{summary['verified']} of {summary['requested']} models verified"
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    for error in errors:
        get_run_logger().error(" ".join((error.message, *error.advice)))
    if errors:
        return Failed(message=f"{told}. {errors[0]}", data=list(outcomes))
    return Completed(message=told, data=list(outcomes))


def _download(workspace: Workspace, request: Request, stop: Event, *, sharers: int) -> Download:
    return Download(
        workspace,
        request.model,
        request.selection,
        priority=request.priority,
        download_id=flow_run_id(),
        stop=stop,
        sharers=sharers,
    )

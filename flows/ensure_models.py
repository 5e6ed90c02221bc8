"""Make models available: plan, download, integrity, publish; and repair where a check failed."""

from collections.abc import Sequence
from itertools import chain
from threading import Event
from typing import Any

from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from availability import road
from availability.catalog import Catalog, Priority
from availability.download import Download
from availability.ensure import Request, check_feature, failed_outcome, plan_one, ready_outcome, requests_for
from availability.errors import EnhancedModelAvailabilityError
from availability.outcome import EnsureOutcome, summarise
from availability.plan import Plan
from availability.road import Ready
from availability.workspace import Workspace
from tasks.artifacts import publish_outcomes, publish_plans
from tasks.attempts import with_retries
from tasks.download import fetch_model, observe_models, plan_model, publish_model
from tasks.integrity import check_integrity
from tasks.progress import progress_artifact
from tasks.repair import repair_model
from tasks.runs import flow_run_id
from tasks.workspace import open_catalog, open_workspace

MODELS_A_BATCH = 50


@flow(name="ensure-models", validate_parameters=True)
def ensure_models(  # noqa: PLR0917  the form's fields
    models: list[str] = [],  # noqa: B006  Prefect makes the form from it, and a form wants a list, not nothing
    include: list[str] = [],  # noqa: B006
    exclude: list[str] = [],  # noqa: B006
    variant: str | None = None,
    priority: Priority | None = None,
    max_retries: int | None = None,
    bandwidth_limit_mbps: float | None = None,
    dry_run: bool = False,
) -> State[Any]:
    """Make models available: verified, complete and ready to use.

    What is there and proven is left alone, what is there and not proven is verified, what is missing or damaged is
    fetched, and continues where an earlier run left off. One model's failure does not stop the others.

    Args:
        models: Models as org/name or org/name@revision, or aliases of the catalog; none means the whole catalog.
        include: Only files that match one of these patterns, such as *.json; none means what the catalog says.
        exclude: No files that match one of these patterns.
        variant: A dtype (fp16), a quantisation (Q4_K_M) or a format (safetensors); none takes all there are.
        priority: How urgent the models are; none takes what the catalog says.
        max_retries: Retries after the first attempt, 0 to 10; none takes the worker's setting.
        bandwidth_limit_mbps: Speed limit in megabits per second, 0 for none; empty takes the worker's setting.
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
        return show_plans(workspace, requests)
    return conclude([*ensure_requests(workspace, catalog, requests), *refused])


def ensure_requests(workspace: Workspace, catalog: Catalog, requests: Sequence[Request]) -> list[EnsureOutcome]:
    """Look at all models in batches, then take a task only for those where something has to be done."""
    stop = Event()
    at_once = workspace.settings.download.max_concurrent_downloads
    downloads = [_download(workspace, request, stop, sharers=min(at_once, len(requests))) for request in requests]
    batches = [downloads[start : start + MODELS_A_BATCH] for start in range(0, len(downloads), MODELS_A_BATCH)]
    outcomes = dict(zip(downloads, chain.from_iterable(map(observe_models, batches)), strict=True))
    with ThreadPoolTaskRunner[Any](max_workers=at_once) as runner:
        try:
            futures = {
                download: runner.submit(ensure_model, {"download": download})
                for download, ready in outcomes.items()
                if ready is None
            }
            outcomes |= {download: outcome_of(download, catalog, future) for download, future in futures.items()}
        except BaseException:
            # Cancelled, or told to end: the threads must come to their end, and what has arrived is kept.
            stop.set()
            raise
    return [outcome for outcome in outcomes.values() if outcome is not None]


@task(name="ensure", task_run_name="ensure {download}", cache_policy=NO_CACHE, persist_result=False)
def ensure_model(download: Download) -> EnsureOutcome:
    """Take one model from wherever it is to verified and published."""
    check_feature(download)
    with progress_artifact(download), download.held():
        # Another process may have brought it while we waited for it.
        ready = road.find_ready(download) or travel(download)
    return ready_outcome(download, ready)


def travel(download: Download) -> Ready:
    """Take the steps in order; each is a task, and those that can pass are retried."""
    settings = download.workspace.settings.download
    download.begun = True
    plan = with_retries(plan_model, settings)(download)
    if plan.absent:
        plan = with_retries(fetch_model, settings)(download, plan)
    findings = check_integrity(download, plan)
    if findings:
        plan = with_retries(repair_model, settings)(download, plan, findings)
    return publish_model(download, plan)


def show_plans(workspace: Workspace, requests: Sequence[Request]) -> State[Any]:
    """Show what would be done, file by file."""
    answers = {request.model: plan_one(workspace, request) for request in requests}
    plans = [answer for answer in answers.values() if isinstance(answer, Plan)]
    publish_plans(plans)
    failures = [f"{model}: {answer}" for model, answer in answers.items() if not isinstance(answer, Plan)]
    if failures:
        return Failed(message=f"{len(failures)} of {len(answers)} models cannot be planned. {failures[0]}")
    return Completed(message=f"{len(plans)} models planned; nothing was written")


def conclude(outcomes: Sequence[EnsureOutcome]) -> State[Any]:
    """Publish the table, and let the run's state tell the truth."""
    summary = summarise(outcomes)
    publish_outcomes(outcomes, summary)
    logger = get_run_logger()
    for outcome in outcomes:
        if outcome.error is not None:
            logger.error("%s: %s %s", outcome.model_id, outcome.error.message, " ".join(outcome.error.advice))
    told = f"{summary['verified']} of {summary['requested']} models verified"
    if summary["failed"]:
        first = next(outcome for outcome in outcomes if outcome.error is not None)
        return Failed(message=f"{told}. {first.model_id}: {first.error}", data=list(outcomes))
    return Completed(message=told, data=list(outcomes))


def outcome_of(download: Download, catalog: Catalog, future: PrefectFuture[Any]) -> EnsureOutcome:
    """Return how a model's task ended; an error that nobody foresaw is that model's failure too."""
    result = future.result(raise_on_failure=False)
    if isinstance(result, EnsureOutcome):
        return result
    if not isinstance(result, EnhancedModelAvailabilityError):
        result = EnhancedModelAvailabilityError(
            f"{download.model}: {type(result).__name__}: {result}", advice=("See the log of the model's task run.",)
        )
    return failed_outcome(download, catalog, result)


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

"""The road taken without an orchestrator: what the command line and Python programs call.

The order of the steps is the one of `flows.ensure_models`; tenacity repeats what can pass, by the delays of
`availability.retry`, where Prefect does it there.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from threading import Event
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from availability import road
from availability.catalog import Catalog, Priority
from availability.download import Download
from availability.errors import (
    DownloadFailedError,
    EnhancedModelAvailabilityError,
    FeatureOffError,
    ModelNotFoundError,
    StorageError,
    TransientError,
)
from availability.inventory import ModelStatus, known_ids, model_status
from availability.model import ModelId, parse_model_id
from availability.outcome import Ensured, EnsureOutcome, refused_outcome
from availability.plan import Plan
from availability.retry import may_pass, retry_delays
from availability.road import Ready
from availability.selection import Selection
from availability.status import Availability
from availability.storage import storage_errors
from availability.transfer.meter import Progress
from availability.workspace import Workspace

T = TypeVar("T")

ProgressListener = Callable[[ModelId, Progress], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One model that is asked for, which of its files, and how urgent it is."""

    model: ModelId
    selection: Selection
    priority: Priority = Priority.NORMAL


def requests_for(
    workspace: Workspace,
    catalog: Catalog,
    texts: Sequence[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variant: str | None = None,
    priority: Priority | None = None,
) -> tuple[list[Request], list[EnsureOutcome]]:
    """Return what is asked for, each model once and the most urgent first, and an outcome for each unknown name.

    Args:
        workspace: whose store may know a name, and whose policy holds.
        catalog: its aliases are understood, and its patterns hold where none are given here.
        texts: what was typed; none means every model of the catalog, the most urgent first.
        include: patterns of files to have.
        exclude: patterns of files to leave out.
        variant: a dtype, a quantisation or a format.
        priority: how urgent they are; None takes what the catalog says.

    Raises:
        InvalidModelIdError: a text can be no id.
    """
    requests: dict[ModelId, Request] = {}
    refused: list[EnsureOutcome] = []
    known = frozenset(known_ids(workspace))
    policy = workspace.settings.admission.pickle_policy
    for text in texts or [str(entry.model) for entry in catalog]:
        try:
            model = catalog.resolve(text, known)
        except ModelNotFoundError as error:
            refused.append(refused_outcome(text, error))
            continue
        entry = catalog.entry(model)
        if entry is not None and not (include or exclude or variant):
            selection = Selection(entry.include, entry.exclude, entry.variant, policy)
        else:
            selection = Selection(tuple(include), tuple(exclude), variant, policy)
        urgency = priority or (entry.priority if entry is not None else Priority.NORMAL)
        requests[model] = Request(model, selection, urgency)
    return sorted(requests.values(), key=lambda request: request.priority), refused


def ensure_all(
    workspace: Workspace,
    requests: Sequence[Request],
    *,
    catalog: Catalog,
    on_progress: ProgressListener | None = None,
    stop: Event | None = None,
    download_id: str | None = None,
) -> list[EnsureOutcome]:
    """Ensure several models, some at once; one model's failure does not stop the others.

    Args:
        workspace: where.
        requests: in the order in which they are begun.
        catalog: for the status they end with.
        on_progress: told how far each is, in any thread.
        stop: set to end all of them.
        download_id: the id of all of them; one each when None.

    Returns:
        One outcome for each request, in the same order.

    Raises:
        KeyboardInterrupt: passed on after every download has come to its end.
    """
    stop = stop or Event()
    at_once = min(len(requests), workspace.settings.download.max_concurrent_downloads) or 1

    def one(request: Request) -> EnsureOutcome:
        listener = partial(on_progress, request.model) if on_progress else None
        download = Download(
            workspace,
            request.model,
            request.selection,
            priority=request.priority,
            download_id=download_id,
            on_progress=listener,
            stop=stop,
            sharers=at_once,
        )
        return ensure_one(download, catalog)

    with ThreadPoolExecutor(at_once, thread_name_prefix="model") as pool:
        try:
            return list(pool.map(one, requests))
        except BaseException:
            stop.set()
            raise


def plan_one(workspace: Workspace, request: Request) -> Plan | EnhancedModelAvailabilityError:
    """Return what ensuring a model would do, or why it cannot be said; asks once and writes nothing."""
    download = Download(workspace, request.model, request.selection)
    try:
        with storage_errors(workspace, request.model, lambda: 0):
            return road.plan(download)
    except EnhancedModelAvailabilityError as error:
        return error


def ensure_one(download: Download, catalog: Catalog) -> EnsureOutcome:
    """Take one model from wherever it is to verified and published; a failure is part of the outcome."""
    try:
        ready = road.find_ready(download)
        if ready is None:
            check_feature(download)
            with download.held():
                ready = _travel(download)
    except EnhancedModelAvailabilityError as error:
        return failed_outcome(download, catalog, error)
    return ready_outcome(download, ready)


def check_feature(download: Download) -> None:
    """Make sure that fetching is switched on.

    Raises:
        FeatureOffError: it is not; what is there and proven still serves.
    """
    if not download.workspace.settings.features.enhanced_downloads:
        raise FeatureOffError(
            f"{download.model} is not ready, and enhanced_downloads is switched off: nothing was started.",
            advice=("Set ENHANCED_MODEL_FEATURES_ENHANCED_DOWNLOADS=true.",),
        )


def _travel(download: Download) -> Ready:
    # Another process may have brought it while we waited for it.
    ready = road.find_ready(download)
    if ready is not None:
        return ready
    download.begun = True
    made = attempt(download, lambda: road.plan(download))
    road.reserve(download, made)
    if made.absent:
        attempt(download, lambda: road.fetch(download, made))
    findings = road.check(download, made)
    if findings:
        attempt(download, lambda: road.repair(download, made, findings))
        road.confirm(download, made)
    return road.publish(download, made)


def attempt(download: Download, step: Callable[[], T]) -> T:
    """Take a step as often as the retry policy allows.

    Raises:
        DownloadFailedError: it could have passed, and did not in all its attempts.
        FinalError: another attempt would end the same way.
    """
    settings = download.workspace.settings.download
    delays = retry_delays(
        settings.max_retries, settings.retry_delay_seconds, settings.max_retry_delay_seconds, SystemRandom()
    )
    retrying = Retrying(
        stop=stop_after_attempt(len(delays) + 1),
        # It asks for a wait after the last attempt too, before it asks whether that was the last.
        wait=lambda state: (*delays, 0.0)[state.attempt_number - 1],
        retry=retry_if_exception(may_pass),
        after=lambda state: _note_failure(download, state),
        before_sleep=lambda _: download.note_retry(),
        sleep=download.sleep,
        reraise=True,
    )
    return retrying(step)


def _note_failure(download: Download, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Exception):
        download.note_failure(error)


def ready_outcome(download: Download, ready: Ready) -> Ensured:
    """Return the outcome of a road that ended well."""
    return Ensured(
        model_id=download.model.repo_id,
        revision=download.model.revision,
        commit=ready.commit,
        path=ready.path,
        availability_status=Availability.AVAILABLE,
        download_id=_id_of(download),
        bytes_total=ready.bytes_total,
        bytes_fetched=download.meter.bytes_fetched,
        seconds=download.seconds,
        attempts=download.attempts,
        sources=download.meter.bytes_by_source,
    )


def failed_outcome(download: Download, catalog: Catalog, error: EnhancedModelAvailabilityError) -> EnsureOutcome:
    """Return the outcome of a road that did not end well, with the status the disk tells now."""
    if isinstance(error, ModelNotFoundError):
        with suppress(StorageError):  # a store that cannot be listed names none
            error = name_near_ones(download.workspace, catalog, error)
    elif isinstance(error, TransientError):
        error = DownloadFailedError(
            str(download.model),
            error.message,
            download.meter.retries,
            tried=(*download.causes, *error.tried),
            advice=(
                "What has arrived is kept: ask again later, and only the rest is fetched.",
                f"See whether {download.workspace.settings.hub.endpoint} can be reached from this machine.",
            ),
        )
    status = _status_now(download, catalog)
    return EnsureOutcome(
        model_id=download.model.repo_id,
        revision=download.model.revision,
        commit=status.commit if status else None,
        path=None,
        availability_status=status.availability_status if status else Availability.MISSING,
        download_id=_id_of(download),
        bytes_total=download.meter.bytes_total or None,
        bytes_fetched=download.meter.bytes_fetched,
        seconds=download.seconds,
        attempts=download.attempts,
        sources=download.meter.bytes_by_source,
        error=error,
    )


def _status_now(download: Download, catalog: Catalog) -> ModelStatus | None:
    """Return what the disk tells; None when the disk is what fails, so that nothing can be shown to be there."""
    try:
        return model_status(download.workspace, download.model, catalog)
    except OSError:
        return None


def name_near_ones(workspace: Workspace, catalog: Catalog, error: ModelNotFoundError) -> ModelNotFoundError:
    """Return what a source said of an unknown name, with the names known here that look like it."""
    near = error.near or catalog.near(parse_model_id(error.model_id).repo_id, known_ids(workspace))
    return ModelNotFoundError(error.model_id, near=near, reason=error.reason)


def _id_of(download: Download) -> str | None:
    return download.download_id if download.begun else None

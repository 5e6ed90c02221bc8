"""The road taken without an orchestrator: what the command line and Python programs call.

It is the road of `flows.ensure_models`; tenacity repeats what can pass, by the delays of `availability.retry`, where
Prefect does it there.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from random import SystemRandom
from threading import Event
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from availability import road
from availability.catalog import Catalog
from availability.download import Download
from availability.errors import (
    DownloadFailedError,
    EnhancedModelAvailabilityError,
    ModelNotFoundError,
    StorageError,
    TransientError,
)
from availability.events import of_ensured
from availability.inventory import ModelStatus, known_ids, model_status
from availability.limits import bytes_per_second
from availability.model import ModelId, parse_model_id
from availability.outcome import Ensured, EnsureOutcome
from availability.plan import Plan
from availability.requests import Request, most_needed_first
from availability.retry import may_pass, retry_delays
from availability.road import Ready
from availability.status import Availability
from availability.storage import storage_errors
from availability.transfer.meter import Progress
from availability.transfer.throttle import Throttle
from availability.turns import Job, take_turns
from availability.workspace import Workspace

T = TypeVar("T")
Outcome = TypeVar("Outcome", bound=EnsureOutcome)

ProgressListener = Callable[[ModelId, Progress], None]


def ensure_all(
    workspace: Workspace,
    requests: Sequence[Request],
    *,
    catalog: Catalog,
    on_progress: ProgressListener | None = None,
    stop: Event | None = None,
    download_id: str | None = None,
    limit_mbps: float = 0.0,
) -> list[EnsureOutcome]:
    """Ensure several models, some at once; one model's failure does not stop the others.

    Args:
        workspace: where.
        requests: in the order in which they are begun; what the catalog wants is begun in the order of need.
        catalog: for the status they end with.
        on_progress: told how far each is, in any thread.
        stop: set to end all of them.
        download_id: the id of all of them; one each when None.
        limit_mbps: the speed limit of all of them together, in Mbit/s; 0 is none but the shared one.

    Returns:
        One outcome for each request, in the same order.

    Raises:
        KeyboardInterrupt: passed on after every download has come to its end.
    """
    stop, throttle = stop or Event(), Throttle(bytes_per_second(limit_mbps))
    slots = workspace.settings.download.max_concurrent_downloads
    downloads = [
        Download(
            workspace,
            request.model,
            request.selection,
            priority=request.priority,
            download_id=download_id,
            on_progress=partial(on_progress, request.model) if on_progress else None,
            stop=stop,
            sharers=min(len(requests), slots),
            throttle=throttle,
            asked=request.asked,
        )
        for request in requests
    ]
    seen = dict(zip(downloads, find_ready(downloads), strict=True))
    return bring_absent(
        workspace,
        catalog,
        seen,
        lambda one: Job(one.steering, partial(ensure_one, one, catalog), one.tell_waiting),
        stop,
    )


def find_ready(downloads: Sequence[Download]) -> list[Ensured | None]:
    """Return the outcome of each model for which nothing has to be done, None for the others.

    Those that are ready are left to the history all at once.
    """
    found = [(download, road.find_ready(download)) for download in downloads]
    seen = [ready_outcome(download, ready) if ready else None for download, ready in found]
    if downloads:
        told = (of_ensured(download, ready) for download, ready in zip(downloads, seen, strict=True) if ready)
        downloads[0].workspace.history.record(chain.from_iterable(told))
    return seen


def bring_absent(
    workspace: Workspace,
    catalog: Catalog,
    seen: Mapping[Download, Ensured | None],
    job_of: Callable[[Download], Job[EnsureOutcome]],
    stop: Event,
) -> list[EnsureOutcome]:
    """Do what has to be done for models that are not ready, each when it is its turn; return all outcomes in order.

    Args:
        workspace: where others wait as well.
        catalog: what it alone asks for is begun in the order of need.
        seen: each download with the outcome of one that is ready.
        job_of: what is done for one that is not.
        stop: set when all shall end.

    Raises:
        BaseException: see `take_turns`.
    """
    absent = [download for download, ready in seen.items() if ready is None]
    if not all(download.asked for download in absent):
        absent = most_needed_first(workspace, catalog, absent)
    slots = workspace.settings.download.max_concurrent_downloads
    turns = take_turns(workspace.queue, [job_of(download) for download in absent], slots, stop)
    brought = dict(zip(absent, turns, strict=True))
    return [ready or brought[download] for download, ready in seen.items()]


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
        download.may_start()
        with download.held():
            # Another process may have brought it while we waited for it.
            ready = road.find_ready(download) or attempt(download, lambda: road.travel(download))
    except EnhancedModelAvailabilityError as error:
        return recorded(download, failed_outcome(download, catalog, error))
    return recorded(download, ready_outcome(download, ready))


def recorded(download: Download, outcome: Outcome) -> Outcome:
    """Leave an outcome to the history, and return it."""
    download.workspace.history.record(of_ensured(download, outcome))
    return outcome


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
        step_seconds=download.meter.step_seconds,
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
                *error.advice,
                "What has arrived is kept: ask again later, and only the rest is fetched.",
                f"See whether {download.workspace.settings.hub.endpoint} can be reached from this machine.",
            ),
            cause=error,
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
        step_seconds=download.meter.step_seconds,
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
    named = ModelNotFoundError(error.model_id, near=near, reason=error.reason)
    named.tried = error.tried
    return named


def _id_of(download: Download) -> str | None:
    return download.download_id if download.begun else None

"""The one retry policy, as Prefect takes it: a list of delays, and a condition."""

from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from random import SystemRandom
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from availability.download import Download
from availability.errors import DownloadCancelledError, FinalError, TransientError
from availability.retry import may_pass, retry_delays
from availability.settings import DownloadSettings
from tasks.context import is_retry, task_run_id
from tasks.runs import cancel_task_run

P = ParamSpec("P")
R = TypeVar("R")

_LOOK_SECONDS = 0.25


def with_retries(step: Task[P, R], settings: DownloadSettings) -> Task[P, R]:
    """Return a task that is tried as often as the settings say, and only when another attempt can end differently."""
    delays = retry_delays(
        settings.max_retries, settings.retry_delay_seconds, settings.max_retry_delay_seconds, SystemRandom()
    )
    return step.with_options(retries=len(delays), retry_delay_seconds=list(delays), retry_condition_fn=_may_pass)


def _may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    result = state.result(raise_on_failure=False)
    return isinstance(result, BaseException) and may_pass(result)


def run_with_retries(step: Task[[Download], R], download: Download) -> R:
    """Take a step of a download as often as the settings say, and obey orders between two attempts as well.

    Prefect sleeps between them, and nothing wakes it. So the step has a thread of its own, and whoever waits for it
    here looks meanwhile what was ordered. A sleep that an order has made pointless is left to itself: what wakes from
    it later finds the download over, and does nothing.

    Raises:
        DownloadCancelledError, DownloadPausedError: it was told to end while the next attempt was waited for.
        EnhancedModelAvailabilityError: the step failed for good.
    """
    task = with_retries(step, download.workspace.settings.download)
    outcome: Future[R] = Future()

    def take() -> None:
        try:
            outcome.set_result(task(download))
        except BaseException as error:  # noqa: BLE001  carried to the thread that waits for it
            outcome.set_exception(error)

    Thread(target=copy_context().run, args=(take,), name="step", daemon=True).start()
    while not wait([outcome], timeout=_LOOK_SECONDS).done:
        if download.awaiting is not None:
            _obey(download, download.awaiting)
    return outcome.result()


def _obey(download: Download, task_run: str) -> None:
    try:
        download.tick()
    except FinalError as error:
        download.is_over = True
        cancel_task_run(task_run, error.message)
        raise


@contextmanager
def attempt(download: Download) -> Iterator[None]:
    """Count an attempt of a step, and note why it failed if it does."""
    if download.is_over:
        raise DownloadCancelledError(f"{download}: told to end while the next attempt was waited for")
    download.awaiting = download.meter.waiting = None
    if is_retry():
        download.note_retry()
    try:
        yield
    except TransientError as error:
        download.note_failure(error)
        download.meter.waiting = f"another attempt; {download.causes[-1]}"
        download.awaiting = task_run_id()
        raise

"""The one retry policy, as Prefect takes it: a list of delays, and a condition."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from availability.download import Download
from availability.errors import TransientError
from availability.retry import may_pass, retry_delays
from availability.settings import DownloadSettings
from tasks.runs import is_retry

P = ParamSpec("P")
R = TypeVar("R")


def with_retries(step: Task[P, R], settings: DownloadSettings) -> Task[P, R]:
    """Return a task that is tried as often as the settings say, and only when another attempt can end differently."""
    delays = retry_delays(
        settings.max_retries, settings.retry_delay_seconds, settings.max_retry_delay_seconds, SystemRandom()
    )
    return step.with_options(retries=len(delays), retry_delay_seconds=list(delays), retry_condition_fn=_may_pass)


def _may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    result = state.result(raise_on_failure=False)
    return isinstance(result, BaseException) and may_pass(result)


@contextmanager
def attempt(download: Download) -> Iterator[None]:
    """Count an attempt of a step, and note why it failed if it does."""
    if is_retry():
        download.note_retry()
    try:
        yield
    except TransientError as error:
        download.note_failure(error)
        raise

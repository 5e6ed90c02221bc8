"""The only place that looks up Prefect runs, and how large values reach their tasks."""

from typing import TypeVar, cast

from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.utilities.annotations import quote

T = TypeVar("T")


def flow_run_id() -> str | None:
    """Return the id of the flow run we are in, which is also its downloads' id; None outside of one."""
    found: str | None = flow_run.get_id()
    return found


def is_retry() -> bool:
    """Say whether the task run we are in has been tried before."""
    context = TaskRunContext.get()
    return context is not None and context.task_run.run_count > 1


def whole(value: T) -> T:
    """Hand a value to a task as it is.

    Prefect looks through every part of an argument for runs to wait for; of a plan of 20,000 files that takes seconds.
    """
    return cast("T", quote(value))  # Prefect takes the wrapper off again

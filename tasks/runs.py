"""The only place that looks up Prefect runs."""

from prefect.context import TaskRunContext
from prefect.runtime import flow_run


def flow_run_id() -> str | None:
    """Return the id of the flow run we are in, which is also its downloads' id; None outside of one."""
    found: str | None = flow_run.get_id()
    return found


def is_retry() -> bool:
    """Say whether the task run we are in has been tried before."""
    context = TaskRunContext.get()
    return context is not None and context.task_run.run_count > 1

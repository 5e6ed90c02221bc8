"""Which Prefect run we are in."""

from prefect.context import FlowRunContext, TaskRunContext
from prefect.runtime import deployment, flow_run

from availability.history import Attempt


def flow_run_id() -> str | None:
    """Return the id of the flow run we are in, which is also its downloads' id; None outside of one."""
    found: str | None = flow_run.get_id()
    return found


def is_deployed() -> bool:
    """Say whether the run we are in is a deployment's, so that nobody receives what the flow returns."""
    return deployment.id is not None


def attempt_of_run() -> Attempt | None:
    """Return which attempt of which run we are in, for the history; None outside of runs."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    # A task's own run count tells its attempts apart; what a flow does between tasks is told by the flow's.
    if task is not None:
        return Attempt(str(task.task_run.flow_run_id), str(task.task_run.id), task.task_run.run_count)
    if flow is not None and flow.flow_run is not None:
        return Attempt(str(flow.flow_run.id), None, flow.flow_run.run_count)
    return None


def runner() -> str | None:
    """Return the flow run we are in as people know it; None outside of one."""
    run_id = flow_run_id()
    return f"flow run {flow_run.get_name()} ({run_id})" if run_id else None


def is_retry() -> bool:
    """Say whether the task run we are in has been tried before."""
    context = TaskRunContext.get()
    return context is not None and context.task_run.run_count > 1


def task_run_id() -> str | None:
    """Return the id of the task run we are in; None outside of one."""
    context = TaskRunContext.get()
    return str(context.task_run.id) if context is not None else None

"""Running an action of one's own as a Prefect task."""

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from availability.actions import ActionContext, ActionResult, run_action


# Never cached: an action does something, and what it observes is the disk.
@task(name="action", task_run_name="action {action_type}", cache_policy=NO_CACHE, persist_result=False)
def carry_out(context: ActionContext, action_type: str, parameters: Mapping[str, object]) -> ActionResult:
    """Run the action of a name."""
    return run_action(context, action_type, parameters)

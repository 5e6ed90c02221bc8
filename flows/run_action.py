"""Run an action of one's own: by name, with parameters that are checked first, and an honest end."""

from typing import Any

from prefect import State, flow
from prefect.states import Completed, Failed

from availability.actions import ActionContext
from availability.errors import UsageError
from availability.opening import catalog_of
from availability.registry import actions
from tasks.actions import carry_out
from tasks.ending import failed
from tasks.runs import whole
from tasks.workspace import open_workspace


@flow(name="run-action", flow_run_name="run {action_type}")
def run_action(action_type: str = "", parameters: dict[str, Any] = {}) -> State[Any]:  # noqa: B006  the form wants a mapping
    """Run an action that an installed package has registered (availability.registry.actions).

    Args:
        action_type: The name under which the action is registered; empty only says which actions there are.
        parameters: What the action takes; wrong ones are told before anything is done.
    """
    if not action_type:
        return Completed(message=f"Actions that are installed here: {', '.join(actions.names()) or 'none'}")
    workspace = open_workspace({})
    context = ActionContext(workspace, catalog_of(workspace.settings))
    try:
        result = carry_out(whole(context), action_type, whole(parameters))
    except UsageError as error:
        return Failed(message=" ".join((error.message, *error.advice)))
    message = f"{action_type}: {result.details}"
    return Completed(message=message, data=result) if result.success else failed(message, result)

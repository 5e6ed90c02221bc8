"""Answer a request for a model at once: it is here, or this was begun, or this is why not and what could be done."""

from time import monotonic
from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from availability.answer import ActionTaken, RequestAnswer
from availability.catalog import Priority
from availability.desk import Desk
from availability.fallback.form import RequirementsForm
from availability.opening import catalog_of
from tasks.context import is_deployed
from tasks.ending import failed
from tasks.events import tell_requested
from tasks.fallback import settle
from tasks.fallback_artifacts import publish_answer
from tasks.requests import answer_request, approve_answer, wait_for_answer
from tasks.runs import PrefectRunner, whole
from tasks.workspace import open_workspace

MOST_MINUTES = 7 * 24 * 60


@flow(name="request-model", flow_run_name="request {model}")
def request_model(
    model: str,
    requirements: RequirementsForm = RequirementsForm(),  # noqa: B008  frozen, and the form is made from it
    priority: Priority | None = None,
    wait_minutes: Annotated[float, Field(ge=0, le=MOST_MINUTES)] = 0,
) -> State[Any]:
    """Ask for a model. It is answered at once; what takes time is begun, and can be followed by its id.

    Called from Python or from another flow it returns a RequestAnswer. Started from the UI it fails when the model
    cannot be had, and asks there who stands in where the catalog says ask.

    Args:
        model: The model as org/name or org/name@revision, or an alias of the catalog.
        requirements: What a model that stands in for it must be; empty takes what the catalog says.
        priority: How urgent it is; empty takes what the catalog says.
        wait_minutes: Wait so long for a model that is being fetched, and be answered when it is ready; 0 does not wait.
    """
    began = monotonic()
    workspace = open_workspace({})
    catalog = catalog_of(workspace.settings)
    settle(workspace, catalog)
    desk = Desk(workspace, catalog, PrefectRunner())
    answer = answer_request(whole(desk), model, requirements.value(), priority)
    if is_deployed():
        answer = approve_answer(desk, answer)
    tell_requested(answer, monotonic() - began)
    if wait_minutes:
        answer = wait_for_answer(desk, answer, requirements, priority, wait_minutes)
    publish_answer(answer)
    return conclude(answer)


def conclude(answer: RequestAnswer) -> State[Any]:
    """Let the state say what was answered; of a deployed run nobody receives what it returns."""
    if answer.action_taken is ActionTaken.ERROR and is_deployed():
        return failed(answer.message, answer)
    name = "".join(word.capitalize() for word in answer.action_taken.value.split("_"))
    return Completed(name=name, message=answer.message, data=answer)

"""The law of own actions: run by name with checked parameters, and a success only when it says so itself."""

import pytest
from pydantic import Field

from availability.actions import ActionResult
from availability.errors import ModelNotFoundError
from availability.registry import ExtensionSettings, actions
from flows.run_action import run_action

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "store")]


class Warmth(ExtensionSettings):
    degrees: int = Field(ge=0)


class Warm:
    """What it is made with and what it says are the test's."""

    says = ActionResult(True, "It is warm.", {"degrees": 7})

    def __init__(self, context, settings):
        self.degrees = settings.degrees
        self.context = context

    def run(self):
        said = vars(Warm)["says"]
        if isinstance(said, Exception):
            raise said
        return said(self) if callable(said) else said


@pytest.fixture(autouse=True)
def warm(monkeypatch):
    actions.register("warm", settings=Warmth)(Warm)
    yield monkeypatch.setattr
    actions.remove("warm")


def ended(parameters, action_type="warm"):
    return run_action(action_type, parameters, return_state=True)


def test_it_is_made_with_the_place_and_its_parameters_and_says_what_came_of_it(warm, store):
    warm(Warm, "says", lambda self: ActionResult(True, f"{self.context.workspace.store.root} has {self.degrees}."))
    state = ended({"degrees": 7})
    assert (state.type, state.message) == ("COMPLETED", f"warm: {store} has 7.")


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (ActionResult(False, "It is cold."), "warm: It is cold."),
        (ZeroDivisionError("a mistake"), "warm: It raised ZeroDivisionError: a mistake."),
        (ModelNotFoundError("org/x"), "warm: Model 'org/x' was not found. Check the spelling"),
        (None, "warm: It returned NoneType instead of an ActionResult."),
    ],
    ids=["says so", "raises", "raises one of ours", "says nothing"],
)
def test_what_did_not_succeed_has_failed(warm, says, message):
    warm(Warm, "says", says)
    state = ended({"degrees": 7})
    assert state.type == "FAILED"
    assert state.message.startswith(message)


@pytest.mark.parametrize(
    ("action_type", "parameters", "message"),
    [
        ("cool", {}, "There is no action 'cool'; there are warm."),
        ("warm", {}, "The action 'warm' cannot take its parameters: degrees: Field required."),
        ("warm", {"degrees": -1}, "degrees: Input should be greater than or equal to 0"),
        ("warm", {"degrees": 1, "wind": 2}, "wind: Extra inputs are not permitted"),
    ],
    ids=["no such action", "too few", "out of bounds", "too many"],
)
def test_what_cannot_be_understood_is_told_before_anything_is_done(warm, action_type, parameters, message):
    warm(Warm, "says", AssertionError("it was run"))
    state = ended(parameters, action_type)
    assert state.type == "FAILED"
    assert message in state.message

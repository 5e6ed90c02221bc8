"""Actions of one's own: a name, validated parameters, something that is done, and what came of it.

`availability.registry.actions` holds them; the flow `run_action` runs one. The parameters of an action are the settings
with which it is registered, so that a wrong one is told before anything is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypedDict

from availability.catalog import Catalog
from availability.errors import EnhancedModelAvailabilityError
from availability.registry import actions
from availability.workspace import Workspace


class ActionResultRecord(TypedDict):
    """An `ActionResult` as plain data."""

    action_type: str
    success: bool
    details: str
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came of an action.

    Attributes:
        success: whether it did what it is for, as it has seen.
        details: as a sentence.
        data: figures for who wants to know more; plain data.
    """

    success: bool
    details: str
    data: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self, action_type: str) -> ActionResultRecord:
        """Return the result as plain data."""
        return ActionResultRecord(
            action_type=action_type, success=self.success, details=self.details, data=dict(self.data)
        )


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action is made with: where it works, and the catalog that is in force."""

    workspace: Workspace
    catalog: Catalog


class Action(Protocol):
    """Something that is done on demand."""

    def run(self) -> ActionResult:
        """Do it, and say what came of it."""


def run_action(context: ActionContext, action_type: str, parameters: Mapping[str, object]) -> ActionResult:
    """Run the action of a name; one that raises has failed, and says so.

    Raises:
        UsageError: there is no such action, or the parameters are not its; nothing was done.
    """
    action = actions.make(action_type, context, parameters)
    try:
        result = action.run()
    except EnhancedModelAvailabilityError as error:
        return ActionResult(False, " ".join((error.message, *error.advice)))
    except Exception as error:  # noqa: BLE001  an action may be anybody's code
        return ActionResult(False, f"It raised {type(error).__name__}: {error}.")
    # A protocol is not checked when it is called, and a success that nobody has claimed is none.
    if not isinstance(result, ActionResult):
        return ActionResult(False, f"It returned {type(result).__name__} instead of an ActionResult.")
    return result

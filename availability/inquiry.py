"""Asking from Python, without a server, whether a model can be had: the answer of a request, and nothing is begun."""

from availability.answer import RequestAnswer
from availability.desk import Desk
from availability.fallback.requirements import NOTHING_REQUIRED, Requirements
from availability.opening import catalog_of, open_workspace
from availability.workspace import Workspace


def request(
    model: str, *, requirements: Requirements | None = None, workspace: Workspace | None = None
) -> RequestAnswer:
    """Say whether a model can be had now, and what could be done if not; starts nothing, and decides nothing for good.

    The flow `request_model` answers in the same words, and begins what takes time.

    Args:
        model: `org/name[@revision]`, or an alias of the catalog.
        requirements: what a model that stands in for it must be; None takes what the catalog says.
        workspace: where; see `open_workspace`.

    Raises:
        InvalidModelIdError: the text can be no id.
    """
    here = workspace or open_workspace()
    desk = Desk(here, catalog_of(here.settings), remembers=False)
    return desk.answer(model, requirements=requirements or NOTHING_REQUIRED)

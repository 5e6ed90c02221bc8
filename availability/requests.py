"""What is asked for: which models, which of their files, how urgent each is, and in which order they are begun.

Names are resolved, not asked for: whether a model exists is for a source to say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from availability.catalog import Catalog, Priority
from availability.errors import ModelNotFoundError
from availability.inventory import known_ids, model_status
from availability.model import ModelId
from availability.outcome import EnsureOutcome, refused_outcome
from availability.selection import Selection
from availability.status import Availability
from availability.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Request:
    """One model that is asked for, which of its files, how urgent it is, and whether by more than the catalog."""

    model: ModelId
    selection: Selection
    priority: Priority = Priority.NORMAL
    asked: bool = True


def request_for(workspace: Workspace, catalog: Catalog, model: ModelId) -> Request:
    """Return what asking for a model means when nobody says more: what its catalog entry says, else all its files."""
    entry = catalog.entry(model)
    policy = workspace.settings.admission.pickle_policy
    if entry is None:
        return Request(model, Selection(pickle_policy=policy))
    return Request(model, Selection(entry.include, entry.exclude, entry.variant, policy), entry.priority)


def requests_for(
    workspace: Workspace,
    catalog: Catalog,
    texts: Sequence[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variant: str | None = None,
    priority: Priority | None = None,
) -> tuple[list[Request], list[EnsureOutcome]]:
    """Return what is asked for, each model once and the most urgent first, and an outcome for each unknown name.

    Args:
        workspace: whose store may know a name, and whose policy holds.
        catalog: its aliases are understood, and its patterns hold where none are given here.
        texts: what was typed; none means every model of the catalog, the most urgent first.
        include: patterns of files to have.
        exclude: patterns of files to leave out.
        variant: a dtype, a quantisation or a format.
        priority: how urgent they are; None takes what the catalog says.

    Raises:
        InvalidModelIdError: a text can be no id.
    """
    requests: dict[ModelId, Request] = {}
    refused: list[EnsureOutcome] = []
    known = frozenset(known_ids(workspace))
    for text in texts or [str(entry.model) for entry in catalog]:
        try:
            model = catalog.resolve(text, known)
        except ModelNotFoundError as error:
            refused.append(refused_outcome(text, error))
            continue
        usual = request_for(workspace, catalog, model)
        selection = usual.selection
        if include or exclude or variant:
            selection = Selection(tuple(include), tuple(exclude), variant, selection.pickle_policy)
        requests[model] = Request(model, selection, priority or usual.priority, asked=bool(texts))
    return sorted(requests.values(), key=lambda request: request.priority), refused


class Wanted(Protocol):
    """A model that is wanted, and how urgently."""

    @property
    def model(self) -> ModelId:
        """Which."""

    @property
    def priority(self) -> Priority:
        """How urgently."""


W = TypeVar("W", bound=Wanted)


def most_needed_first(workspace: Workspace, catalog: Catalog, wanted: Iterable[W]) -> list[W]:
    """Order models that are not ready by how much they are needed.

    That is by priority, then those that somebody waits for, then corrupted before missing, then the most used first.

    Args:
        workspace: whose disk says which are corrupted, and whose past says how they are used.
        catalog: for their status.
        wanted: what is to be ordered; without history it stays in its order.
    """

    def need(one: W) -> tuple[Priority, bool, bool, float]:
        past = workspace.past.of(one.model.repo_id)
        is_corrupted = model_status(workspace, one.model, catalog).availability_status is Availability.CORRUPTED
        return one.priority, not past.waiting, not is_corrupted, -(past.uses_per_day or 0.0)

    return sorted(wanted, key=need)

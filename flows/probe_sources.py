"""Ask every source how it does, and show the answers as a table."""

from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from availability.inventory import known_ids
from availability.opening import catalog_of
from availability.supply import SourceState
from tasks.ending import failed
from tasks.sources import ask_sources, publish_sources
from tasks.usage import shipped
from tasks.workspace import open_workspace


@flow(name="probe-sources")
def probe_sources(
    models: list[str] = [],  # noqa: B006  Prefect makes the form from it, and a form wants a list, not nothing
    max_models: Annotated[int, Field(ge=1, le=10_000)] = 25,
) -> State[Any]:
    """Ask every source how it does: whether it answers, sends what the hub says, and how far it is behind.

    When a source is left alone from now on, or taken up again, it is told as the event source.breaker. The run fails
    when none of the sources that were asked answers.

    Args:
        models: What they are asked about, as org/name or aliases; empty means what is in the store.
        max_models: At most so many models of the store; each costs every source one request.
    """
    workspace = open_workspace({})
    catalog = catalog_of(workspace.settings)
    known = frozenset(known_ids(workspace))
    named = [catalog.resolve(text, known) for text in models] or sorted(workspace.store.models())[:max_models]
    with shipped(workspace):
        states = ask_sources(workspace, named)
    told = headline(states)
    publish_sources(states, [*workspace.assembly.problems.values()], told)
    asked = [state for state in states if state.is_well is not None]
    if asked and not any(state.is_well for state in asked):
        return failed(told, states)
    return Completed(message=told, data=states)


def headline(states: list[SourceState]) -> str:
    """Return the whole in one line."""
    well = sum(state.is_well is True for state in states)
    silent = [state.member.name for state in states if state.is_well is False]
    away = [state.member.name for state in states if not state.member.account.breaker.is_closed]
    told = f"{well} of {len(states)} sources answered"
    told += f"; {', '.join(silent)} did not" if silent else ""
    return told + (f"; {', '.join(away)} left alone for now" if away else "")

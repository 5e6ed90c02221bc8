"""Say how healthy everything in the store is, as a page that people look at."""

from typing import Any

from prefect import State, flow
from prefect.states import Completed

from availability.system_health import SystemHealth
from tasks.events import tell_storage_low
from tasks.health import look_at_system
from tasks.health_artifacts import publish_system
from tasks.workspace import open_catalog, open_workspace


@flow(name="report-health")
def report_health(refresh: bool = False) -> State[Any]:
    """Show the health of the whole: score, room, the worst models first, what to do. Reads no content.

    When the room runs out, it is told as the event storage.low.

    Args:
        refresh: Look at the disk anew, however young the last look is.
    """
    workspace = open_workspace({})
    system = look_at_system(workspace, open_catalog(workspace.settings), refresh=refresh)
    if system.storage_level != "ok":
        tell_storage_low(system)
    told = headline(system)
    publish_system(system, workspace.settings.health, told)
    return Completed(message=told, data=system)


def headline(system: SystemHealth) -> str:
    """Return the whole in one line."""
    counts = ", ".join(f"{count} {word}" for word, count in system.counts.items() if count) or "no models"
    score = "" if system.overall_score is None else f", overall score {system.overall_score:.2f}"
    return f"{counts}{score}, storage {system.storage_level}"

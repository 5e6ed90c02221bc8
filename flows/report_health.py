"""Say how healthy everything in the store is, as a page that people look at."""

from typing import Any

from prefect import State, flow
from prefect.states import Completed

from availability.opening import catalog_of
from availability.sweep import record_inventory
from availability.system_health import SystemHealth
from tasks.alerts import watch
from tasks.events import tell_storage_low
from tasks.health import look_at_system
from tasks.health_artifacts import publish_system
from tasks.usage import shipped
from tasks.workspace import open_workspace


@flow(name="report-health")
def report_health(refresh: bool = False) -> State[Any]:
    """Show the health of the whole: score, room, the worst models first, what to do. Reads no content.

    What is worth an alert is told as events: little room, a model that has not been available for long, downloads that
    fail too often, models that load more slowly than they used to.

    Args:
        refresh: Look at the disk anew, however young the last look is.
    """
    workspace = open_workspace({})
    catalog = catalog_of(workspace.settings)
    with shipped(workspace):
        system = look_at_system(workspace, catalog, refresh=refresh)
        record_inventory(workspace, catalog, refresh=False)
    if system.storage_level != "ok":
        tell_storage_low(system)
    told = "; ".join([headline(system), *watch(workspace, catalog, system)])
    publish_system(system, workspace.settings.health, told)
    return Completed(message=told, data=system)


def headline(system: SystemHealth) -> str:
    """Return the whole in one line."""
    counts = ", ".join(f"{count} {word}" for word, count in system.counts.items() if count) or "no models"
    score = "" if system.overall_score is None else f", overall score {system.overall_score:.2f}"
    return f"{counts}{score}, storage {system.storage_level}"

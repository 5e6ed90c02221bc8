"""Keep the history in order: ship what waits, and once a day put days in order, delete what is too old, publish."""

from typing import Any

from prefect import State, flow
from prefect.states import Completed

from tasks.usage import tend_history
from tasks.workspace import open_workspace


@flow(name="ship-events")
def ship_events(tidy: bool | None = None) -> State[Any]:
    """Bring what was recorded on this worker into the history, and do the day's work when it is due.

    The day's work puts days in order, deletes events older than the retention, and publishes the file for any DuckDB
    client. Afterwards the figures that status, health and the order of downloads use are those of now.

    Args:
        tidy: Do the day's work now (true), not now (false), or when it is due (empty).
    """
    workspace = open_workspace({})
    if not workspace.settings.features.usage_analytics:
        return Completed(name="Skipped", message="usage_analytics is switched off; nothing was shipped")
    done = tend_history(workspace, tidy)
    return Completed(message=done.sentence() if done else "Another process on this machine is at it", data=done)

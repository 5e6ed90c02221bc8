"""Show how models were used, kept and available, as a page that people look at."""

from pathlib import Path
from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from tasks.usage import report_history, ship
from tasks.workspace import open_workspace


@flow(name="report-usage")
def report_usage(days: Annotated[float, Field(gt=0)] = 30, zone: str = "UTC", output: str | None = None) -> State[Any]:
    """Show the history as a page with charts: an artifact here, and a file of its own that needs no network.

    Args:
        days: How far back it looks.
        zone: The time zone of days and hours, such as Europe/Berlin.
        output: Where the file goes; empty means usage-report.html in the worker's state folder.
    """
    workspace = open_workspace({})
    ship(workspace)
    place = Path(output) if output else workspace.state / "usage-report.html"
    made = report_history(workspace, days, zone, place)
    return Completed(message=f"{made.events:,} events of {days:g} days in {place}", data=place)

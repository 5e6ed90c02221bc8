"""Orders for downloads as Prefect tasks, and what is shown of downloads in the UI."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from availability import managing
from availability.catalog import Catalog, Priority
from availability.downloads import ListedDownload
from availability.model import ModelId
from availability.orders import Order
from availability.workspace import Workspace
from tasks.context import runner

KEY = "downloads"


@task(name="order", task_run_name="{action} {model}", cache_policy=NO_CACHE, persist_result=False)
def give_order(
    action: str,
    model: ModelId,
    workspace: Workspace,
    catalog: Catalog,
    *,
    priority: Priority,
    limit_mbps: float,
) -> Order:
    """Write an order down; whoever runs the download follows it within a second.

    Args:
        action: pause, resume, cancel, set_priority or set_limit.
        model: whose download.
        workspace: where.
        catalog: what is listed there may be paused before anybody downloads it.
        priority: with set_priority.
        limit_mbps: with set_limit.

    Raises:
        NoDownloadError: there is no download that it could be meant for.
    """
    by = runner() or "a flow outside of a run"
    match action:
        case "pause":
            return managing.pause(workspace, catalog, model, by=by)
        case "resume":
            return managing.resume(workspace, model, by=by)
        case "cancel":
            return managing.cancel(workspace, model, by=by)
        case "set_priority":
            return managing.set_priority(workspace, model, priority, by=by)
        case "set_limit":
            return managing.set_limit(workspace, model, limit_mbps, by=by)
        case _:
            raise ValueError(f"{action!r} is no order")


def publish_downloads(shown: Sequence[ListedDownload], headline: str) -> None:
    """Show what runs, what waits in its order, and what is paused."""
    create_table_artifact([_row(download) for download in shown], key=KEY, description=f"**{escape(headline)}**")


def _row(download: ListedDownload) -> dict[str, object]:
    told = download.as_dict()
    speed, left = told["bytes_per_second"], told["seconds_left"]
    return {
        "model": escape(str(download.model)),
        "state": told["state"],
        "place": told["position"],
        "priority": told["priority"],
        "done (%)": told["percent"],
        "size (MB)": None if told["bytes_total"] is None else round(told["bytes_total"] / 1e6, 1),
        "speed (MB/s)": None if speed is None else round(speed / 1e6, 2),
        "left (s)": None if left is None else round(left),
        "turn in (s)": None if told["starts_in_seconds"] is None else round(told["starts_in_seconds"]),
        "limit (Mbit/s)": told["limit_mbps"],
        "since": f"{datetime.fromtimestamp(told['since'], UTC):%Y-%m-%d %H:%M} UTC",
        "who": escape(told["runner"] or ""),
        "why": escape(told["reason"] or told["waiting"] or ""),
    }

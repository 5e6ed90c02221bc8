"""The history under Prefect: shipped at the end of each run, tended and reported in runs of their own.

With `commands/` the only place where the domain and analytics meet: settings go in, plain values come out. What its
tasks return is named in quotation marks, so that runs that only ship do not load what answers questions and draws.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

import analytics
from analytics.spool import Spool
from availability.past import write_past
from availability.workspace import Workspace

REPORT_KEY = "usage-report"
SHIP_SECONDS = 30.0
"""How long a run waits for its events to be shipped; the next run goes on with what is left."""


@contextmanager
def shipped(workspace: Workspace) -> Iterator[None]:
    """Ship what is recorded when the block has ended, well or not: a run's machine may be gone a moment later.

    Whoever is told to end is not held up. Nothing that goes wrong here reaches the run.
    """
    try:
        yield
    except Exception:
        ship(workspace)
        raise
    ship(workspace)


def ship(workspace: Workspace) -> None:
    """Ship what is in the spool; what cannot be shipped now is a warning, and stays there."""
    if not workspace.settings.features.usage_analytics:
        return
    workspace.history.close()
    if not Spool(workspace.spool).has_news():
        return
    done: list[analytics.Shipped] = []
    shipping = Thread(
        target=lambda: done.append(analytics.ship_safely(workspace.spool, workspace.settings.history_url)),
        name="shipping",
        daemon=True,  # a store that does not answer must not keep the process
    )
    shipping.start()
    shipping.join(SHIP_SECONDS)
    if not done:
        get_run_logger().warning("The history does not answer; the events stay in the spool %s", workspace.spool)
    elif done[0].problem:
        get_run_logger().warning("The events stay in the spool %s: %s", workspace.spool, done[0].problem)
    else:
        get_run_logger().info("%d events shipped, %d refused", done[0].events, done[0].rejected)


# Never cached: what it does is the point of it.
@task(name="tend", cache_policy=NO_CACHE, persist_result=False)
def tend_history(workspace: Workspace, tidy: bool | None) -> "analytics.Tended | None":
    """Ship, put days in order, delete what is too old, publish; None when somebody else on this machine is at it.

    Raises:
        analytics.AnalyticsError: the history cannot be reached; what was not shipped stays in the spool.
    """
    settings = workspace.settings
    workspace.history.close()
    return analytics.tend_history(
        workspace.spool,
        analytics.open_store(settings.history_url),
        retention_days=settings.analytics.retention_days,
        published_days=settings.analytics.published_days,
        keep=partial(write_past, workspace.past.path),
        tidy=tidy,
    )


@task(name="report", cache_policy=NO_CACHE, persist_result=False)
def report_history(workspace: Workspace, days: float, zone: str, output: Path) -> "analytics.Report":
    """Ask the history everything that the page shows, show it, and write it to a file.

    Raises:
        analytics.AnalyticsError: the history cannot be reached.
    """
    with analytics.connect(workspace.settings.history_url) as history:
        made = analytics.make_report(history, days=days, zone=zone)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(made.html(), encoding="utf-8")
    create_markdown_artifact(made.markdown(), key=REPORT_KEY, description=f"{made.events:,} events; also in {output}")
    return made

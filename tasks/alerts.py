"""Looking for what alerts wait for and nobody else tells: outages that last, downloads that fail, loads that slow down.

What is found is told as events each time it is looked for; the cool-down is the automation's. The names of `analytics`
are used inside functions only: it loads its database when they are.
"""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

import analytics
from availability.catalog import Catalog
from availability.outages import Outages
from availability.system_health import SystemHealth
from availability.workspace import Workspace
from tasks.events import tell_downloads_failing, tell_slower, tell_unavailable


# Never cached: what it observes changes.
@task(name="watch", cache_policy=NO_CACHE, persist_result=False)
def watch(workspace: Workspace, catalog: Catalog, system: SystemHealth) -> list[str]:
    """Tell what is worth an alert; return the same as a few words each."""
    return [*watch_outages(workspace, catalog, system), *watch_history(workspace)]


def watch_outages(workspace: Workspace, catalog: Catalog, system: SystemHealth) -> list[str]:
    """Tell which models of the catalog have not been usable for longer than they may."""
    listed = {entry.model for entry in catalog}
    statuses = [model.status for model in system.models if model.status.model in listed]
    try:
        outages = Outages(workspace.state / "outages.json").look(statuses, system.checked_at)
    except OSError as error:
        get_run_logger().warning("Since when models cannot be used was not remembered: %s", error)
        return []
    most = workspace.settings.alerts.unavailable_minutes * 60
    lasting = [outage for outage in outages if outage.seconds >= most]
    for outage in lasting:
        tell_unavailable(outage)
    return [f"{outage.status.model} not available for {outage.seconds / 60:.0f} minutes" for outage in lasting]


def watch_history(workspace: Workspace) -> list[str]:
    """Tell what the history says: too many downloads failed, or models load more slowly than they used to."""
    if not workspace.settings.features.usage_analytics:
        get_run_logger().info("usage_analytics is switched off: failures and load times are not watched")
        return []
    alerts, url = workspace.settings.alerts, workspace.settings.history_url
    try:
        with analytics.connect(url) as history:
            window = {"hours": alerts.failure_window_hours}
            rates = analytics.run_query(history, "failure_rate", window).records()
            tolerance = {"tolerance": alerts.slower_load_percent / 100}
            slower = analytics.run_query(history, "regressions", tolerance).records()
    except analytics.AnalyticsError as error:
        get_run_logger().warning("Failures and load times were not watched: %s", error)
        return []
    failing = [rate for rate in rates if rate["failure_percent"] > alerts.failure_rate_percent]
    for rate in failing:
        tell_downloads_failing(rate, alerts.failure_window_hours, url)
    for regression in slower:
        tell_slower(regression)
    return [
        *(f"{rate['failures']} of {rate['downloads']} downloads failed" for rate in failing),
        *(f"{regression['model_id']} loads {regression['slower_by']:.0%} slower" for regression in slower),
    ]

"""When deployments run by themselves, as the settings want it: what `make deploy` writes and a run compares.

A schedule whose slug is the name of a setting, such as `health-check-interval-hours`, runs as often as that setting
says; the others run as `prefect.yaml` says. The server has a copy of all this, so a setting that was changed meanwhile
holds for the run and not for its schedule: the run says so, and does not mend it.
"""

from collections.abc import Iterable
from datetime import timedelta
from operator import attrgetter

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment

from availability.settings import Settings, definitions

_SETTINGS = {item.name.translate(str.maketrans("._", "--")): item for item in definitions() if item.unit == "h"}


def wanted_interval(slug: str | None, settings: Settings) -> timedelta | None:
    """Return how often the settings want a schedule to run; None for one that follows no setting."""
    found = _SETTINGS.get(slug or "")
    return timedelta(hours=attrgetter(found.name)(settings)) if found else None


def is_switched_off(name: str, settings: Settings) -> bool:
    """Say whether the settings want a deployment not to run by itself."""
    return not {name, "*"}.isdisjoint(settings.schedules.switched_off)


def disagreements(name: str, schedules: Iterable[DeploymentSchedule], settings: Settings) -> list[str]:
    """Return what the server does otherwise than the settings want, a sentence for each schedule.

    Args:
        name: the deployment's.
        schedules: its schedules on the server.
        settings: those of the run.
    """
    return [told for schedule in schedules if schedule.active and (told := _disagreement(name, schedule, settings))]


def tell_disagreements(settings: Settings) -> None:
    """Say in the run we are in what its schedules do otherwise than the settings want; a lost server says nothing."""
    if not deployment.id:
        return
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment(deployment.id)
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().debug("The schedules were not compared with the settings: %s", type(error).__name__)
        return
    for told in disagreements(found.name, found.schedules, settings):
        get_run_logger().warning("%s Mend it: make up, or make deploy", told)


def _disagreement(name: str, schedule: DeploymentSchedule, settings: Settings) -> str:
    slug = schedule.slug or "without a name"
    if is_switched_off(name, settings):
        return f"The schedule {slug} is active, and ENHANCED_MODEL_SCHEDULES_SWITCHED_OFF names {name}."
    wanted = wanted_interval(schedule.slug, settings)
    if wanted is None:
        return ""
    has = schedule.schedule.interval if isinstance(schedule.schedule, IntervalSchedule) else None
    if has == wanted:
        return ""
    often = f"every {_hours(has)}" if has else "not at an interval"
    return f"The schedule {slug} runs {often}, and {_SETTINGS[slug].env_name} says every {_hours(wanted)}."


def _hours(interval: timedelta) -> str:
    return f"{interval.total_seconds() / 3600:g} h"

"""The settings of a stack that runs by itself: how often it does what, and when people are told of what."""

from typing import Annotated

from pydantic import Field

from availability.settings.group import Group
from availability.settings.words import BlockName, DeploymentNames, Percent, Shown

Hours = Annotated[float, Shown(unit="h")]


class SchedulesSettings(Group):
    """How often deployments run by themselves; `make up` and `make deploy` carry a change over to the server."""

    ensure_interval_hours: Hours = Field(6, ge=1, le=720, description="How often the whole catalog is ensured.")
    repair_interval_hours: Hours = Field(
        6, ge=1, le=720, description="How often the corrupted models are repaired whose event was lost."
    )
    report_interval_hours: Hours = Field(
        1, ge=1, le=720, description="How often health is reported, and what alerts speak of is looked for."
    )
    switched_off: DeploymentNames = Field((), description="Deployments that do not run by themselves.")


class AlertsSettings(Group):
    """When people are told, and by whom; the rules are `deployments/automations/*.yaml`."""

    notification_block: Annotated[
        BlockName, Shown(expected="`<type>/<name>` of a Prefect notification block, such as `slack-webhook/oncall`")
    ] = Field("custom-webhook/model-alerts", description="The Prefect block that brings alerts to people.")
    unavailable_minutes: Annotated[float, Shown(unit="min")] = Field(
        60, gt=0, le=43200, description="A catalog model that cannot be used for so long is worth an alert."
    )
    failure_rate_percent: Percent = Field(
        10, ge=0, le=100, description="A greater share of downloads that failed is worth an alert."
    )
    failure_window_hours: Hours = Field(24, gt=0, le=720, description="The time over which that share is counted.")
    slower_load_percent: Percent = Field(
        20, gt=0, le=1000, description="A model that loads so much slower than it used to is worth an alert."
    )

"""Checking, repairing and looking at the whole, as Prefect tasks. What a check finds starts nothing here."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from availability import mending
from availability.catalog import Catalog
from availability.check import Order, check_models
from availability.checks import CheckOutcome
from availability.checkup import observe_health, observe_system
from availability.health import HealthReport
from availability.model import ModelId
from availability.overview import status_all
from availability.pace import Pace
from availability.repairs import RepairOutcome, RepairType
from availability.status import Availability
from availability.system_health import SystemHealth
from availability.workspace import Workspace
from tasks.context import flow_run_id


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of one model saw, and how healthy the model is in its light."""

    outcome: CheckOutcome
    report: HealthReport

    @property
    def is_healthy(self) -> bool:
        """Whether it could be checked and nothing is wrong."""
        return self.outcome.error is None and self.outcome.is_intact and self.report.is_healthy


# Never cached: what it observes is the disk, and a result from before a repair would be a lie.
@task(name="check", cache_policy=NO_CACHE, persist_result=False)
def check_batch(
    workspace: Workspace, catalog: Catalog, models: Sequence[ModelId], order: Order, pace: Pace
) -> list[Checked]:
    """Read what the order makes due of some models, and judge them."""
    outcomes = check_models(workspace, models, order, pace)
    checked = [Checked(one, observe_health(workspace, one.model, catalog, outcome=one)) for one in outcomes]
    for one in checked:
        for finding in one.report.findings:
            told = finding.as_dict()
            get_run_logger().warning("%s %s: %s: %s", one.outcome.model, told["file"], told["kind"], told["cause"])
    return checked


# Not retried here: the repair itself asks again, as often as the settings say, and goes on where it was.
@task(name="repair", task_run_name="repair {model}", cache_policy=NO_CACHE, persist_result=False)
def mend_model(
    workspace: Workspace, model: ModelId, repair_type: RepairType, *, dry_run: bool, stop: Event
) -> RepairOutcome:
    """Look, do the least that mends, and look again; a failure is part of the outcome."""
    return mending.repair_model(workspace, model, repair_type, dry_run=dry_run, repair_id=flow_run_id(), stop=stop)


@task(name="observe", cache_policy=NO_CACHE, persist_result=False)
def find_corrupted(workspace: Workspace, catalog: Catalog) -> list[ModelId]:
    """Return the models of the store that were found corrupted and have not changed since, by their names."""
    seen = status_all(workspace, catalog, refresh=True).statuses
    return [status.model for status in seen if status.availability_status is Availability.CORRUPTED]


@task(name="observe", cache_policy=NO_CACHE, persist_result=False)
def look_at_system(workspace: Workspace, catalog: Catalog, *, refresh: bool) -> SystemHealth:
    """Say how healthy everything is, without reading content."""
    return observe_system(workspace, catalog, refresh=refresh)

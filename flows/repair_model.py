"""Repair a model by the least that mends it: check, fetch only what is damaged, heal it in place, check again."""

from functools import partial
from typing import Any

from prefect import State, flow
from prefect.states import Completed, Failed

from availability.errors import EnhancedModelAvailabilityError
from availability.inventory import known_ids
from availability.repairs import RepairOutcome, RepairType
from tasks.events import tell_repaired
from tasks.health import mend_model
from tasks.health_artifacts import publish_repair
from tasks.stopping import run_until_stopped
from tasks.workspace import open_catalog, open_workspace


@flow(name="repair-model")
def repair_model(model: str, repair_type: RepairType = "auto", dry_run: bool = False) -> State[Any]:
    """Repair a model: only its damaged ranges are fetched, and whoever has it open goes on reading.

    Nothing that this finds starts another repair.

    Args:
        model: The model as org/name or org/name@revision, or an alias of the catalog.
        repair_type: auto does whatever is needed; else the one kind of action that may be taken.
        dry_run: Only check and show what would be done; fetch and write nothing.
    """
    workspace = open_workspace({})
    try:
        target = open_catalog(workspace.settings).resolve(model, frozenset(known_ids(workspace)))
    except EnhancedModelAvailabilityError as error:
        return Failed(message=" ".join((error.message, *error.advice)))
    mend = partial(mend_model, workspace, target, repair_type, dry_run=dry_run)
    outcome = run_until_stopped(lambda stop: mend(stop=stop))
    if outcome.success and outcome.actions and not dry_run:
        tell_repaired(outcome)
    return conclude(outcome)


def conclude(outcome: RepairOutcome) -> State[Any]:
    """Publish the table, and let the run's state tell the truth."""
    told = f"{outcome.model}: {_verdict(outcome)}"
    publish_repair(outcome, told)
    is_well = outcome.error is None if outcome.dry_run else outcome.success
    return Completed(message=told, data=outcome) if is_well else Failed(message=told, data=outcome)


def _verdict(outcome: RepairOutcome) -> str:
    count = len(outcome.actions)
    match outcome:
        case RepairOutcome(error=EnhancedModelAvailabilityError() as error):
            return " ".join(("not repaired.", error.message, *error.advice))
        case RepairOutcome(dry_run=True) if count:
            needed = sum(step.bytes_needed for step in outcome.actions)
            return f"{count} actions planned, {needed / 1e6:,.1f} MB would be fetched; nothing was written"
        case RepairOutcome(success=True) if count:
            return f"repaired with {count} actions, {outcome.bytes_fetched / 1e6:,.1f} MB fetched"
        case RepairOutcome(success=True):
            return "intact, nothing to repair"
        case _:
            return "not intact, and nothing was found that could mend it"

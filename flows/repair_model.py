"""Repair a model by the least that mends it: check, fetch only what is damaged, heal it in place, check again."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from prefect import State, flow
from prefect.states import Completed, Failed

from availability.catalog import Catalog
from availability.errors import EnhancedModelAvailabilityError
from availability.inventory import known_ids
from availability.model import ModelId
from availability.opening import catalog_of
from availability.rehearsal import is_first_run, note_run
from availability.repairs import RepairOutcome, RepairType
from availability.workspace import Workspace
from tasks.ending import failed
from tasks.events import tell_repaired
from tasks.fallback import answer_requests, settle
from tasks.health import find_corrupted, mend_model
from tasks.health_artifacts import publish_repairs
from tasks.stopping import run_until_stopped
from tasks.usage import shipped
from tasks.workspace import open_workspace


@flow(name="repair-model")
def repair_model(model: str | None = None, repair_type: RepairType = "auto", dry_run: bool | None = None) -> State[Any]:
    """Repair a model: only its damaged ranges are fetched, and whoever has it open goes on reading.

    Nothing that this finds starts another repair. Without a model it repairs all that were found corrupted and still
    are, where auto_repair_enabled lets the system start repairs; the first time it only says what it would do.

    Args:
        model: The model as org/name or org/name@revision, or an alias; empty means all that were found corrupted.
        repair_type: auto does whatever is needed; else the one kind of action that may be taken.
        dry_run: Only check and show what would be done; empty means no, but for the first time without a model.
    """
    workspace = open_workspace({})
    catalog = catalog_of(workspace.settings)
    if not model:
        return sweep(workspace, catalog, repair_type, dry_run)
    try:
        target = catalog.resolve(model, frozenset(known_ids(workspace)))
    except EnhancedModelAvailabilityError as error:
        return Failed(message=" ".join((error.message, *error.advice)))
    return conclude([mend(workspace, catalog, target, repair_type, dry_run=bool(dry_run))])


def sweep(workspace: Workspace, catalog: Catalog, repair_type: RepairType, dry_run: bool | None) -> State[Any]:
    """Repair whatever an event that was lost, or a repair that failed, has left corrupted."""
    if not workspace.settings.features.health_monitoring:
        return Completed(name="Skipped", message="health_monitoring is switched off; nothing was repaired")
    corrupted = find_corrupted(workspace, catalog)
    word = workspace.settings.health.auto_repair_enabled
    if word != "auto":
        told = f"auto_repair_enabled is {word}: {len(corrupted)} models are corrupted, and nothing was repaired"
        return Completed(name="Skipped", message=told)
    rehearses = dry_run is None and is_first_run(workspace, repair_model.name)
    outcomes = [mend(workspace, catalog, each, repair_type, dry_run=dry_run or rehearses) for each in corrupted]
    if rehearses:
        note_run(workspace, repair_model.name)
    return conclude(outcomes)


def mend(
    workspace: Workspace, catalog: Catalog, model: ModelId, repair_type: RepairType, *, dry_run: bool
) -> RepairOutcome:
    """Repair one model, and tell it."""
    task = partial(mend_model, workspace, model, repair_type, dry_run=dry_run)
    with shipped(workspace):
        outcome = run_until_stopped(lambda stop: task(stop=stop))
    if outcome.success and outcome.actions and not dry_run:
        tell_repaired(outcome)
    if not dry_run:
        settle(workspace, catalog)
        answer_requests(workspace, catalog, {model})
    return outcome


def conclude(outcomes: Sequence[RepairOutcome]) -> State[Any]:
    """Publish the table, and let the run's state tell the truth."""
    if not outcomes:
        return Completed(message="Nothing is corrupted, so nothing was repaired", data=[])
    verdicts = [f"{outcome.model}: {_verdict(outcome)}" for outcome in outcomes]
    unwell = [told for outcome, told in zip(outcomes, verdicts, strict=True) if not _is_well(outcome)]
    told = (unwell or verdicts)[0]
    if len(outcomes) > 1:
        told = f"{len(outcomes) - len(unwell)} of {len(outcomes)} models went well. {told}"
    publish_repairs(outcomes, told)
    return failed(told, [*outcomes]) if unwell else Completed(message=told, data=[*outcomes])


def _is_well(outcome: RepairOutcome) -> bool:
    return outcome.error is None if outcome.dry_run else outcome.success


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

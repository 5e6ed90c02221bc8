"""Check what is stored, offline: read what is due, say what is wrong, and tell it to whoever may repair it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from availability.catalog import Catalog
from availability.check import Mode, Order, oldest_first, stored_or_listed
from availability.errors import EnhancedModelAvailabilityError, UsageError
from availability.inventory import known_ids
from availability.model import ModelId
from availability.opening import catalog_of
from availability.pace import Pace
from availability.rotation import parse_share
from availability.settings import HealthSettings, bounds_of
from availability.sweep import record_inventory
from availability.workspace import Workspace
from tasks.ending import failed
from tasks.events import is_corrupted, tell_corrupted
from tasks.health import Checked, check_batch
from tasks.health_artifacts import publish_checks, what_to_do
from tasks.stopping import run_until_stopped
from tasks.usage import shipped
from tasks.workspace import open_workspace

MODELS_A_BATCH = 50


@flow(name="check-health")
def check_health(  # noqa: PLR0917  the form's fields
    models: list[str] = [],  # noqa: B006  Prefect makes the form from it, and a form wants a list, not nothing
    everything: bool = False,
    mode: Literal["full", "share", "quick"] = "share",
    share: str | None = None,
    within_days: Annotated[float, bounds_of("health.within_days")] | None = None,
    max_minutes: Annotated[float, Field(gt=0)] | None = None,
    max_mib_per_second: Annotated[float, bounds_of("health.max_mib_per_second")] | None = None,
    from_memory: bool = False,
    force: bool = False,
) -> State[Any]:
    """Read what is stored and say what is wrong with it; offline, and nothing is fetched.

    Every byte is held against its recorded digest. A corrupted model is told as the event model.corrupted; the setting
    auto_repair_enabled says whether that starts a repair.

    Args:
        models: Models as org/name or org/name@revision, or aliases; empty means those of the catalog that are here.
        everything: Without models, check every model in the store and not only those of the catalog.
        mode: full reads all, share what is due, quick nothing but names, links and signatures.
        share: With mode share, how much of all bytes to read, such as 1/7; empty reads what within_days makes due.
        within_days: With mode share, every byte is read within so many days; empty takes the worker's setting.
        max_minutes: Stop after so many minutes; what was not reached comes first the next time. Empty means no end.
        max_mib_per_second: How fast to read in MiB/s; 0 means no limit, empty takes the worker's setting.
        from_memory: Read through the page cache, which is faster and blind to what only the disk has wrong.
        force: Check anew, however young the last result is.
    """
    workspace = open_workspace({"health.within_days": within_days, "health.max_mib_per_second": max_mib_per_second})
    if workspace.settings.features.health_monitoring is False and not models:
        return Completed(name="Skipped", message="health_monitoring is switched off; nothing was checked")
    order = _order(mode, share, within_days, force=force)
    pace = partial(
        Pace.of,
        from_memory=from_memory,
        bytes_per_second=workspace.settings.health.max_bytes_per_second,
        max_seconds=max_minutes and max_minutes * 60,
    )
    catalog = catalog_of(workspace.settings)
    chosen, refused = _chosen(workspace, catalog, models, everything=everything)
    with shipped(workspace):
        checked = run_until_stopped(lambda stop: check_all(workspace, catalog, chosen, order, pace(stop=stop)))
        if not models and order.mode is not Mode.FULL:
            record_inventory(workspace, catalog)
    return conclude(checked, refused, workspace.settings.health)


def check_all(
    workspace: Workspace, catalog: Catalog, models: Sequence[ModelId], order: Order, pace: Pace
) -> list[Checked]:
    """Check in batches, what was read longest ago first, and tell at once what is corrupted: each model once."""
    ordered = oldest_first(workspace, models)
    checked: list[Checked] = []
    for start in range(0, len(ordered), MODELS_A_BATCH):
        batch = check_batch(workspace, catalog, ordered[start : start + MODELS_A_BATCH], order, pace)
        for one in batch:
            if is_corrupted(one.outcome):
                tell_corrupted(one.outcome, workspace.settings)
        checked += batch
    return checked


def conclude(
    checked: Sequence[Checked], refused: Mapping[str, EnhancedModelAvailabilityError], health: HealthSettings
) -> State[Any]:
    """Publish the table, and let the run's state tell the truth."""
    total = len(checked) + len(refused)
    if not total:
        return Completed(message="Nothing to check: no such model is in the store", data=[])
    told = f"{sum(one.is_healthy for one in checked)} of {total} models healthy, {_coverage(checked)}"
    publish_checks(checked, refused, health, told)
    troubles = [*map(str, refused.values()), *(_trouble(one, health) for one in checked if not one.is_healthy)]
    if troubles:
        return failed(f"{told}. {troubles[0]}", list(checked))
    return Completed(message=told, data=list(checked))


def _order(mode: str, share: str | None, within_days: float | None, *, force: bool) -> Order:
    if mode != Mode.SHARE and (share, within_days) != (None, None):
        raise UsageError(f"share and within_days say what mode share reads; mode is {mode}.")
    try:
        return Order(Mode(mode), share=parse_share(share) if share else None, within_days=within_days, force=force)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def _chosen(
    workspace: Workspace, catalog: Catalog, names: Sequence[str], *, everything: bool
) -> tuple[tuple[ModelId, ...], dict[str, EnhancedModelAvailabilityError]]:
    """Return the models that are meant, each once, and why other names mean none."""
    if not names:
        return stored_or_listed(workspace, catalog, everything=everything), {}
    known = frozenset(known_ids(workspace))
    meant: dict[ModelId, None] = {}
    refused: dict[str, EnhancedModelAvailabilityError] = {}
    for name in names:
        try:
            meant[catalog.resolve(name, known)] = None
        except EnhancedModelAvailabilityError as error:
            refused[name] = error
    return tuple(meant), refused


def _coverage(checked: Sequence[Checked]) -> str:
    total = sum(one.outcome.bytes_total for one in checked)
    judged = sum(one.outcome.coverage * one.outcome.bytes_total for one in checked)
    stopped = "" if all(one.outcome.is_complete for one in checked if not one.outcome.error) else ", stopped early"
    return (f"{judged / total:.0%} of the bytes judged" if total else "nothing to read") + stopped


def _trouble(one: Checked, health: HealthSettings) -> str:
    """Return what is wrong with a model, and what to do about it."""
    if one.outcome.error is not None:
        return " ".join((one.outcome.error.message, *one.outcome.error.advice))
    told = [finding.as_dict() for finding in one.report.findings[:1]]
    what = [f"{record['kind']} {record['file']} ({record['cause']})" for record in told]
    if not what:
        proven = "not all of it is proven" if one.outcome.unverified else f"its score is {one.report.overall_score}"
        what = [f"it is {one.report.availability_status.value}, and {proven}"]
    return " ".join((f"{one.outcome.model}: {what[0]}.", *what_to_do(one, health)))

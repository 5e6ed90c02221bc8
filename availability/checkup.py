"""The health of a model and of the whole store, observed: what the disk and the checkers tell, put together.

No content is read here beyond headers; a check that reads it is `availability.check`'s, and its outcome is used.
"""

from collections.abc import Mapping
from time import monotonic, time

from availability.catalog import Catalog
from availability.checkers import HealthContext, run_checkers
from availability.checks import CheckOutcome
from availability.health import HealthReport, assess
from availability.inventory import model_status
from availability.model import ModelId
from availability.overview import status_all
from availability.storage import observe_disk
from availability.system_health import StorageUse, SystemHealth, summarise
from availability.workspace import Workspace


def observe_health(
    workspace: Workspace,
    model: ModelId,
    catalog: Catalog,
    *,
    outcome: CheckOutcome | None = None,
    configuration: Mapping[str, Mapping[str, object]] | None = None,
) -> HealthReport:
    """Return how healthy a model is.

    Args:
        workspace: where.
        model: which.
        catalog: for its status.
        outcome: a check that was just made; None takes the one that was left by the last.
        configuration: of the checkers, by name.
    """
    began = monotonic()
    is_fresh = outcome is not None
    outcome = outcome or workspace.checks.read(model).outcome
    status = model_status(workspace, model, catalog)
    context = HealthContext(workspace.settings, status, outcome, is_fresh)
    snapshot = workspace.store.snapshot(model, status.commit) if status.commit else None
    results = (
        run_checkers(context, model, snapshot, configuration) if snapshot is not None and snapshot.is_dir() else {}
    )
    health = workspace.settings.health
    return assess(
        status,
        results,
        outcome,
        healthy_threshold=health.healthy_threshold,
        within_days=health.within_days,
        now=time(),
        seconds=monotonic() - began,
    )


def observe_system(
    workspace: Workspace,
    catalog: Catalog,
    *,
    reports: Mapping[str, HealthReport] | None = None,
    refresh: bool = False,
) -> SystemHealth:
    """Return the health of everything in the store, from the disk and without hashing.

    Args:
        workspace: where.
        catalog: its models count, whether they are there or not.
        reports: of single models, as for `summarise`.
        refresh: as for `availability.overview.status_all`.
    """
    overview = status_all(workspace, catalog, refresh=refresh)
    settings = workspace.settings
    quota = settings.storage.max_storage_bytes
    room = StorageUse(
        str(workspace.store.root), observe_disk(settings.storage.models_directory), overview.stored_bytes, quota
    )
    return summarise(
        overview.statuses, reports or {}, room, settings.health, now=time(), age_seconds=overview.age_seconds
    )

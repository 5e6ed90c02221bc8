"""What a sweep leaves in the history: a record of every model that is known, used or not, and of the room they take.

From these records follows how available each model was, so they must come often and from whoever looks at everything:
a quick or rotating check, an `ensure` of the whole catalog, a health report. What one of them misses, the next sees.
"""

from collections.abc import Iterable, Sequence
from time import time

from availability.catalog import Catalog
from availability.events import of_inventory, of_ready, of_refusal
from availability.outcome import EnsureOutcome
from availability.overview import status_all
from availability.storage import observe_disk
from availability.system_health import StorageUse
from availability.workspace import Workspace


def record_inventory(workspace: Workspace, catalog: Catalog, *, refresh: bool = True) -> None:
    """Record how available every model is that the disk, the catalog or a download knows; nothing here can fail a run.

    Args:
        workspace: where.
        catalog: says which models are pinned, and which share of time each should be available.
        refresh: look at the disk, however young the last look is.
    """
    history = workspace.history
    if not history.is_on:
        return
    try:
        overview = status_all(workspace, catalog, refresh=refresh)
        disk = observe_disk(workspace.settings.storage.models_directory)
    except OSError:  # a store that cannot be looked into is told by whoever needs it
        return
    settings = workspace.settings
    room = StorageUse(str(workspace.store.root), disk, overview.stored_bytes, settings.storage.max_storage_bytes)
    at = time() - overview.age_seconds
    history.record(of_inventory(overview, catalog, room, room.level(settings.health), at))


def record_end(
    workspace: Workspace,
    catalog: Catalog,
    outcomes: Sequence[EnsureOutcome],
    refused: Iterable[EnsureOutcome],
    *,
    whole_catalog: bool,
) -> None:
    """Record what a run over several models leaves besides what each of them has told.

    One that looked after the whole catalog is a sweep. Where it changed nothing, it has just seen every model of it,
    and looks no second time: that would cost more than the whole run.

    Args:
        workspace: where.
        catalog: as for `record_inventory`.
        outcomes: of the models that were begun.
        refused: of the names that nobody knows.
        whole_catalog: whether it looked after all models.
    """
    workspace.history.record(map(of_refusal, refused))
    if not whole_catalog:
        return
    if any(outcome.download_id or outcome.error for outcome in outcomes):
        record_inventory(workspace, catalog)
    else:
        workspace.history.record(of_ready(outcomes, catalog))

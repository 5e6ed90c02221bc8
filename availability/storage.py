"""What the store's disk and quota leave, observed."""

from shutil import disk_usage

from availability.lease import is_held
from availability.model import ModelId
from availability.preflight import Removable, Room
from availability.workspace import Workspace


def observe_room(workspace: Workspace, model: ModelId) -> Room:
    """Return what a plan for `model` may write, beside what other downloads still will."""
    storage = workspace.settings.storage
    root = storage.models_directory
    while not root.exists():
        root = root.parent
    reserved = sum(
        record.outstanding_bytes
        for record in workspace.controls.all()
        if record.state.is_active and record.repo_id != model.repo_id and is_held(workspace.lease_path(record.model))
    )
    return Room(
        disk_free=disk_usage(root).free,
        keep_free=storage.min_free_bytes,
        reserved=reserved,
        stored=sum(workspace.store.stored_bytes().values()) if storage.max_storage_bytes is not None else 0,
        quota=storage.max_storage_bytes,
    )


def removable(workspace: Workspace, wanted: ModelId) -> tuple[Removable, ...]:
    """Return the other models of the store as what could be deleted."""
    return tuple(
        Removable(
            what=other.repo_id,
            why="in the store",
            size=size,
            command=f"hf cache rm model/{other.repo_id} --cache-dir {workspace.store.root}",
        )
        for other, size in workspace.store.stored_bytes().items()
        if other.repo_id != wanted.repo_id and size
    )

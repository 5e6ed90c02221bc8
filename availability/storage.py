"""What the store's disk and quota leave, observed; and what it means when the disk refuses."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage

from availability.errors import FinalError, InsufficientStorageError, StorageError
from availability.lease import is_held
from availability.model import ModelId
from availability.preflight import Disk, Removable, Room, deletions
from availability.workspace import Workspace

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_REFUSALS = {
    errno.EROFS: ("is read-only", "Mount it writable, or name another folder (ENHANCED_MODEL_STORAGE_*)."),
    errno.EACCES: ("is not ours to use", "Give this user the right to read and write it, or name another folder."),
    errno.EPERM: ("is not ours to use", "Give this user the right to read and write it, or name another folder."),
    errno.EFBIG: ("takes no file of this size", "Raise the limit (ulimit -f), or use another kind of file system."),
    errno.EMFILE: ("cannot be opened: too many files are", "Raise the limit (ulimit -n), or ask for fewer at once."),
}
_BROKEN = "cannot be read or written", "See what the system's log says of this disk, and whether it is mounted."


def observe_disk(folder: Path) -> Disk:
    """Look at the disk of a folder, or of the nearest above it that exists."""
    while not folder.exists():
        folder = folder.parent
    usage = disk_usage(folder)
    return Disk(usage.used + usage.free, usage.free)


@contextmanager
def storage_errors(workspace: Workspace, model: ModelId, bytes_left: Callable[[], int]) -> Iterator[None]:
    """Give what a disk refuses its name, whichever step of the road meets it.

    Args:
        workspace: whose store and state they are.
        model: for the sentence.
        bytes_left: asked what the road still has to write, when the disk is full.

    Raises:
        InsufficientStorageError: the disk is full.
        StorageError: it is read-only, not ours or broken.
    """
    try:
        yield
    except ConnectionError:
        raise  # a pipe that was closed, by whoever is told the progress
    except OSError as error:
        raise _named(workspace, model, bytes_left(), error) from error


def _named(workspace: Workspace, model: ModelId, bytes_left: int, error: OSError) -> FinalError:
    storage = workspace.settings.storage
    folders = (storage.models_directory, storage.cache_directory)
    where = error.filename or f"the store {folders[0]} or the state {folders[1]}"
    cause = error.strerror or type(error).__name__
    if error.errno in _FULL:
        suggestions: tuple[str, ...] = ()
        with suppress(OSError):
            suggestions = deletions(removable(workspace, model))
        return InsufficientStorageError(
            f"{model}: the disk has no room left at {where} ({cause}); {bytes_left} bytes are still to come. "
            "What has arrived is kept.",
            needed_bytes=bytes_left,
            available_bytes=min(observe_disk(folder).free_bytes for folder in folders),
            advice=(*suggestions, "Make room and ask again: only the rest is fetched."),
        )
    what, advice = _REFUSALS.get(error.errno or 0, _BROKEN)
    return StorageError(f"{model}: {where} {what} ({cause}). What has arrived is kept.", advice=(advice,))


def observe_room(workspace: Workspace, model: ModelId) -> Room:
    """Return what a plan for `model` may write, beside what other downloads still will."""
    storage = workspace.settings.storage
    reserved = sum(
        record.outstanding_bytes
        for record in workspace.controls.all()
        if record.state.is_active
        and record.repo_id != model.repo_id
        and is_held(workspace.lease_path(record.model), record.download_id)
    )
    return Room(
        disk_free=observe_disk(storage.models_directory).free_bytes,
        keep_free=storage.min_free_bytes,
        reserved=reserved,
        stored=sum(workspace.store.stored_bytes().values()) if storage.max_storage_bytes is not None else 0,
        quota=storage.max_storage_bytes,
    )


def removable(workspace: Workspace, wanted: ModelId) -> tuple[Removable, ...]:
    """Return the other models of the store as what could be deleted; last copies are not among them."""
    return tuple(
        Removable(
            what=other.repo_id,
            why="in the store",
            size=size,
            command=f"hf cache rm model/{other.repo_id} --cache-dir {workspace.store.root}",
        )
        for other, size in workspace.store.stored_bytes().items()
        if other.repo_id != wanted.repo_id and size and not workspace.last_copies.is_protected(other)
    )

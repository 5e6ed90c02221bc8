"""The second step: bring what is absent into staging, every byte proven on the way."""

from collections.abc import Sequence

from availability.controls import DownloadState
from availability.download import Download
from availability.model import FileRecord, Listing
from availability.plan import Plan
from availability.preflight import check_room
from availability.storage import observe_room, removable
from availability.transfer.engine import transfer
from availability.transfer.worker import TransferLimits

_LEAST_CONNECTIONS = 4


def reserve(download: Download, made: Plan) -> None:
    """Make sure that the whole plan fits, and make the folders it goes into.

    Raises:
        InsufficientStorageError: it does not fit; nothing was written.
        StorageError: the store cannot be written.
    """
    make_sure_of_room(download, made.bytes_to_fetch)
    download.workspace.store.prepare(download.model)


def fetch(download: Download, made: Plan) -> None:
    """Bring what is absent into staging, every byte proven.

    Raises:
        TransientError: another attempt can bring the rest.
        FinalError: refused, cancelled, or the disk is at fault.
    """
    download.enter(DownloadState.DOWNLOADING)
    bring(download, made.listing, [file for file in made.absent if file.digest not in download.proven])


def bring(download: Download, listing: Listing, files: Sequence[FileRecord]) -> None:
    """Transfer files into staging, and note that they are proven."""
    settings = download.workspace.settings.download
    transfer(
        files,
        source=download.workspace.source,
        listing=listing,
        staging=download.workspace.staging(download.model),
        limits=TransferLimits(
            connections=max(_LEAST_CONNECTIONS, settings.connections // download.sharers),
            stall_seconds=settings.stall_seconds,
            min_bytes_per_second=settings.min_bytes_per_second,
            max_server_wait_seconds=settings.max_server_wait_seconds,
        ),
        throttle=download.workspace.throttle,
        meter=download.meter,
        on_tick=download.tick,
        proven=download.proven,
    )


def make_sure_of_room(download: Download, needed: int) -> None:
    """Make sure that so many bytes more fit; see `availability.preflight.check_room`."""
    if needed:
        workspace, model = download.workspace, download.model
        check_room(model, needed, observe_room(workspace, model), removable(workspace, model))

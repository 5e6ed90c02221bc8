"""The second step: bring what is absent into staging, every byte proven on the way."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from availability.controls import DownloadState
from availability.download import Download
from availability.ledger import Ledger
from availability.model import FileRecord, Listing
from availability.plan import Plan
from availability.preflight import check_room
from availability.road.timing import timed
from availability.steering import MakeRoomError
from availability.storage import observe_room, removable
from availability.transfer.engine import transfer
from availability.transfer.mend import mend
from availability.transfer.worker import TransferLimits

_LEAST_CONNECTIONS = 4


def reserve(download: Download, made: Plan) -> None:
    """Make sure that the whole plan fits, make the folders it goes into, and keep what it is made from.

    Raises:
        InsufficientStorageError: it does not fit; nothing was written.
        StorageError: the store cannot be written.
    """
    make_sure_of_room(download, made.bytes_to_fetch)
    download.workspace.store.prepare(download.model)
    if made.absent:
        download.workspace.begun.keep(made.listing)


@timed
def fetch(download: Download, made: Plan) -> None:
    """Bring what is absent into staging, every byte proven.

    Raises:
        TransientError: another attempt can bring the rest.
        FinalError: refused, cancelled, or the disk is at fault.
    """
    download.enter(DownloadState.DOWNLOADING)
    bring(download, made.listing, made.absent)


def bring(download: Download, listing: Listing, files: Sequence[FileRecord]) -> None:
    """Transfer files into staging, and note that they are proven; where others need the line, wait and go on."""
    while left := [file for file in files if file.digest not in download.proven]:
        download.wait_for_room()
        with suppress(MakeRoomError):
            _transfer(download, listing, left)
            return


def _transfer(download: Download, listing: Listing, files: Sequence[FileRecord]) -> None:
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
        throttle=download.steering.throttle,
        meter=download.meter,
        on_tick=download.tick_while_fetching,
        proven=download.proven,
    )


def mend_in_place(
    download: Download,
    listing: Listing,
    file: FileRecord,
    place: Path,
    *,
    ledger: Ledger,
    ranges: Sequence[tuple[int, int]],
) -> None:
    """Fetch ranges of a file that lies at `place`; see `availability.transfer.mend.mend`."""
    mended = partial(
        mend,
        place,
        ledger,
        ranges,
        file=file,
        source=download.workspace.source,
        listing=listing,
        meter=download.meter,
        throttle=download.steering.throttle,
        on_tick=download.tick,
    )
    download.patiently(mended)


def make_sure_of_room(download: Download, needed: int) -> None:
    """Make sure that so many bytes more fit; see `availability.preflight.check_room`."""
    if needed:
        workspace, model = download.workspace, download.model
        check_room(model, needed, observe_room(workspace, model), removable(workspace, model))

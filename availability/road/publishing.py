"""The last step: give everything its final name, and let the revision point to it."""

from pathlib import Path
from time import time

from availability.download import Download
from availability.errors import DownloadIntegrityError, StorageError
from availability.plan import Plan, Presence
from availability.record import Proof, SnapshotRecord
from availability.road.planning import Ready
from availability.road.timing import timed


@timed
def publish(download: Download, made: Plan) -> Ready:
    """Give everything its final name and let the revision point to it.

    Raises:
        LeaseLostError: another process took over; nothing was published.
        DownloadIntegrityError: something is not proven; nothing was published.
    """
    workspace, model, listing = download.workspace, download.model, made.listing
    for file in made.choice.files:
        if file.digest not in download.proven:
            raise DownloadIntegrityError(
                f"{file.path} of {model} is not proven; nothing was published",
                path=file.path,
                expected=file.digest,
                got="nothing",
            )
    download.check_lease()
    workspace.store.publish_blobs(model, made.choice.files)
    workspace.store.publish_listing(listing)
    snapshot = workspace.store.publish_snapshot(listing, made.choice.files)
    workspace.records.update(model, listing.commit, lambda known: _record_of(download, made, snapshot, known))
    workspace.store.point(model, listing.commit)
    workspace.store.clear_staging(model)
    workspace.begun.drop(model)
    return Ready(snapshot, listing.commit, made.bytes_total)


def _record_of(download: Download, made: Plan, snapshot: Path, known: SnapshotRecord | None) -> SnapshotRecord:
    """Return the record after publication: what was known before, and what is proven now."""
    known = known or SnapshotRecord(made.listing)
    proofs, defects, now = dict(known.proofs), dict(known.defects), time()
    already = {item.file.path for item in made.files if item.presence is Presence.PROVEN}
    for file in made.choice.files:
        signature = download.workspace.store.signature(f"{snapshot}/{file.path}")
        if signature is None:
            raise StorageError(f"{file.path} of {download.model} vanished while it was being published")
        earlier = proofs.get(file.path)
        if file.path not in already or earlier is None or earlier.signature != signature:
            proofs[file.path] = Proof(signature, now)
        defects.pop(file.path, None)
    others = tuple(selection for selection in known.selections if selection != made.selection)
    return SnapshotRecord(
        listing=made.listing,
        selections=(*others, made.selection),
        wanted=known.wanted | {file.path for file in made.choice.files},
        proofs=proofs,
        defects=defects,
    )

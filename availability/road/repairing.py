"""The step between, where a check failed: fetch what the findings say is wrong, and no more."""

from collections.abc import Sequence
from time import time

from availability.controls import DownloadState
from availability.download import Download
from availability.integrity import Finding
from availability.model import Listing
from availability.plan import Plan
from availability.record import Defect, SnapshotRecord
from availability.repair import plan_repair
from availability.road.fetching import bring, make_sure_of_room
from availability.transfer.mend import mend


def repair(download: Download, made: Plan, findings: Sequence[Finding]) -> None:
    """Fetch what the findings say is wrong: ranges in place where a ledger can judge them, else the whole file.

    Raises:
        TransientError: another attempt can heal the rest.
        FinalError: refused, cancelled, or the disk is at fault.
    """
    download.enter(DownloadState.DOWNLOADING)
    workspace = download.workspace
    places = {item.file.path: item.place for item in made.files}
    ledgers = {finding.file.path: workspace.ledgers.read(finding.file.digest) for finding in findings}
    blobs = {finding.file.path: workspace.store.blob(download.model, finding.file) for finding in findings}
    actions = plan_repair(
        findings, {path: ledgers[path] is not None and places[path] == blob for path, blob in blobs.items()}
    )
    _note_defects(download, made.listing, findings)
    whole = [action.file for action in actions if action.action == "refetch_file"]
    make_sure_of_room(download, sum(file.size for file in whole))
    for action in actions:
        ledger = ledgers[action.file.path]
        if action.action == "refetch_ranges" and ledger is not None:
            mend(
                blobs[action.file.path],
                ledger,
                action.ranges,
                file=action.file,
                source=workspace.source,
                listing=made.listing,
                meter=download.meter,
            )
    bring(download, made.listing, [file for file in whole if file.digest not in download.proven])


def _note_defects(download: Download, listing: Listing, findings: Sequence[Finding]) -> None:
    """Let the status say what is wrong, should healing it not succeed."""
    workspace = download.workspace
    known = workspace.records.read(download.model, listing.commit)
    snapshot = workspace.store.snapshot(download.model, listing.commit)
    if known is None:
        return
    defects = dict(known.defects)
    for finding in findings:
        signature = workspace.store.signature(snapshot / finding.file.path)
        if signature is not None:
            defects[finding.file.path] = Defect(signature, finding.kind, finding.ranges, time())
    workspace.records.write(
        SnapshotRecord(listing, known.selections, known.wanted, known.proofs, defects),
    )

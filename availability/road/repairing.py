"""The step between, where a check failed: fetch what the findings say is wrong, and no more."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
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
    for finding in findings:
        if places[finding.file.path] == blobs[finding.file.path]:
            workspace.quarantine.keep(download.model, finding, blobs[finding.file.path], now=time())
    whole = [action.file for action in actions if action.action == "refetch_file"]
    make_sure_of_room(download, sum(file.size for file in whole))
    for action in actions:
        ledger = ledgers[action.file.path]
        if action.action == "refetch_ranges" and ledger is not None:
            heal = partial(mend, blobs[action.file.path], ledger, action.ranges, file=action.file)
            download.patiently(
                partial(heal, source=workspace.source, listing=made.listing, meter=download.meter),
            )
    bring(download, made.listing, [file for file in whole if file.digest not in download.proven])


def _note_defects(download: Download, listing: Listing, findings: Sequence[Finding]) -> None:
    """Let the status say what is wrong, should healing it not succeed."""
    workspace = download.workspace
    snapshot = workspace.store.snapshot(download.model, listing.commit)

    def noted(known: SnapshotRecord | None) -> SnapshotRecord | None:
        if known is None:
            return None
        defects = dict(known.defects)
        for finding in findings:
            signature = workspace.store.signature(snapshot / finding.file.path)
            if signature is not None:
                kind = finding.kind.value
                defects[finding.file.path] = Defect(signature, kind, finding.ranges, time(), finding.cause)
        return replace(known, listing=listing, defects=defects)

    workspace.records.update(download.model, listing.commit, noted)

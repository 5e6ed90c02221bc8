"""The step between, where a check failed: fetch what the findings say is wrong, and no more."""

from collections.abc import Sequence
from dataclasses import replace
from time import time

from availability.controls import DownloadState
from availability.download import Download
from availability.integrity import Finding
from availability.model import Listing
from availability.plan import Plan
from availability.record import Defect, SnapshotRecord
from availability.repair import RepairAction, plan_repair
from availability.road.fetching import bring, make_sure_of_room, mend_in_place
from availability.road.timing import timed


@timed
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
    unknown = _note_defects(download, made.listing, findings)
    published = [finding for finding in findings if places[finding.file.path] == blobs[finding.file.path]]
    for finding in published:
        workspace.quarantine.keep(download.model, finding, blobs[finding.file.path], now=time())
    if published:
        needed = sum(_bytes_of(action) for action in actions if places[action.file.path] == blobs[action.file.path])
        download.note_damage([finding for finding in published if finding in unknown], needed)
    whole = [action.file for action in actions if action.action == "refetch_file"]
    make_sure_of_room(download, sum(file.size for file in whole))
    for action in actions:
        ledger = ledgers[action.file.path]
        if action.action == "refetch_ranges" and ledger is not None:
            place = blobs[action.file.path]
            mend_in_place(download, made.listing, action.file, place, ledger=ledger, ranges=action.ranges)
    bring(download, made.listing, whole)


def _bytes_of(action: RepairAction) -> int:
    if action.action == "refetch_file":
        return action.file.size
    return sum(stop - start for start, stop in action.ranges)


def _note_defects(download: Download, listing: Listing, findings: Sequence[Finding]) -> list[Finding]:
    """Let the status say what is wrong, should healing it not succeed; return what nobody had noted before."""
    workspace = download.workspace
    snapshot = workspace.store.snapshot(download.model, listing.commit)
    unknown: list[Finding] = []

    def noted(known: SnapshotRecord | None) -> SnapshotRecord | None:
        if known is None:
            unknown.extend(findings)
            return None
        defects = dict(known.defects)
        for finding in findings:
            signature = workspace.store.signature(snapshot / finding.file.path)
            earlier = defects.get(finding.file.path)
            if earlier is None or earlier.signature != signature:
                unknown.append(finding)
            if signature is not None:
                kind = finding.kind.value
                defects[finding.file.path] = Defect(signature, kind, finding.ranges, time(), finding.cause)
        return replace(known, listing=listing, defects=defects)

    workspace.records.update(download.model, listing.commit, noted)
    return unknown

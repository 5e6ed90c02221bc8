"""The road of one model, step by step: observe, plan, fetch what is wrong, prove it, publish, observe again.

First fetch, resume, repair and adoption are this one road with different shelves at its start. Each step is a function, so
that the command line (`availability.ensure`) and Prefect (`tasks/`) take the same ones; retries are theirs.
"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import time

from availability.admission import admit, check_listing
from availability.controls import DownloadState
from availability.download import Download
from availability.errors import DownloadIntegrityError, SourceUnavailableError
from availability.identity import find_listing
from availability.integrity import Examination, Finding, examine
from availability.model import Commit, FileRecord, Listing
from availability.pickles import check_pickles
from availability.plan import Plan, PlannedFile, Presence
from availability.preflight import check_room
from availability.record import Defect, Proof, SnapshotRecord
from availability.repair import plan_repair
from availability.selection import choose, indexes_to_read, shards_named
from availability.storage import observe_room, removable
from availability.transfer.engine import transfer
from availability.transfer.mend import mend
from availability.transfer.small import fetch_whole
from availability.transfer.worker import TransferLimits

_LEAST_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Ready:
    """A snapshot that is complete and proven, relative to what was asked for."""

    path: Path
    commit: Commit
    bytes_total: int


def find_ready(download: Download) -> Ready | None:
    """Return the snapshot if nothing has to be done for it; no network, no hashing."""
    workspace, model = download.workspace, download.model
    commit = workspace.store.commit(model)
    record = workspace.records.read(model, commit) if commit else None
    if commit is None or record is None or download.selection not in record.selections:
        return None
    snapshot = workspace.store.snapshot(model, commit)
    for file in record.wanted_files():
        proof = record.proofs.get(file.path)
        if proof is None or workspace.store.signature(snapshot / file.path) != proof.signature:
            return None
    return Ready(snapshot, commit, sum(file.size for file in record.wanted_files()))


def plan(download: Download) -> Plan:
    """Find out what the model must be, what of it is there, and what has to be done.

    Nothing is written.

    Raises:
        UnsafeModelError, NothingSelectedError: refused, before anything was fetched.
        FinalError, TransientError: see `availability.identity.find_listing`.
    """
    workspace = download.workspace
    listing = find_listing(workspace, download.model)
    check_listing(listing)
    indexes = indexes_to_read(listing.files, download.selection)
    shards = {index.path: _read_index(download, listing, index) for index in indexes}
    choice = choose(download.model, listing.files, download.selection, shards)
    choice = admit(listing, choice, workspace.settings.hub.endpoint, workspace.settings.admission)
    made = Plan(listing, download.selection, choice, _observe(download, listing, choice.files))
    download.proven |= {item.file.digest for item in made.files if item.presence is Presence.PROVEN}
    done = sum(item.received + item.file.size * (item.presence is Presence.PROVEN) for item in made.files)
    download.meter.plan(bytes_total=made.bytes_total, bytes_done=done)
    return made


def reserve(download: Download, made: Plan) -> None:
    """Make sure that the whole plan fits, and make the folders it goes into.

    Raises:
        InsufficientStorageError: it does not fit; nothing was written.
        StorageError: the store cannot be written.
    """
    _check_room(download, made.bytes_to_fetch)
    download.workspace.store.prepare(download.model)


def fetch(download: Download, made: Plan) -> None:
    """Bring what is absent into staging, every byte proven.

    Raises:
        TransientError: another attempt can bring the rest.
        FinalError: refused, cancelled, or the disk is at fault.
    """
    download.enter(DownloadState.DOWNLOADING)
    _transfer(download, made.listing, [file for file in made.absent if file.digest not in download.proven])


def check(download: Download, made: Plan) -> tuple[Finding, ...]:
    """Read and judge what was there already; return what is wrong with it.

    Raises:
        UnsafeModelError: a pickle that must be scanned holds what it must not.
        DownloadCancelledError: somebody cancelled it.
    """
    download.enter(DownloadState.VERIFYING)
    unproven = [item for item in made.unproven if item.file.digest not in download.proven]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        examinations = list(pool.map(lambda item: _examine(download, item), unproven))
    for item, examination in zip(unproven, examinations, strict=True):
        _keep_judgement(download, item, examination)
    check_pickles(download.model, _places(download, made), download.workspace.settings.admission)
    return tuple(examination.finding for examination in examinations if examination.finding)


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
    _check_room(download, sum(file.size for file in whole))
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
    _transfer(download, made.listing, [file for file in whole if file.digest not in download.proven])


def confirm(download: Download, made: Plan) -> None:
    """Look again at what was healed: success is what is seen afterwards.

    Raises:
        DownloadIntegrityError: it is still wrong.
    """
    for finding in check(download, made):
        raise DownloadIntegrityError(
            f"{finding.file.path} of {download.model} is still wrong after it was healed: {finding.cause}",
            path=finding.file.path,
            expected=finding.file.digest,
            got=finding.kind,
        )


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
    workspace.records.write(_record_of(download, made, snapshot))
    workspace.store.point(model, listing.commit)
    workspace.store.clear_staging(model)
    return Ready(snapshot, listing.commit, made.bytes_total)


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
        throttle=download.workspace.throttle,
        meter=download.meter,
        on_tick=download.tick,
    )
    download.proven |= {file.digest for file in files}


def _check_room(download: Download, needed: int) -> None:
    if needed:
        workspace, model = download.workspace, download.model
        check_room(model, needed, observe_room(workspace, model), removable(workspace, model))


def _read_index(download: Download, listing: Listing, index: FileRecord) -> frozenset[str]:
    content = fetch_whole(download.workspace.source, listing, index)
    try:
        return shards_named(index.path, json.loads(content)["weight_map"])
    except (ValueError, KeyError, TypeError, AttributeError):
        # Its bytes are the publisher's, so it is his mistake: leave nothing out on its word.
        return frozenset(file.path for file in listing.files)


def _proofs_by_digest(download: Download) -> Mapping[str, Proof]:
    proofs: dict[str, Proof] = {}
    for record in download.workspace.records.read_all(download.model):
        digests = {file.path: file.digest for file in record.listing.files}
        proofs |= {digests[path]: proof for path, proof in record.proofs.items()}
    return proofs


def _observe(download: Download, listing: Listing, files: Sequence[FileRecord]) -> tuple[PlannedFile, ...]:
    """Find out what there is of each file, by names and signatures."""
    store, model = download.workspace.store, download.model
    staging = download.workspace.staging(model)
    blobs, staged = store.present(model)
    snapshot = store.snapshot(model, listing.commit)
    # A client on a file system without links has put the files themselves into the snapshot.
    copied = frozenset(store.snapshot_files(model, listing.commit))
    proofs = _proofs_by_digest(download) if blobs else {}

    def look(file: FileRecord) -> PlannedFile:
        if file.digest in blobs:
            place = store.blob(model, file)
            signature = store.signature(place)
            if signature is not None:
                proof = proofs.get(file.digest)
                is_proven = proof is not None and proof.signature == signature
                return PlannedFile(file, Presence.PROVEN if is_proven else Presence.UNPROVEN, place)
        if file.digest in staged:
            return PlannedFile(file, Presence.UNPROVEN, staging.path(file))
        if file.path in copied and not (snapshot / file.path).is_symlink():
            return PlannedFile(file, Presence.UNPROVEN, snapshot / file.path)
        received = staging.received_bytes(file) if staged else 0
        return PlannedFile(file, Presence.ABSENT, received=received)

    return tuple(look(file) for file in files)


def _examine(download: Download, item: PlannedFile) -> Examination:
    def on_read(count: int) -> None:
        download.meter.kept(count)
        download.tick()

    assert item.place is not None  # noqa: S101  unproven means that there is something to read
    return examine(item.place, item.file, download.workspace.ledgers.read(item.file.digest), on_read)


def _keep_judgement(download: Download, item: PlannedFile, examination: Examination) -> None:
    """Remember what proved right, and bring it where it is published from; clear away what proved useless."""
    workspace, model = download.workspace, download.model
    staging = workspace.staging(model)
    if examination.finding is not None:
        download.meter.kept(-examination.bytes_read)
        if item.place == staging.path(item.file):
            item.place.unlink(missing_ok=True)
        return
    if examination.ledger is not None and examination.ledger.is_of_use:
        workspace.ledgers.write(examination.ledger)
    if item.place is not None and item.place not in (staging.path(item.file), workspace.store.blob(model, item.file)):
        staging.take_in(item.file, item.place)
    download.proven.add(item.file.digest)


def _places(download: Download, made: Plan) -> dict[str, Path]:
    """Return where the chosen files lie now: in staging, or under their final name."""
    staging, store = download.workspace.staging(download.model), download.workspace.store
    staged = store.present(download.model)[1]
    return {
        file.path: staging.path(file) if file.digest in staged else store.blob(download.model, file)
        for file in made.choice.files
    }


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


def _record_of(download: Download, made: Plan, snapshot: Path) -> SnapshotRecord:
    """Return the record after publication: what was known before, and what is proven now."""
    known = download.workspace.records.read(download.model, made.listing.commit) or SnapshotRecord(made.listing)
    proofs, defects, now = dict(known.proofs), dict(known.defects), time()
    already = {item.file.path for item in made.files if item.presence is Presence.PROVEN}
    for file in made.choice.files:
        signature = download.workspace.store.signature(f"{snapshot}/{file.path}")
        if signature is None:
            raise SourceUnavailableError(f"{file.path} of {download.model} vanished while it was being published")
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

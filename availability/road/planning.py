"""The first step: what must the model be, what of it is there, and what has to be done? Nothing is written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from availability.admission import admit, check_listing
from availability.download import Download
from availability.identity import find_listing
from availability.model import Commit, FileRecord, Listing
from availability.plan import Plan, PlannedFile, Presence
from availability.record import Proof
from availability.road.timing import timed
from availability.selection import choose, indexes_to_read, shards_named
from availability.transfer.small import fetch_whole


@dataclass(frozen=True, slots=True)
class Ready:
    """A snapshot that is complete and proven, relative to what was asked for."""

    path: Path
    commit: Commit
    bytes_total: int


def find_ready(download: Download) -> Ready | None:
    """Return the snapshot if nothing has to be done for it; no network, no hashing.

    What cannot be read is not ready: the road that is then taken says why.
    """
    try:
        return _find_ready(download)
    except OSError:
        return None


def _find_ready(download: Download) -> Ready | None:
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


@timed
def plan(download: Download) -> Plan:
    """Find out what the model must be, what of it is there, and what has to be done.

    Nothing is written.

    Raises:
        UnsafeModelError, NothingSelectedError: refused, before anything was fetched.
        FinalError, TransientError: see `availability.identity.find_listing`.
    """
    workspace = download.workspace
    listing = download.patiently(lambda: find_listing(workspace, download.model))
    check_listing(listing)
    indexes = indexes_to_read(listing.files, download.selection)
    shards = {index.path: _read_index(download, listing, index) for index in indexes}
    choice = choose(download.model, listing.files, download.selection, shards)
    choice = admit(listing, choice, workspace.settings.hub.endpoint, workspace.settings.admission)
    made = Plan(listing, download.selection, choice, _observe(download, listing, choice.files))
    download.proven |= {item.file.digest for item in made.files if item.presence is Presence.PROVEN}
    # Content that several files share is fetched, and so counted, once.
    contents = {item.file.digest: item for item in made.files}.values()
    done = sum(item.received + item.file.size * (item.presence is Presence.PROVEN) for item in contents)
    download.meter.plan(bytes_total=sum(item.file.size for item in contents), bytes_done=done)
    if download.meter.bytes_needed is None:
        download.meter.bytes_needed = made.bytes_to_fetch
    return made


def _read_index(download: Download, listing: Listing, index: FileRecord) -> frozenset[str]:
    content = download.patiently(lambda: fetch_whole(download.workspace.source, listing, index))
    try:
        return shards_named(index.path, json.loads(content)["weight_map"])
    except (ValueError, KeyError, TypeError, AttributeError):
        # Its bytes are the publisher's, so it is his mistake: leave nothing out on its word.
        return frozenset(file.path for file in listing.files)


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
        place = store.blob(model, file)
        if file.digest in blobs and store.holds(place):
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


def _proofs_by_digest(download: Download) -> Mapping[str, Proof]:
    proofs: dict[str, Proof] = {}
    for record in download.workspace.records.read_all(download.model):
        digests = {file.path: file.digest for file in record.listing.files}
        proofs |= {digests[path]: proof for path, proof in record.proofs.items()}
    return proofs

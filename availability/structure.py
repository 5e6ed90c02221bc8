"""How a snapshot stands: which files are there, where their content lies, which links lead nowhere or elsewhere.

Names and links only; no content is read, and nothing is said about it. What a commit must consist of comes from the
record of our own download, else from what the client recorded, else from the blobs' names, which are their publisher's
digests; a file for which none of them speaks is unverifiable.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from availability.findings import Finding, FindingKind
from availability.identity import client_listing
from availability.model import Commit, FileRecord, Listing, ModelId
from availability.record import SnapshotRecord
from availability.store import Store
from availability.workspace import Workspace

BLOB_NAMES = "blob names"
"""The origin of a listing that is nothing but what the links of a snapshot say."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Placed:
    """One file that ought to be there.

    Attributes:
        file: what it must be.
        path: where its users read it.
        place: where its content lies, links followed; None when there is none to judge.
        finding: what is wrong with its name or its link, None when that is as it should be.
        has_good_link: whether its users get what lies at `place`.
    """

    file: FileRecord
    path: Path
    place: Path | None
    finding: Finding | None = None
    has_good_link: bool = True


@dataclass(frozen=True, slots=True)
class Structure:
    """One commit of a model as it stands.

    Attributes:
        model: which.
        commit: what its revision points to.
        listing: what the commit consists of, as far as somebody said so.
        record: our own record of it, None when it came by another way.
        files: those that ought to be there, in the order of their paths.
        strays: files that nobody lists.
        unverifiable: paths of files for which no publisher's digest is known.
    """

    model: ModelId
    commit: Commit
    listing: Listing
    record: SnapshotRecord | None
    files: tuple[Placed, ...]
    strays: tuple[Finding, ...]
    unverifiable: tuple[str, ...]

    @property
    def is_by_names(self) -> bool:
        """Whether nobody says what the files' sizes must be."""
        return self.listing.origin == BLOB_NAMES


def find_snapshot(workspace: Workspace, model: ModelId) -> tuple[Commit, SnapshotRecord | None] | None:
    """Return the commit that a model's revision points to here, and its record; None when there is no snapshot."""
    commit = workspace.store.commit(model)
    if commit is None:
        return None
    record = workspace.records.read(model, commit)
    if record is None and not workspace.store.snapshot(model, commit).is_dir():
        return None
    return commit, record


def observe(workspace: Workspace, model: ModelId) -> Structure | None:
    """Observe the commit that a model's revision points to here; None when there is no snapshot of it."""
    found = find_snapshot(workspace, model)
    if found is None:
        return None
    store, (commit, record) = workspace.store, found
    there = store.snapshot_files(model, commit)
    listing = _listing(workspace, model, commit, record, there)
    listed = {file.path: file for file in listing.files}
    # What was never asked for need not be there; of what somebody else brought, only what he brought.
    wanted = record.wanted if record is not None and record.wanted else listed.keys() & set(there)
    unknown = [path for path in there if path not in listed]
    by_names_only = listing.origin == BLOB_NAMES
    return Structure(
        model=model,
        commit=commit,
        listing=listing,
        record=record,
        files=tuple(_place(store, model, commit, listed[path]) for path in sorted(wanted) if path in listed),
        strays=() if by_names_only else tuple(_stray(store, model, commit, path) for path in unknown),
        unverifiable=tuple(unknown) if by_names_only else (),
    )


def _listing(
    workspace: Workspace, model: ModelId, commit: Commit, record: SnapshotRecord | None, there: tuple[str, ...]
) -> Listing:
    if record is not None:
        return record.listing
    recorded = client_listing(workspace, model, commit)
    if recorded is not None:
        return recorded
    return Listing(model, commit, tuple(_named(workspace.store, model, commit, there)), BLOB_NAMES)


def _named(store: Store, model: ModelId, commit: Commit, there: tuple[str, ...]) -> Iterator[FileRecord]:
    for path in there:
        link = store.snapshot(model, commit) / path
        name = link.readlink().name if link.is_symlink() else ""
        signature = store.signature(link)
        size = signature.size if signature else 0
        if _SHA256.fullmatch(name):
            yield FileRecord(path, size, "", name)
        elif _GIT_ID.fullmatch(name):
            yield FileRecord(path, size, name)


def _place(store: Store, model: ModelId, commit: Commit, file: FileRecord) -> Placed:
    path = store.snapshot(model, commit) / file.path
    blob = store.blob(model, file)
    content = Path(os.path.realpath(blob))
    if content.is_dir():
        finding = Finding(FindingKind.UNREADABLE, file, (), "a folder lies where its content should be")
        return Placed(file, path, None, finding)
    place = content if content.exists() else None
    if not path.is_symlink():
        if path.exists():
            return Placed(file, path, path)
        cause = "its link was removed, its content is there" if place else "it is not there"
        return Placed(file, path, place, Finding(FindingKind.MISSING_FILE, file, (), cause), has_good_link=False)
    if Path(os.path.realpath(path)) == content:
        if place is not None:
            return Placed(file, path, place)
        cause = f"its link leads to {blob.name}, and there is no such content: somebody removed it"
        return Placed(file, path, None, Finding(FindingKind.DANGLING_LINK, file, (), cause))
    target = path.readlink()
    kind = FindingKind.FOREIGN_FILE if path.exists() else FindingKind.DANGLING_LINK
    cause = f"its link leads to {target} instead of its own content"
    return Placed(file, path, place, Finding(kind, file, (), cause), has_good_link=False)


def _stray(store: Store, model: ModelId, commit: Commit, path: str) -> Finding:
    signature = store.signature(store.snapshot(model, commit) / path)
    file = FileRecord(path, signature.size if signature else 0, "")
    return Finding(
        FindingKind.FOREIGN_FILE, file, (), "the publisher does not list it: somebody put it here", is_listed=False
    )

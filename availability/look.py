"""One look at one commit of a model on the disk: which of its files are there, proven, damaged.

The one place where signatures become a judgement. Who needs to know what a judgement rests on hands in the function
that takes the signatures (`availability.memo` does), so that nobody judges twice in two ways.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict

from availability.model import Commit, ModelId
from availability.record import Signature, SnapshotRecord
from availability.status import Disk
from availability.store import Store

SignatureOf = Callable[[str], Signature | None]
"""Returns the signature of a file by its path, links followed; None when there is no such file."""


class DamagedRanges(TypedDict):
    """Bytes of a file that are known to be wrong, as [start, stop), or none when all of them may be."""

    file: str
    ranges: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Look:
    """What the disk tells of one commit of a model; the attributes are those of `ModelStatus`.

    Attributes:
        disk: what the store holds of it.
        missing: files that were asked for and are absent.
        damaged: files with known wrong bytes, and the ranges.
        unverified: files that are there and not proven.
        size_bytes: of the files that were asked for, None when that is not known.
        integrity_score: share of those bytes that is proven (0..1), None when nothing was ever checked.
        oldest_check: when the file that was checked longest ago was checked, seconds since the epoch.
    """

    disk: Disk
    missing: tuple[str, ...] = ()
    damaged: tuple[DamagedRanges, ...] = ()
    unverified: tuple[str, ...] = ()
    size_bytes: int | None = None
    integrity_score: float | None = None
    oldest_check: float | None = None


NOTHING = Look(Disk.NOTHING)


def look(
    store: Store, model: ModelId, commit: Commit | None, record: SnapshotRecord | None, signature_of: SignatureOf
) -> Look:
    """Judge one commit of a model.

    Args:
        store: where it lies.
        model: which.
        commit: what its revision points to; None when it points nowhere.
        record: what is known of the commit.
        signature_of: takes the signatures of its files.
    """
    if commit is None or not store.snapshot(model, commit).is_dir():
        return NOTHING
    if record is None or not record.wanted:
        return Look(Disk.UNVERIFIED, unverified=store.snapshot_files(model, commit))
    missing: list[str] = []
    damaged: list[DamagedRanges] = []
    unverified: list[str] = []
    proven_bytes = 0
    files = record.wanted_files()
    snapshot = str(store.snapshot(model, commit))
    for file in files:
        signature = signature_of(f"{snapshot}/{file.path}")
        proof, defect = record.proofs.get(file.path), record.defects.get(file.path)
        if signature is None:
            missing.append(file.path)
        elif proof and proof.signature == signature:
            proven_bytes += file.size
        elif defect and defect.signature == signature:
            damaged.append(DamagedRanges(file=file.path, ranges=list(defect.ranges)))
        else:
            unverified.append(file.path)
    total = sum(file.size for file in files)
    checks = [record.proofs[file.path].at for file in files if file.path in record.proofs]
    return Look(
        disk=_disk(missing, damaged, unverified),
        missing=tuple(missing),
        damaged=tuple(damaged),
        unverified=tuple(unverified),
        size_bytes=total,
        integrity_score=proven_bytes / total if total and checks else None,
        oldest_check=min(checks, default=None),
    )


def revisions(store: Store, stored: ModelId) -> Iterable[tuple[ModelId, Commit | None]]:
    """Yield a stored model at each revision its references name, and at each commit that none of them does."""
    pointed: set[Commit] = set()
    for name in store.revisions(stored):
        model = ModelId(stored.repo_id, name)
        commit = store.commit(model)
        if commit:
            pointed.add(commit)
        yield model, commit
    for commit in store.commits(stored):
        if commit not in pointed:
            yield ModelId(stored.repo_id, commit), commit


def _disk(missing: list[str], damaged: list[DamagedRanges], unverified: list[str]) -> Disk:
    if damaged:
        return Disk.DAMAGED
    if missing:
        return Disk.PARTIAL
    return Disk.UNVERIFIED if unverified else Disk.COMPLETE

"""The state of models as the disk tells it: no network, no hashing, no server.

A file counts as proven while it has the signature it was proven with, and as damaged while it has the one it was found
wrong with; that is why asking is cheap and never out of date.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from availability.catalog import Catalog
from availability.controls import DownloadRecord
from availability.lease import is_held
from availability.model import Commit, ModelId
from availability.record import SnapshotRecord
from availability.status import Availability, Disk, Wanted, Work, availability_of
from availability.workspace import Workspace


class DamagedRanges(TypedDict):
    """Bytes of a file that are known to be wrong, as [start, stop), or none when all of them may be."""

    file: str
    ranges: list[tuple[int, int]]


class StatusRecord(TypedDict):
    """A `ModelStatus` as plain data: one entry of `models` in `availability status --json`."""

    model_id: str
    revision: str
    availability_status: str
    is_available: bool
    path: str | None
    size_mb: float | None
    integrity_score: float | None
    performance_score: float | None
    last_health_check: str | None
    missing_files: list[str]
    damaged_ranges: list[DamagedRanges]
    unverified_files: list[str]
    current_revision: str | None
    latest_revision: str | None
    update_available: bool | None
    uses_per_day: float | None
    last_used: str | None
    download: dict[str, object] | None
    next_steps: list[str]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What the disk tells of one model at one revision.

    Attributes:
        model: which.
        availability_status: the derived word.
        path: the snapshot's folder, None when there is none that may be used.
        commit: what the revision points to here.
        size_bytes: of the files that were asked for, None when that is not known.
        integrity_score: share of those bytes that is proven (0..1), None when nothing was ever checked.
        oldest_check: when the file that was checked longest ago was checked.
        missing: files that were asked for and are absent.
        damaged: files with known wrong bytes, and the ranges.
        unverified: files that are there and not proven.
        download: the running or latest download, None when there was none.
        is_running: whether a living process is at it.
    """

    model: ModelId
    availability_status: Availability
    path: Path | None
    commit: Commit | None
    size_bytes: int | None
    integrity_score: float | None
    oldest_check: datetime | None
    missing: tuple[str, ...]
    damaged: tuple[DamagedRanges, ...]
    unverified: tuple[str, ...]
    download: DownloadRecord | None
    is_running: bool

    def next_steps(self) -> list[str]:
        """Return what can be done next, as sentences with the command to type."""
        match self.availability_status:
            case Availability.AVAILABLE:
                return []
            case Availability.DOWNLOADING | Availability.UPDATING:
                return ["Wait, or watch it: it is being fetched."]
            case Availability.CORRUPTED:
                return [f"Heal it: availability ensure {self.model}"]
            case Availability.MISSING if self.unverified and not self.missing:
                return [f"Have it proven, without a download: availability ensure {self.model}"]
            case _:
                return [f"Fetch it: availability ensure {self.model}"]

    def as_dict(self) -> StatusRecord:
        """Return the status as plain data; null where nothing is known."""
        return StatusRecord(
            model_id=self.model.repo_id,
            revision=self.model.revision,
            availability_status=self.availability_status,
            is_available=self.availability_status.is_available,
            path=str(self.path) if self.path else None,
            size_mb=None if self.size_bytes is None else round(self.size_bytes / 1e6, 3),
            integrity_score=self.integrity_score,
            performance_score=None,
            last_health_check=self.oldest_check.isoformat() if self.oldest_check else None,
            missing_files=list(self.missing),
            damaged_ranges=list(self.damaged),
            unverified_files=list(self.unverified),
            current_revision=self.commit,
            latest_revision=None,
            update_available=None,
            uses_per_day=None,
            last_used=None,
            download=self._download_dict(),
            next_steps=self.next_steps(),
        )

    def _download_dict(self) -> dict[str, object] | None:
        if self.download is None or not self.is_running:
            return None
        progress = self.download.progress
        return {
            "download_id": self.download.download_id,
            "state": self.download.state.value,
            "percent": round(progress.percent, 2) if progress else None,
            "bytes_done": progress.bytes_done if progress else None,
            "bytes_total": progress.bytes_total if progress else None,
            "bytes_per_second": progress.bytes_per_second if progress else None,
            "seconds_left": progress.seconds_left if progress else None,
            "retries": progress.retries if progress else 0,
            "waiting": progress.waiting if progress else None,
        }


def model_status(workspace: Workspace, model: ModelId, catalog: Catalog) -> ModelStatus:
    """Observe one model at one revision."""
    commit = workspace.store.commit(model)
    record = workspace.records.read(model, commit) if commit else None
    look = _look(workspace, model, commit, record)
    download = workspace.controls.read(model)
    is_running = download is not None and download.state.is_active and is_held(workspace.lease_path(model))
    word = availability_of(
        look.disk,
        Work.RUNNING if is_running else Work.IDLE,
        Wanted.YES if catalog.entry(model) else Wanted.NO,
    )
    return ModelStatus(
        model=model,
        availability_status=word,
        path=workspace.store.snapshot(model, commit) if commit and look.disk is Disk.COMPLETE else None,
        commit=commit,
        size_bytes=look.size_bytes,
        integrity_score=look.integrity_score,
        oldest_check=look.oldest_check,
        missing=look.missing,
        damaged=look.damaged,
        unverified=look.unverified,
        download=download,
        is_running=is_running,
    )


def all_models(workspace: Workspace, catalog: Catalog) -> tuple[ModelId, ...]:
    """Return every model that the disk, the catalog or a download's record knows, in the order of their names."""
    found = {entry.model for entry in catalog}
    found |= {record.model for record in workspace.controls.all()}
    for stored in workspace.store.models():
        found |= set(_revisions(workspace, stored))
    return tuple(sorted(found))


def known_ids(workspace: Workspace) -> Iterator[str]:
    """Yield the ids of the models in the store."""
    return (model.repo_id for model in workspace.store.models())


@dataclass(frozen=True, slots=True)
class _Look:
    disk: Disk
    missing: tuple[str, ...] = ()
    damaged: tuple[DamagedRanges, ...] = ()
    unverified: tuple[str, ...] = ()
    size_bytes: int | None = None
    integrity_score: float | None = None
    oldest_check: datetime | None = None


def _look(workspace: Workspace, model: ModelId, commit: Commit | None, record: SnapshotRecord | None) -> _Look:
    if commit is None or not workspace.store.snapshot(model, commit).is_dir():
        return _Look(Disk.NOTHING)
    if record is None or not record.wanted:
        return _Look(Disk.UNVERIFIED, unverified=workspace.store.snapshot_files(model, commit))
    missing: list[str] = []
    damaged: list[DamagedRanges] = []
    unverified: list[str] = []
    proven_bytes = 0
    files = record.wanted_files()
    snapshot = workspace.store.snapshot(model, commit)
    for file in files:
        signature = workspace.store.signature(snapshot / file.path)
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
    return _Look(
        disk=_disk(missing, damaged, unverified),
        missing=tuple(missing),
        damaged=tuple(damaged),
        unverified=tuple(unverified),
        size_bytes=total,
        integrity_score=proven_bytes / total if total and checks else None,
        oldest_check=datetime.fromtimestamp(min(checks), UTC) if checks else None,
    )


def _disk(missing: list[str], damaged: list[DamagedRanges], unverified: list[str]) -> Disk:
    if damaged:
        return Disk.DAMAGED
    if missing:
        return Disk.PARTIAL
    return Disk.UNVERIFIED if unverified else Disk.COMPLETE


def _revisions(workspace: Workspace, stored: ModelId) -> Iterable[ModelId]:
    """Yield a stored model at each revision its references name, and at each commit that none of them does."""
    pointed: set[Commit] = set()
    for name in workspace.store.revisions(stored):
        model = ModelId(stored.repo_id, name)
        commit = workspace.store.commit(model)
        if commit:
            pointed.add(commit)
        yield model
    for commit in workspace.store.commits(stored):
        if commit not in pointed:
            yield ModelId(stored.repo_id, commit)

"""The state of models as the disk tells it: no network, no hashing, no server.

A file counts as proven while it has the signature it was proven with, and as damaged while it has the one it was found
wrong with; that is why asking is cheap and never out of date.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from availability.catalog import Catalog
from availability.controls import DownloadRecord
from availability.error import ErrorRecord
from availability.errors import EnhancedModelAvailabilityError
from availability.lease import is_held
from availability.look import DamagedRanges, Look, look, revisions
from availability.model import Commit, ModelId
from availability.past import UNKNOWN, ModelPast
from availability.status import Availability, Disk, Wanted, Work, availability_of
from availability.workspace import Workspace


class RunningRecord(TypedDict):
    """The download that is running, as plain data; null for what is not known before its plan was made."""

    download_id: str
    state: str
    percent: float | None
    bytes_done: int | None
    bytes_total: int | None
    bytes_per_second: float | None
    seconds_left: float | None
    retries: int
    waiting: str | None


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
    download: RunningRecord | None
    next_steps: list[str]
    error: ErrorRecord | None


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
        past: what the history says of it.
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
    past: ModelPast = UNKNOWN

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

    def as_dict(self, error: EnhancedModelAvailabilityError | None = None) -> StatusRecord:
        """Return the status as plain data; null where nothing is known.

        Args:
            error: why nobody knows the name, for a name that nobody knows.
        """
        used = self.past.last_used
        return StatusRecord(
            model_id=self.model.repo_id,
            revision=self.model.revision,
            availability_status=self.availability_status,
            is_available=self.availability_status.is_available,
            path=str(self.path) if self.path else None,
            size_mb=None if self.size_bytes is None else round(self.size_bytes / 1e6, 3),
            integrity_score=self.integrity_score,
            performance_score=_rounded(self.past.performance_score(self.size_bytes)),
            last_health_check=self.oldest_check.isoformat() if self.oldest_check else None,
            missing_files=list(self.missing),
            damaged_ranges=list(self.damaged),
            unverified_files=list(self.unverified),
            current_revision=self.commit,
            latest_revision=None,
            update_available=None,
            uses_per_day=_rounded(self.past.uses_per_day),
            last_used=None if used is None else datetime.fromtimestamp(used, UTC).isoformat(),
            download=self._running(),
            next_steps=[*error.advice] if error else self.next_steps(),
            error=error.as_dict() if error else None,
        )

    def _running(self) -> RunningRecord | None:
        if self.download is None or not self.is_running:
            return None
        progress = self.download.progress
        is_planned = progress is not None and progress.bytes_total > 0
        return RunningRecord(
            download_id=self.download.download_id,
            state=self.download.state.value,
            percent=round(progress.percent, 2) if progress and is_planned else None,
            bytes_done=progress.bytes_done if progress and is_planned else None,
            bytes_total=progress.bytes_total if progress and is_planned else None,
            bytes_per_second=progress.bytes_per_second if progress else None,
            seconds_left=progress.seconds_left if progress and is_planned else None,
            retries=progress.retries if progress else 0,
            waiting=progress.waiting if progress else None,
        )


def model_status(workspace: Workspace, model: ModelId, catalog: Catalog) -> ModelStatus:
    """Observe one model at one revision."""
    commit = workspace.store.commit(model)
    record = workspace.records.read(model, commit) if commit else None
    seen = look(workspace.store, model, commit, record, workspace.store.signature)
    download = workspace.controls.read(model)
    is_running = (
        download is not None
        and download.state.is_active
        # All revisions of a model share its lease, so it must be held by this very download.
        and is_held(workspace.lease_path(model), download.download_id)
    )
    wanted = Wanted.YES if catalog.entry(model) else Wanted.NO
    return status_of(workspace, model, commit, seen, wanted=wanted, download=download, is_running=is_running)


def status_of(
    workspace: Workspace,
    model: ModelId,
    commit: Commit | None,
    seen: Look,
    *,
    wanted: Wanted = Wanted.NO,
    download: DownloadRecord | None = None,
    is_running: bool = False,
) -> ModelStatus:
    """Put together what the disk, the catalog and the download's record tell of a model."""
    return ModelStatus(
        model=model,
        availability_status=availability_of(seen.disk, Work.RUNNING if is_running else Work.IDLE, wanted),
        path=workspace.store.snapshot(model, commit) if commit and seen.disk is Disk.COMPLETE else None,
        commit=commit,
        size_bytes=seen.size_bytes,
        integrity_score=seen.integrity_score,
        oldest_check=None if seen.oldest_check is None else datetime.fromtimestamp(seen.oldest_check, UTC),
        missing=seen.missing,
        damaged=seen.damaged,
        unverified=seen.unverified,
        download=download,
        is_running=is_running,
        past=workspace.past.of(model.repo_id),
    )


def all_models(workspace: Workspace, catalog: Catalog) -> tuple[ModelId, ...]:
    """Return every model that the disk, the catalog or a download's record knows, in the order of their names."""
    found = {entry.model for entry in catalog}
    found |= {record.model for record in workspace.controls.all()}
    for stored in workspace.store.models():
        found |= {model for model, _ in revisions(workspace.store, stored)}
    return tuple(sorted(found, key=lambda model: (model.repo_id, model.revision)))


def known_ids(workspace: Workspace) -> Iterator[str]:
    """Yield the ids of the models in the store."""
    return (model.repo_id for model in workspace.store.models())


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)

"""Repairing a model: check, plan the least that mends, do it in order, and say what a second check saw.

The use-case behind `availability repair`. A check never starts a repair and a repair never starts another: this one
looks before and after, and ends. Success is what the look afterwards saw, whatever the actions believed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, time
from typing import assert_never, get_args

from availability.catalog import Catalog
from availability.check import Mode, Order, check_model, not_here
from availability.checks import CheckOutcome
from availability.controls import DownloadState
from availability.download import Download
from availability.ensure import attempt
from availability.errors import (
    DownloadFailedError,
    EnhancedModelAvailabilityError,
    HealthCheckFailedError,
    StorageError,
    TransientError,
    UnverifiableError,
    UsageError,
)
from availability.events import of_repair
from availability.integrity import examine
from availability.inventory import model_status
from availability.model import FileRecord, ModelId
from availability.noting import Judgement, note
from availability.pace import Pace
from availability.repairs import RepairOutcome, RepairType, Step
from availability.road.fetching import bring, make_sure_of_room
from availability.road.healing import Wound, heal
from availability.selection import Selection
from availability.structure import Placed, Structure, find_snapshot, observe
from availability.transfer.meter import Progress
from availability.treatment import finding_of_content, steps_for
from availability.workspace import Workspace


def repair_model(
    workspace: Workspace,
    model: ModelId,
    repair_type: RepairType = "auto",
    *,
    dry_run: bool = False,
    from_memory: bool = False,
    repair_id: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Event | None = None,
) -> RepairOutcome:
    """Repair one model at one revision; a failure is part of the outcome.

    Args:
        workspace: where.
        model: which.
        repair_type: `auto`, or the one kind of action that may be taken.
        dry_run: check and plan; write nothing and fetch nothing.
        from_memory: check through the page cache: faster, and blind to what only the disk has wrong.
        repair_id: the id others know it by; a new one when None.
        on_progress: told how far it is.
        stop: set by the caller to end it as if cancelled.

    Raises:
        UsageError: there is no such repair type.
    """
    if repair_type not in get_args(RepairType):
        raise UsageError(f"{repair_type!r} is no repair type; there are {', '.join(get_args(RepairType))}.")
    stop = stop or Event()
    download = Download(workspace, model, Selection(), download_id=repair_id, on_progress=on_progress, stop=stop)
    began = monotonic()
    work = _Repair(download, repair_type, Pace(from_memory=from_memory, stop=stop))
    error: EnhancedModelAvailabilityError | None = None
    try:
        if find_snapshot(workspace, model) is None:  # before anything is written: a mistyped name leaves no trace
            raise not_here(model)
        if dry_run:
            work.plan(remember=False)
        else:
            with download.held():
                download.begun = True
                work.carry_out()
    except EnhancedModelAvailabilityError as caught:
        error = _told(download, caught)
    except OSError as caught:
        error = StorageError(f"{model} could not be repaired: {caught.strerror} ({caught.filename}).")
    outcome = RepairOutcome(
        model=model,
        repair_id=download.download_id,
        repair_type=repair_type,
        actions=tuple(work.steps),
        bytes_fetched=download.meter.bytes_fetched,
        seconds=monotonic() - began,
        before=work.before,
        after=work.after,
        dry_run=dry_run,
        error=error,
    )
    status = partial(model_status, workspace, model, Catalog())
    workspace.history.record(of_repair(outcome, download.meter.bytes_by_source, status))
    return outcome


@dataclass(slots=True)
class _Repair:
    """One repair under way."""

    download: Download
    repair_type: RepairType
    pace: Pace
    before: CheckOutcome | None = None
    after: CheckOutcome | None = None
    steps: list[Step] = field(default_factory=list)
    _healed: list[Judgement] = field(default_factory=list)

    def plan(self, *, remember: bool) -> Structure:
        """Look at the model and decide what to do; nothing is done yet."""
        workspace, model = self.download.workspace, self.download.model
        self.before = check_model(workspace, model, Order(force=True, remember=remember), self.pace)
        structure = observe(workspace, model)
        if self.before.error is not None:
            raise self.before.error
        if structure is None or not self.before.is_complete:
            raise HealthCheckFailedError(f"{model} could not be checked as a whole, so nothing was repaired.")
        if structure.is_by_names and not self.before.is_intact:
            raise UnverifiableError(
                f"What the files of {model} must be is not known, so nothing was repaired.",
                advice=(f"Let the hub be asked: availability ensure {model}",),
            )
        self.steps = list(steps_for(structure, self.before, workspace.ledgers.read, self.repair_type))
        return structure

    def carry_out(self) -> None:
        """Look, do what has to be done until something fails, and look again.

        Raises:
            EnhancedModelAvailabilityError: an action failed; those after it were not begun.
        """
        self.download.enter(DownloadState.VERIFYING)
        structure = self.plan(remember=True)
        if not self.steps:
            return
        if any(step.bytes_needed for step in self.steps):
            self.download.enter(DownloadState.DOWNLOADING)
        try:
            for number, step in enumerate(self.steps):
                self._take(number, step, structure)
        finally:
            note(self.download.workspace, structure, self._healed)
            self.after = self._look_again()

    def _take(self, number: int, step: Step, structure: Structure) -> None:
        self.steps[number] = replace(step, success=False)
        try:
            self._do(step, structure)
        except EnhancedModelAvailabilityError as error:
            self.steps[number] = replace(step, success=False, details=error.message)
            raise
        self.steps[number] = replace(step, success=True)

    def _do(self, step: Step, structure: Structure) -> None:
        match step.action:
            case "refetch_ranges":
                self._heal(step, structure)
            case "refetch_file" | "redownload":
                self._fetch(step, structure)
            case "relink":
                self.download.check_lease()
                self.download.workspace.store.prepare(self.download.model)
                self.download.workspace.store.publish_snapshot(structure.listing, step.files)
                self.download.workspace.store.clear_staging(self.download.model)
            case "rebuild_ledger":
                # The check has done it in the pass in which it proved the file.
                pass
            case _:
                assert_never(step.action)

    def _heal(self, step: Step, structure: Structure) -> None:
        workspace, (file,) = self.download.workspace, step.files
        placed = next(placed for placed in structure.files if placed.file == file)
        ledger = workspace.ledgers.read(file.digest)
        assert placed.place is not None and ledger is not None  # noqa: S101, PT018  else it was planned otherwise
        self._keep_evidence(placed)
        seen, inode = workspace.store.signature(placed.place), placed.place.stat().st_ino
        attempt(
            self.download,
            partial(heal, self.download, structure.listing, Wound(file, placed.place, ledger, step.ranges)),
        )
        defect = structure.record.defects.get(file.path) if structure.record else None
        healed = workspace.store.signature(placed.path)
        nobody_else_wrote = defect is not None and defect.signature == seen and placed.place.stat().st_ino == inode
        if healed is not None and nobody_else_wrote and self.before is not None:
            # Every chunk was read: the right ones before, the wrong ones again now.
            self._healed.append(Judgement(file, healed, self.before.checked_at))

    def _fetch(self, step: Step, structure: Structure) -> None:
        download, store = self.download, self.download.workspace.store
        for placed in structure.files:
            if placed.file in step.files:
                self._keep_evidence(placed)
        make_sure_of_room(download, step.bytes_needed)
        store.prepare(download.model)
        self._take_staged(step.files)

        def fetch() -> None:
            bring(download, structure.listing, step.files)

        attempt(download, fetch)
        download.check_lease()
        for file in step.files:
            _make_way(store.blob(download.model, file))
        store.publish_blobs(download.model, step.files)
        names = {file.digest for file in step.files}
        store.publish_snapshot(structure.listing, [p.file for p in structure.files if p.file.digest in names])
        store.clear_staging(download.model)

    def _take_staged(self, files: Sequence[FileRecord]) -> None:
        """Use what a repair that was killed has left behind, if it is right."""
        staging = self.download.workspace.staging(self.download.model)
        for file in files:
            place = staging.path(file)
            if not place.exists():
                continue
            if examine(place, file, None, lambda _: self.download.tick()).finding is None:
                self.download.proven.add(file.digest)
            else:
                place.unlink()

    def _keep_evidence(self, placed: Placed) -> None:
        finding = finding_of_content(placed, self.before) if self.before else None
        if finding is not None and placed.place is not None:
            self.download.workspace.quarantine.keep(self.download.model, finding, placed.place, now=time())

    def _look_again(self) -> CheckOutcome:
        """Look at names and signatures, and read what nobody has read since it was written."""
        workspace, model = self.download.workspace, self.download.model
        shallow = check_model(workspace, model, Order(Mode.QUICK, force=True), self.pace)
        if not shallow.unverified or shallow.error is not None:
            return shallow
        order = Order(Mode.SHARE, force=True, only=frozenset(shallow.unverified))
        return check_model(workspace, model, order, replace(self.pace, from_memory=False))


def _make_way(blob: Path) -> None:
    """Remove an empty folder that lies where a blob belongs; one that holds something is somebody's.

    Raises:
        OSError: it is not empty.
    """
    if blob.is_dir() and not blob.is_symlink():
        blob.rmdir()


def _told(download: Download, error: EnhancedModelAvailabilityError) -> EnhancedModelAvailabilityError:
    if not isinstance(error, TransientError):
        return error
    return DownloadFailedError(
        str(download.model),
        error.message,
        download.meter.retries,
        tried=(*download.causes, *error.tried),
        advice=(*error.advice, "What was healed stays healed: ask again later, and only the rest is fetched."),
        cause=error,
    )

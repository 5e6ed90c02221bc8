"""How a repair went, as values: its steps, what was seen before and after, and the record that everybody shows."""

from dataclasses import dataclass
from typing import Literal, TypedDict

from availability.checks import CheckOutcome
from availability.error import ErrorRecord
from availability.errors import EnhancedModelAvailabilityError
from availability.model import FileRecord, ModelId

ActionName = Literal["refetch_ranges", "refetch_file", "redownload", "relink", "rebuild_ledger"]
RepairType = Literal["auto", "refetch_ranges", "refetch_file", "redownload", "relink", "rebuild_ledger"]


class ActionRecord(TypedDict):
    """One action of a repair as plain data; `success` is null for what was only planned."""

    action: str
    success: bool | None
    details: str


class RepairRecord(TypedDict):
    """A `RepairOutcome` as plain data."""

    model_id: str
    revision: str
    repair_id: str
    success: bool
    repair_type: str
    dry_run: bool
    actions: list[ActionRecord]
    bytes_fetched: int
    health_improvement: float | None
    seconds: float
    error: ErrorRecord | None


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a repair.

    Attributes:
        action: its name.
        files: what it is about.
        ranges: the bytes it fetches of its one file.
        success: whether it was done; None when it was only planned, or not come to.
        details: as a sentence.
    """

    action: ActionName
    files: tuple[FileRecord, ...]
    ranges: tuple[tuple[int, int], ...] = ()
    success: bool | None = None
    details: str = ""

    @property
    def bytes_needed(self) -> int:
        """How many bytes it fetches."""
        return sum(stop - start for start, stop in self.ranges)


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """How repairing one model ended.

    Attributes:
        model: which.
        repair_id: the id others know it by; a flow-run id under Prefect.
        repair_type: what was asked for.
        actions: what was done, in order; the last one may have failed.
        bytes_fetched: received over the network, wasted bytes included.
        seconds: how long it took.
        before: what the check before saw, None when it did not come to that.
        after: what the check afterwards saw, None when nothing was done.
        dry_run: nothing was done, on purpose.
        error: why it did not succeed, None when it did.
    """

    model: ModelId
    repair_id: str
    repair_type: str
    actions: tuple[Step, ...] = ()
    bytes_fetched: int = 0
    seconds: float = 0.0
    before: CheckOutcome | None = None
    after: CheckOutcome | None = None
    dry_run: bool = False
    error: EnhancedModelAvailabilityError | None = None

    @property
    def success(self) -> bool:
        """Whether the last look found the model intact."""
        seen = self.after or self.before
        return self.error is None and seen is not None and seen.is_intact and not seen.unverified

    @property
    def health_improvement(self) -> float | None:
        """By how much the share of the model's bytes that are right has grown; None when nothing was done."""
        before = self.before.intact_share if self.before else None
        after = self.after.intact_share if self.after else None
        return None if before is None or after is None else round(after - before, 9)

    def as_dict(self) -> RepairRecord:
        """Return the outcome as plain data."""
        return RepairRecord(
            model_id=self.model.repo_id,
            revision=self.model.revision,
            repair_id=self.repair_id,
            success=self.success,
            repair_type=self.repair_type,
            dry_run=self.dry_run,
            actions=[ActionRecord(action=s.action, success=s.success, details=s.details) for s in self.actions],
            bytes_fetched=self.bytes_fetched,
            health_improvement=self.health_improvement,
            seconds=round(self.seconds, 3),
            error=self.error.as_dict() if self.error else None,
        )

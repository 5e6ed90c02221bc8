"""What has to be done for a model, decided before anything is: the dry run prints it, the road carries it out."""

from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import TypedDict

from availability.error import ErrorRecord
from availability.errors import EnhancedModelAvailabilityError
from availability.model import FileRecord, Listing, ModelId
from availability.selection import Choice, Selection


class Presence(StrEnum):
    """What there is of a file before anything is done."""

    PROVEN = auto()
    """In place, and unchanged since it was proven."""
    UNPROVEN = auto()
    """There, but not known to be right: it is read and judged before anything is fetched for it."""
    ABSENT = auto()
    """To be fetched, from where an earlier run has left off."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One chosen file and what there is of it.

    Attributes:
        file: its record in the listing.
        presence: what there is.
        place: where the bytes to judge lie, None when there are none.
        received: of an absent file, the bytes that an earlier run has left.
    """

    file: FileRecord
    presence: Presence
    place: Path | None = None
    received: int = 0


class PlannedFileRecord(TypedDict):
    """A `PlannedFile` as plain data."""

    path: str
    size: int
    action: str
    bytes_to_fetch: int


class LeftOutRecord(TypedDict):
    """A file that a rule, not a pattern, left out, and why."""

    path: str
    reason: str


class PlanRecord(TypedDict):
    """A `Plan` as plain data: one entry of `models` in `availability ensure --dry-run --json`."""

    model_id: str
    revision: str
    commit: str | None
    bytes_total: int | None
    bytes_to_fetch: int | None
    files: list[PlannedFileRecord]
    left_out: list[LeftOutRecord]
    error: ErrorRecord | None


_ACTIONS = {Presence.PROVEN: "keep", Presence.UNPROVEN: "verify", Presence.ABSENT: "fetch"}


@dataclass(frozen=True, slots=True)
class Plan:
    """The work for one model.

    Attributes:
        listing: what the commit consists of, and who says so.
        selection: what was asked for.
        choice: the files that stand for it.
        files: what there is of each.
    """

    listing: Listing
    selection: Selection
    choice: Choice
    files: tuple[PlannedFile, ...]

    @property
    def absent(self) -> tuple[FileRecord, ...]:
        """The files to be fetched; content that several of them share is fetched once."""
        unique = {item.file.digest: item.file for item in self.files if item.presence is Presence.ABSENT}
        return tuple(unique.values())

    @property
    def unproven(self) -> tuple[PlannedFile, ...]:
        """The files to be read and judged."""
        return tuple(item for item in self.files if item.presence is Presence.UNPROVEN)

    @property
    def bytes_total(self) -> int:
        """Bytes of all chosen files."""
        return sum(item.file.size for item in self.files)

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that are not there; what turns out to be damaged comes on top."""
        unique = {item.file.digest: item for item in self.files if item.presence is Presence.ABSENT}
        return sum(item.file.size - item.received for item in unique.values())

    def as_dict(self) -> PlanRecord:
        """Return the plan as plain data."""
        return PlanRecord(
            model_id=self.listing.model.repo_id,
            revision=self.listing.model.revision,
            commit=self.listing.commit,
            bytes_total=self.bytes_total,
            bytes_to_fetch=self.bytes_to_fetch,
            files=[
                PlannedFileRecord(
                    path=item.file.path,
                    size=item.file.size,
                    action=_ACTIONS[item.presence],
                    bytes_to_fetch=item.file.size - item.received if item.presence is Presence.ABSENT else 0,
                )
                for item in self.files
            ],
            left_out=[LeftOutRecord(path=path, reason=reason) for path, reason in self.choice.left_out],
            error=None,
        )


def unplanned(model: ModelId, error: EnhancedModelAvailabilityError) -> PlanRecord:
    """Return the record of a model for which no plan could be made, and why."""
    return PlanRecord(
        model_id=model.repo_id,
        revision=model.revision,
        commit=None,
        bytes_total=None,
        bytes_to_fetch=None,
        files=[],
        left_out=[],
        error=error.as_dict(),
    )

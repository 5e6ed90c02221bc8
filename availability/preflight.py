"""Does the whole plan fit? Decided before the first byte, from figures that the doors observed.

What other downloads under way may still write counts as taken: their records are the reservations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from availability.errors import InsufficientStorageError
from availability.model import ModelId

_MOST_SUGGESTIONS = 5


@dataclass(frozen=True, slots=True)
class Disk:
    """The room of a disk, as `df` counts it: what is kept back for root is neither used nor free.

    Attributes:
        total_bytes: what is used and what is free.
        free_bytes: what we may still write.
    """

    total_bytes: int
    free_bytes: int

    @property
    def used_percent(self) -> float:
        """How much of it is used."""
        return 100 * (1 - self.free_bytes / self.total_bytes) if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """What the disk and the quota leave.

    Attributes:
        disk_free: bytes free on the store's disk.
        keep_free: bytes that must stay free there.
        reserved: bytes that other downloads under way may still write.
        stored: bytes the store holds now; only asked for when there is a quota.
        quota: bytes the store may hold, None for no limit.
    """

    disk_free: int
    keep_free: int
    reserved: int
    stored: int
    quota: int | None

    @property
    def available(self) -> int:
        """What a new plan may write."""
        on_disk = self.disk_free - self.keep_free - self.reserved
        return on_disk if self.quota is None else min(on_disk, self.quota - self.stored - self.reserved)


@dataclass(frozen=True, slots=True)
class Removable:
    """Something that could be deleted to make room: what it is, why it may go, and the bytes it would free."""

    what: str
    why: str
    size: int
    command: str


def check_room(model: ModelId, needed: int, room: Room, removable: Sequence[Removable]) -> None:
    """Make sure that a plan fits.

    Args:
        model: for the sentence.
        needed: bytes the plan still writes.
        room: what there is.
        removable: what could be deleted.

    Raises:
        InsufficientStorageError: it does not fit; says what to delete.
    """
    if needed <= room.available:
        return
    over_quota = room.quota is not None and room.available < room.disk_free - room.keep_free - room.reserved
    limit = (
        f"the quota of {_gb(room.quota or 0)}" if over_quota else f"the disk, of which {_gb(room.keep_free)} stay free"
    )
    raise InsufficientStorageError(
        f"{model} needs {_gb(needed)} more, and {limit} leaves {_gb(max(0, room.available))} "
        f"({_gb(room.reserved)} are reserved for other downloads). Nothing was written.",
        needed_bytes=needed,
        available_bytes=room.available,
        advice=(
            *deletions(removable),
            "Raise ENHANCED_MODEL_STORAGE_MAX_STORAGE_GB." if over_quota else "Make the store a larger disk.",
        ),
    )


def deletions(removable: Sequence[Removable]) -> tuple[str, ...]:
    """Return what could be deleted as advice, the biggest first."""
    biggest = sorted(removable, key=lambda item: -item.size)[:_MOST_SUGGESTIONS]
    return tuple(f"Delete {item.what} ({_gb(item.size)}, {item.why}): {item.command}" for item in biggest)


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"

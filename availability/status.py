"""The five words, and the table that derives them.

A status is never stored and never set: it follows from what is on the disk, whether a living process is at work on it,
and the catalog. Observing those is `availability.inventory`'s task; here is only the judgement.
"""

from enum import StrEnum, auto


class Availability(StrEnum):
    """How available a model is."""

    AVAILABLE = "available"
    DOWNLOADING = "downloading"
    MISSING = "missing"
    CORRUPTED = "corrupted"
    UPDATING = "updating"

    @property
    def is_available(self) -> bool:
        """Whether the model can be used now: while it is updated, the version before still serves."""
        return self in (Availability.AVAILABLE, Availability.UPDATING)


class Disk(StrEnum):
    """What the store holds of a model at its revision."""

    NOTHING = auto()
    """No published snapshot."""
    PARTIAL = auto()
    """A snapshot that lacks a file of what was asked for."""
    UNVERIFIED = auto()
    """Every file, but not all proven to be what the publisher says."""
    DAMAGED = auto()
    """A file with known wrong bytes, and unchanged since they were seen."""
    COMPLETE = auto()
    """Every file that was asked for, proven, and unchanged since."""


class Work(StrEnum):
    """Whether somebody fetches the model now. A holder that died is nobody."""

    IDLE = auto()
    RUNNING = auto()


class Wanted(StrEnum):
    """Whether the catalog names the model."""

    NO = auto()
    YES = auto()


def availability_of(disk: Disk, work: Work, wanted: Wanted) -> Availability:
    """Return the word for a combination; every one has exactly one."""
    return _TABLE[disk, work, wanted]


# Known wrong bytes are corrupted whoever is at work, until they are healed. A complete snapshot serves while the next
# one is fetched. What is not proven is not available: `missing` asks for the same step as an absent file, `ensure`.
# The catalog decides which models are looked at, never what is true of them.
_TABLE = {
    (Disk.NOTHING, Work.IDLE, Wanted.NO): Availability.MISSING,
    (Disk.NOTHING, Work.IDLE, Wanted.YES): Availability.MISSING,
    (Disk.NOTHING, Work.RUNNING, Wanted.NO): Availability.DOWNLOADING,
    (Disk.NOTHING, Work.RUNNING, Wanted.YES): Availability.DOWNLOADING,
    (Disk.PARTIAL, Work.IDLE, Wanted.NO): Availability.MISSING,
    (Disk.PARTIAL, Work.IDLE, Wanted.YES): Availability.MISSING,
    (Disk.PARTIAL, Work.RUNNING, Wanted.NO): Availability.DOWNLOADING,
    (Disk.PARTIAL, Work.RUNNING, Wanted.YES): Availability.DOWNLOADING,
    (Disk.UNVERIFIED, Work.IDLE, Wanted.NO): Availability.MISSING,
    (Disk.UNVERIFIED, Work.IDLE, Wanted.YES): Availability.MISSING,
    (Disk.UNVERIFIED, Work.RUNNING, Wanted.NO): Availability.DOWNLOADING,
    (Disk.UNVERIFIED, Work.RUNNING, Wanted.YES): Availability.DOWNLOADING,
    (Disk.DAMAGED, Work.IDLE, Wanted.NO): Availability.CORRUPTED,
    (Disk.DAMAGED, Work.IDLE, Wanted.YES): Availability.CORRUPTED,
    (Disk.DAMAGED, Work.RUNNING, Wanted.NO): Availability.CORRUPTED,
    (Disk.DAMAGED, Work.RUNNING, Wanted.YES): Availability.CORRUPTED,
    (Disk.COMPLETE, Work.IDLE, Wanted.NO): Availability.AVAILABLE,
    (Disk.COMPLETE, Work.IDLE, Wanted.YES): Availability.AVAILABLE,
    (Disk.COMPLETE, Work.RUNNING, Wanted.NO): Availability.UPDATING,
    (Disk.COMPLETE, Work.RUNNING, Wanted.YES): Availability.UPDATING,
}

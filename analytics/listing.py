"""Which files make up the history at this moment, so that every event counts exactly once.

Hot files are listed before cold ones: whatever leaves hot is in cold by then. A cold file's name says which files it
replaces, so what is current follows from the names alone, whichever compactors ran at once and however slow they were.
Events of a day that has one current cold file and nothing else need no second look; all others are told apart by id.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from analytics.privacy import Erasure, erasures
from analytics.storage import COLD, HOT, REJECTED, EventStore, Stored

_COLD_NAME = re.compile(r"(?P<number>\d{6})-(?P<at>\d{10})-(?P<id>[0-9a-f]{8})(?:-(?P<replaced>[0-9a-f.]+))?\.parquet")
_MAGIC = b"PAR1"
_LEAST_BYTES = 12


@dataclass(frozen=True, slots=True)
class Generation:
    """A cold file, as its name tells.

    Attributes:
        file: where it lies.
        number: one more than the highest it replaces.
        at: when it was written, in seconds since 1970.
        id: its own.
        replaced: the ids of those whose events it holds.
    """

    file: Stored
    number: int
    at: int
    id: str
    replaced: frozenset[str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that is no Parquet, and is left out until somebody looks at it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of the history, by how they must be read.

    Attributes:
        settled: cold files that are alone with their day.
        fresh: all others: events in them may stand in several files.
        beside: the settled files of days that also have fresh ones.
        rejected: what was refused at the door.
        forgotten: what no query may see.
    """

    settled: tuple[Stored, ...]
    fresh: tuple[Stored, ...]
    beside: tuple[Stored, ...]
    rejected: tuple[Stored, ...] = ()
    forgotten: tuple[Erasure, ...] = field(default=())

    @property
    def files(self) -> tuple[Stored, ...]:
        """Every file."""
        return (*self.settled, *self.fresh, *self.rejected)

    def without(self, paths: Iterable[str]) -> "Listing":
        """Return the listing without some files."""
        left_out = frozenset(paths)

        def kept(files: tuple[Stored, ...]) -> tuple[Stored, ...]:
            return tuple(file for file in files if file.path not in left_out)

        return Listing(kept(self.settled), kept(self.fresh), kept(self.beside), kept(self.rejected), self.forgotten)


def look(store: EventStore) -> Listing:
    """List the history."""
    hot = _parquet(store.find(HOT))
    cold = _parquet(store.find(COLD))
    alone: list[Stored] = []
    contested: list[Stored] = []
    for day in sorted({file.day for file in cold if file.day}):
        now_valid = [generation.file for generation in current(generations(cold, day))]
        (alone if len(now_valid) == 1 else contested).extend(now_valid)
    open_days = {file.day for file in hot}
    return Listing(
        settled=tuple(alone),
        fresh=(*hot, *contested),
        beside=tuple(file for file in alone if file.day in open_days),
        rejected=tuple(_parquet(store.find(REJECTED))),
        forgotten=erasures(store),
    )


def generations(cold: Iterable[Stored], day: date) -> list[Generation]:
    """Return the cold files of a day, the oldest first; a foreign name replaces nothing."""
    return sorted((_generation(file) for file in cold if file.day == day), key=lambda found: (found.number, found.id))


def current(found: Sequence[Generation]) -> list[Generation]:
    """Return those that no other replaces."""
    replaced = frozenset(identity for generation in found for identity in generation.replaced)
    return [generation for generation in found if generation.id not in replaced]


def name_of_next(replaces: Sequence[Generation], now: datetime) -> str:
    """Return a name for a cold file that holds all events of others."""
    number = 1 + max((generation.number for generation in replaces), default=0)
    ids = ".".join(sorted(generation.id for generation in replaces))
    seconds = int(now.astimezone(UTC).timestamp())
    return f"{number:06d}-{seconds:010d}-{secrets.token_hex(4)}{'-' if ids else ''}{ids}.parquet"


def defect(path: Path) -> str | None:
    """Say what is wrong with a file that should be Parquet, as far as its two ends tell."""
    with path.open("rb") as file:
        start = file.read(4)
        size = file.seek(0, 2)
        if size < _LEAST_BYTES:
            return f"{size} bytes long"
        file.seek(-8, 2)
        end = file.read(8)
    if start != _MAGIC or end[4:] != _MAGIC:
        return "no Parquet, or cut off"
    footer = int.from_bytes(end[:4], "little")
    return None if footer + _LEAST_BYTES <= size else "its footer is cut off"


def _generation(file: Stored) -> Generation:
    found = _COLD_NAME.fullmatch(file.name)
    if found is None:
        return Generation(file, 0, 0, file.name, frozenset())
    replaced = frozenset((found["replaced"] or "").split(".")) - {""}
    return Generation(file, int(found["number"]), int(found["at"]), found["id"], replaced)


def _parquet(files: Iterable[Stored]) -> list[Stored]:
    return [file for file in files if file.day is not None and file.name.endswith(".parquet")]

"""The daily tidying: each day's batches become one file in order, and what it replaces goes after a while.

Nothing here needs to be alone, fast or finished. A new file says by its name which it replaces (`analytics.listing`);
a hot file goes only when every event in it stands in a cold file that counts, and an old cold file only after those it
replaces. The while (`grace`) is for readers that hold an old list. A crash anywhere costs work, never an event.
"""
# ruff: noqa: S608  what stands in these statements are our own names and quoted paths

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from analytics.listing import Broken, Generation, Listing, current, generations, name_of_next
from analytics.mirror import mirror
from analytics.privacy import Erasure, erasures, kept_condition, quoted
from analytics.storage import COLD, HOT, EventStore, Stored
from analytics.views import defect_of, events_select, scan

GRACE = timedelta(hours=1)
PARQUET = "format parquet, compression snappy, parquet_version v2, row_group_size 20480"
"""How cold files are written: a third larger than with zstd, and read in three quarters of the time."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a tidying did.

    Attributes:
        days: that were written anew.
        deleted: files that were no longer needed.
        broken: files that could not be read, and were left where they are.
    """

    days: tuple[date, ...] = ()
    deleted: int = 0
    broken: tuple[Broken, ...] = ()


def compact_days(
    store: EventStore, now: datetime | None = None, grace: timedelta = GRACE, only_now: Sequence[Erasure] = ()
) -> Compacted:
    """Put every day in order that is not, and delete what no reader needs any more.

    Args:
        store: the history.
        now: the current time.
        grace: how long a replaced file stays for readers that have listed it.
        only_now: what is dropped this time besides what the store remembers as forgotten.

    Raises:
        StoreUnreachableError: some days may be done; the rest is as before.
    """
    moment = now or datetime.now(UTC)
    forgotten = (*erasures(store), *only_now)
    written: list[date] = []
    broken: list[Broken] = []
    deleted = 0
    hot = store.find(HOT)
    cold = store.find(COLD)
    with duckdb.connect() as connection:
        for day in _open_days(hot, cold, every=bool(forgotten)):
            with tempfile.TemporaryDirectory(prefix="history-") as scratch:
                work = _Work(store, day, moment, forgotten=forgotten, connection=connection, scratch=Path(scratch))
                found = work.read(hot, cold)
                broken += work.broken
                if work.needs_writing(found):
                    work.write(found)
                    written.append(day)
                deleted += work.delete_replaced(found, grace)
    store.delete_stale(moment.timestamp())
    return Compacted(tuple(written), deleted, tuple(broken))


def _open_days(hot: Sequence[Stored], cold: Sequence[Stored], *, every: bool) -> list[date]:
    """Return the days that may need something; one file that is alone with its day needs nothing."""
    count = Counter(file.day for file in (*hot, *cold) if file.day)
    untidy = {file.day for file in hot}
    return sorted(day for day, files in count.items() if every or files > 1 or day in untidy)


@dataclass(frozen=True, slots=True)
class _Found:
    """The files of one day: batches that can be read, cold files by what their names say, and where all of them lie."""

    hot: tuple[Stored, ...]
    cold: tuple[Generation, ...]
    places: Mapping[str, Path]

    @property
    def current(self) -> list[Generation]:
        return current(self.cold)

    @property
    def listing(self) -> Listing:
        files = tuple(generation.file for generation in self.current)
        return Listing(files, self.hot, files) if len(files) == 1 else Listing((), (*self.hot, *files), ())


class _Work:
    """The tidying of one day."""

    def __init__(
        self,
        store: EventStore,
        day: date,
        now: datetime,
        *,
        forgotten: Sequence[Erasure],
        connection: duckdb.DuckDBPyConnection,
        scratch: Path,
    ) -> None:
        self._store, self._day, self._now, self._scratch = store, day, now, scratch
        self._forgotten, self._connection = tuple(forgotten), connection
        self.broken: list[Broken] = []

    def read(self, hot: Sequence[Stored], cold: Sequence[Stored]) -> _Found:
        """Bring the day's files here; what cannot be read is told, and touched by nobody."""
        ours = [file for file in hot if file.day == self._day and file.name.endswith(".parquet")]
        older = generations((file for file in cold if file.name.endswith(".parquet")), self._day)
        counting = [generation.file for generation in current(older)]
        places = self._places([*ours, *counting])
        bad = {path for path, place in places.items() if self._is_broken(path, place)}
        return _Found(
            tuple(file for file in ours if file.path in places and file.path not in bad),
            tuple(generation for generation in older if generation.file.path not in bad),
            places,
        )

    def needs_writing(self, found: _Found) -> bool:
        """Say whether a batch holds something new, several cold files count, or something in them was forgotten."""
        if not found.hot and not found.current:
            return False
        return len(found.current) != 1 or bool(self._uncovered(found)) or self._holds_forgotten(found)

    def write(self, found: _Found) -> None:
        """Write the day's next cold file."""
        listing = Listing(found.listing.settled, found.listing.fresh, found.listing.beside, forgotten=self._forgotten)
        target = self._scratch / "next.parquet"
        self._connection.execute(
            f"copy (select * exclude (date) from ({events_select(listing, found.places)})"
            f" order by kind, model_id, event_time) to {quoted(str(target))}"
            f" ({PARQUET})"
        )
        self._store.put_file(f"{COLD}/date={self._day}/{name_of_next(found.current, self._now)}", target)

    def delete_replaced(self, found: _Found, grace: timedelta) -> int:
        """Delete what stands in a file that counts, when that file has been there for a while."""
        cold = generations(self._store.find(f"{COLD}/date={self._day}"), self._day)
        valid = current(cold)
        rested = self._now.timestamp() - grace.total_seconds()
        broken = {file.path for file in self.broken}
        if not valid or any(one.at > rested or one.file.path in broken for one in valid):
            return 0
        now = _Found(found.hot, tuple(cold), {**found.places, **self._places([one.file for one in valid])})
        uncovered = self._uncovered(now)
        covered = [file.path for file in now.hot if file.path not in uncovered]
        replaced = [generation.file.path for generation in cold if generation not in valid]
        self._store.delete([*covered, *replaced])
        return len(covered) + len(replaced)

    def _uncovered(self, found: _Found) -> set[str]:
        """Return the batches with an event that no cold file holds, though nobody has forgotten it."""
        if not found.hot:
            return set()
        kept = kept_condition(self._forgotten)
        batches = scan(found.hot, found.places, "filename = true")
        query = f"select filename, event_id from (select * from ({_typed(batches)}) where {kept})"
        if found.current:
            settled = scan([generation.file for generation in found.current], found.places)
            query = f"select * from ({query}) anti join (select event_id from {settled}) using (event_id)"
        names = {name for (name,) in self._connection.execute(f"select distinct filename from ({query})").fetchall()}
        return {file.path for file in found.hot if str(found.places[file.path]) in names}

    def _holds_forgotten(self, found: _Found) -> bool:
        if not self._forgotten:
            return False
        settled = scan([generation.file for generation in found.current], found.places)
        query = f"select 1 from ({_typed(settled)}) where not ({kept_condition(self._forgotten)}) limit 1"
        return bool(self._connection.execute(query).fetchall())

    def _places(self, files: Sequence[Stored]) -> dict[str, Path]:
        """Return where files can be read; those that have just gone were another compactor's to delete."""
        places: dict[str, Path] = {}
        for file in files:
            try:
                places |= mirror(self._store, [file], self._scratch)
            except FileNotFoundError:
                continue
        return {path: place for path, place in places.items() if place.exists()}

    def _is_broken(self, path: str, place: Path) -> bool:
        why = defect_of(self._connection, place)
        if why:
            self.broken.append(Broken(path, why))
        return bool(why)


def _typed(scanned: str) -> str:
    """Return a scan with the columns that a rule about forgetting names, whoever wrote the files."""
    names = ("model_id", "user_hash", "actor", "substitute")
    nothing = ", ".join(f"cast(null as varchar) as {name}" for name in names)
    return f"select {nothing}, cast(null as timestamptz) as event_time where false union all by name from {scanned}"

"""The published file: one DuckDB database that any client opens, with the recent events and every view and macro.

It is derived, and made anew each time. It is written in the format of DuckDB 1.5, which 1.5 and 2 read, and it appears
in one step: readers of the one before keep what they have opened.
"""
# ruff: noqa: S608  what stands in these statements are our own names and quoted paths

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from analytics.listing import look
from analytics.mirror import default_folder, mirror
from analytics.privacy import quoted
from analytics.sqlfiles import named_queries
from analytics.storage import MART, EventStore
from analytics.views import create_derived_views, defect_of, events_select

STORAGE_VERSION = "v1.5.0"
RECENT_DAYS = 90


@dataclass(frozen=True, slots=True)
class Published:
    """What was published.

    Attributes:
        path: below the root of the store.
        events: how many it holds.
        size_bytes: of the file.
    """

    path: str
    events: int
    size_bytes: int


def publish_mart(
    store: EventStore, days: float = RECENT_DAYS, now: datetime | None = None, cache: Path | None = None
) -> Published:
    """Make the file and put it into the store.

    Args:
        store: the history.
        days: how much of it the table `events` holds.
        now: the current time.
        cache: where copies of a remote history's files lie, None for the user's cache.
    """
    moment = now or datetime.now(UTC)
    listing = look(store)
    places = mirror(store, listing.files, cache or default_folder())
    with tempfile.TemporaryDirectory(prefix="history-") as scratch, duckdb.connect() as connection:
        bad = [path for path, place in places.items() if defect_of(connection, place)]
        file = Path(scratch) / "usage.duckdb"
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach {quoted(str(file))} as mart (storage_version '{STORAGE_VERSION}')")
        connection.execute("use mart")
        connection.execute(
            f"create table events as select * from ({events_select(listing.without(bad), places)})"
            " where event_time >= ? - to_microseconds(cast(? * 864e8 as bigint)) and event_time < ?"
            " order by kind, model_id, event_time",
            [moment, days, moment],
        )
        create_derived_views(connection)
        _describe(connection, moment, days)
        (events,) = connection.execute("select count(*) from events").fetchall()[0]
        connection.execute("use memory")
        connection.execute("detach mart")
        store.put_file(MART, file)
        return Published(MART, events, file.stat().st_size)


def _describe(connection: duckdb.DuckDBPyConnection, now: datetime, days: float) -> None:
    """Put into the file what it is, and the text of the named queries for whoever has nothing else."""
    connection.execute(
        "create table published as select cast(? as timestamptz) as published_at, ? as days", [now, days]
    )
    connection.execute("create table queries (name varchar, description varchar, sql varchar)")
    rows = [[file.name, file.description, file.text] for file in named_queries().values()]
    connection.executemany("insert into queries values (?, ?, ?)", rows)

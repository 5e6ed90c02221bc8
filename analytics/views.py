"""The history as views: `events`, `rejected`, and those of `sql/views/`.

`events` reads every file in such a way that an event counts once, has every column whoever wrote it, and is gone when
it was forgotten. Where the files lie is not this room's affair; it is given their paths on this machine.
"""
# ruff: noqa: S608  a view takes no parameters: what stands in these statements are our own names and quoted texts

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from analytics.columns import columns, empty_select
from analytics.listing import Listing, defect
from analytics.privacy import kept_condition, quoted_list
from analytics.sqlfiles import SqlFile, views
from analytics.storage import Stored

_OPTIONS = "union_by_name = true, hive_partitioning = true"
_REJECTED = (
    "select cast(null as varchar) as line, cast(null as varchar) as reason, cast(null as timestamptz) as rejected_at"
)


def create_views(connection: duckdb.DuckDBPyConnection, listing: Listing, places: Mapping[str, Path]) -> None:
    """Create every view over files at these places."""
    # What follows from `events` is made on an empty one: DuckDB would open every file anew for each view.
    connection.execute(f"create view events as {empty_select()}")
    create_derived_views(connection)
    connection.execute(f"create or replace view events as {events_select(listing, places)}")
    connection.execute(f"create view rejected as {_rejected_select(listing, places)}")


def create_derived_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what follows from `events`, be it a view or a table."""
    for file in views():
        connection.execute(creation(file))


def creation(file: SqlFile) -> str:
    """Return the statement that creates a view or a macro."""
    if not file.parameters:
        return f"create view {file.name} as\n{file.text}"
    names = ", ".join(parameter.name for parameter in file.parameters)
    return f"create macro {file.name}({names}) as table\n{file.text}"


def events_select(listing: Listing, places: Mapping[str, Path]) -> str:
    """Return the query behind `events`."""
    parts = [empty_select()]
    if listing.settled:
        parts.append(f"select * from {scan(listing.settled, places)}")
    if listing.fresh:
        once = f"select distinct on (event_id) * from {scan(listing.fresh, places)}"
        if listing.beside:
            settled = f"select event_id from {scan(listing.beside, places)}"
            once = f"select * from ({once}) anti join ({settled}) using (event_id)"
        parts.append(f"({once})")
    everything = " union all by name ".join(parts)
    typed = ", ".join(f"try_cast({column.name} as {column.sql}) as {column.name}" for column in columns())
    kept = kept_condition(listing.forgotten)
    return f"select * replace ({typed}, cast(date as date) as date) from ({everything}) where {kept}"


def _rejected_select(listing: Listing, places: Mapping[str, Path]) -> str:
    nothing = f"{_REJECTED} where false"
    if not listing.rejected:
        return nothing
    rows = f"select line, reason, rejected_at from {scan(listing.rejected, places)}"
    return f"{nothing} union all by name (select distinct on (line, reason) * from ({rows}))"


def scan(files: Sequence[Stored], places: Mapping[str, Path], *options: str) -> str:
    """Return the table function that reads files."""
    paths = quoted_list([str(places[file.path]) for file in files])
    return f"read_parquet({', '.join((paths, _OPTIONS, *options))})"


def defect_of(connection: duckdb.DuckDBPyConnection, place: Path) -> str | None:
    """Say why a file cannot be read, None when every value in it can."""
    why = defect(place)
    if why:
        return why
    try:
        connection.execute("select bit_xor(hash(columns(*))) from read_parquet(?)", [str(place)]).fetchall()
    except duckdb.Error as error:
        return str(error).partition("\n")[0]
    return None

"""A read-only DuckDB connection on the history, which no statement can lead out of it.

DuckDB itself is locked: it opens the history's files and no others, loads nothing, and its settings cannot be changed.
It has no lock against writing over a file that it may read, so only statements that read are let through. Files may go
while a query runs, because a compactor has replaced them: the history is then listed again and the query is repeated.
"""

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from analytics.errors import AnalyticsError, QueryError
from analytics.listing import Broken, Listing, defect, look
from analytics.mirror import default_folder, mirror
from analytics.place import URL, default_url
from analytics.privacy import quoted_list
from analytics.storage import EventStore, open_store
from analytics.views import create_views, defect_of

_LISTINGS = 3
"""How often the history is listed before a file that goes is taken for more than a compactor's work."""
_EXPLAIN = re.compile(r"\s*explain(\s+analyze|\s*\([^()]*\))*\s", re.IGNORECASE)
_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_FILE_ERRORS = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException)


Parameters = Sequence[Any] | Mapping[str, Any] | None
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Table:
    """The answer to a query: the names of its columns, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        """Return each row by the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class History:
    """The connection: `execute`, `sql` and `fetch…` are DuckDB's own; `table` answers whole and survives compaction.

    Attributes:
        broken: files that were left out.
    """

    def __init__(self, store: EventStore, cache: Path | None = None) -> None:
        """List the history and open it.

        Args:
            store: where it lies.
            cache: where copies of a remote history's files lie, None for the user's cache.
        """
        self._store, self._cache = store, cache or default_folder()
        self.broken: tuple[Broken, ...] = ()
        self._listing = Listing((), (), ())
        self._connection = self._opened()

    def execute(self, query: str, parameters: Parameters = None) -> Self:
        """Run a statement that reads; its rows are fetched from this object."""
        self._refuse_what_writes(query)
        try:
            self._run(query, parameters)
        except duckdb.Error as error:
            if not _may_be_a_file(error):
                raise
            self._recover(error)
            self._run(query, parameters)
        return self

    def sql(self, query: str, params: Parameters = None) -> duckdb.DuckDBPyRelation:
        """Return a statement that reads as a relation, which is run when it is fetched from."""
        self._refuse_what_writes(query)
        self._forget_unfetched()
        return self._connection.sql(query, params=params)

    query = sql

    def table(self, query: str, parameters: Parameters = None) -> Table:
        """Return the whole answer to a statement that reads.

        Raises:
            QueryError: DuckDB's own words, or that it is no statement that reads.
        """
        self._refuse_what_writes(query)
        try:
            return self._table(query, parameters)
        except duckdb.Error as error:
            if not _may_be_a_file(error):
                raise QueryError(str(error)) from error
            self._recover(error)
        try:
            return self._table(query, parameters)
        except duckdb.Error as error:
            raise QueryError(str(error)) from error

    def cursor(self) -> Self:
        """Return the connection itself: whoever wants a second opens it."""
        return self

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("fetch") or name in _READING:
            return getattr(self._connection, name)
        raise AttributeError(f"a connection that only reads has no {name!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, query: str, parameters: Parameters) -> None:
        self._forget_unfetched()
        self._connection.execute(query, parameters) if parameters else self._connection.execute(query)

    def _forget_unfetched(self) -> None:
        """Give up what was not fetched: since its second major version DuckDB refuses a statement before that."""
        abort = getattr(self._connection, "abort", None)
        if abort is not None:
            abort()

    def _table(self, query: str, parameters: Parameters) -> Table:
        self._run(query, parameters)
        columns = tuple(column[0] for column in self._connection.description or ())
        return Table(columns, tuple(self._connection.fetchall()))

    @staticmethod
    def _refuse_what_writes(query: str) -> None:
        try:
            types = [statement.type for statement in duckdb.extract_statements(query)]
            if types == [duckdb.StatementType.EXPLAIN]:
                types = [one.type for one in duckdb.extract_statements(_EXPLAIN.sub("", query, count=1))]
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
        if types != [duckdb.StatementType.SELECT]:
            raise QueryError("The history is read-only: one `select` at a time (a `pivot` needs `on column in (…)`).")

    def _opened(self) -> duckdb.DuckDBPyConnection:
        for attempt in range(1, _LISTINGS + 1):
            listing = look(self._store).without(file.path for file in self.broken)
            try:
                return self._open(listing)
            except (FileNotFoundError, duckdb.Error) as error:
                if isinstance(error, duckdb.Error):
                    self._leave_out(self._unreadable(listing))
                if attempt == _LISTINGS:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _open(self, listing: Listing) -> duckdb.DuckDBPyConnection:
        places = mirror(self._store, listing.files, self._cache)
        found = [Broken(file.path, why) for file in listing.files if (why := defect(places[file.path]))]
        self._leave_out(found)
        listing = listing.without(file.path for file in found)
        connection = _unlocked()
        create_views(connection, listing, places)
        _lock(connection, [places[file.path] for file in listing.files])
        self._listing = listing
        return connection

    def _recover(self, error: duckdb.Error) -> None:
        """Open again without the files that are the cause; when no file is, say what DuckDB said."""
        known = {file.path for file in self._listing.files}
        if known <= {file.path for file in look(self._store).files}:
            found = self._unreadable(self._listing)
            if not found:
                raise QueryError(str(error)) from error
            self._leave_out(found)
        previous = self._connection
        self._connection = self._opened()
        previous.close()

    def _unreadable(self, listing: Listing) -> list[Broken]:
        """Return the files of which not every value can be read; those that have gone are not among them."""
        found = []
        with duckdb.connect() as probe:
            for file in listing.files:
                try:
                    place = mirror(self._store, [file], self._cache)[file.path]
                    why = defect_of(probe, place)
                except FileNotFoundError:
                    continue
                if why:
                    found.append(Broken(file.path, why))
        return found

    def _leave_out(self, found: Sequence[Broken]) -> None:
        new = [file for file in found if file not in self.broken]
        for file in new:
            logger.warning("A file is left out, and its events are missing: %s (%s)", file.path, file.reason)
        self.broken = (*self.broken, *new)


_READING = frozenset({"description", "df", "fetchnumpy", "interrupt", "pl", "rowcount"})


def connect(url: str | None = None, options: Mapping[str, Any] | None = None, cache: Path | None = None) -> History:
    """Open the history at a URL as a locked, read-only DuckDB connection.

    Args:
        url: of any kind that fsspec knows, None for where the environment says that it lies.
        options: what its filesystem needs, credentials included.
        cache: where copies of a remote history's files lie, None for the user's cache.

    Raises:
        UnsafeUrlError: the URL carries a secret.
        StoreUnreachableError: the place does not answer. An empty place is an empty history.
        AnalyticsError: nobody said where it lies.
    """
    place = url or default_url()
    if not place:
        raise AnalyticsError(f"Say where the history lies: a URL, or the variable {URL}.")
    return History(open_store(place, options), cache)


def _unlocked() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"temp_directory": tempfile.gettempdir()})
    for name, value in _SETTINGS.items():
        connection.execute(f"set {name} = {value}")
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    connection.execute(f"set allowed_paths = {quoted_list([str(path) for path in files])}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _may_be_a_file(error: duckdb.Error) -> bool:
    """Say whether a file that is gone or broken may be the cause; DuckDB has no kind of error for that alone."""
    return isinstance(error, _FILE_ERRORS) or type(error) is duckdb.Error or "parquet" in str(error).lower()

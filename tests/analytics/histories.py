"""Small histories for tests: events at given times, a store that holds them, and a filesystem that fails on demand."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from analytics.connection import History
from analytics.events import content_id
from analytics.queries import run_query
from analytics.schemas import read_lines
from analytics.ship import send
from analytics.sqlfiles import named_queries
from analytics.storage import EventStore

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
"""When tests ask: two days after the clocks of Europe went forward."""

_numbers = itertools.count()


class CrashError(BaseException):
    """The process is gone: nothing below may catch this and go on."""


class FaultyFilesystem(LocalFileSystem):
    """A real local filesystem that fails at its n-th operation, before or after doing it."""

    cachable = False

    def __init__(self, fail_at=None, error=CrashError, after=False, **kwargs):
        super().__init__(**kwargs)
        self.fail_at, self.error, self.after = fail_at, error, after
        self.operations = []

    def _count(self, name, action):
        self.operations.append(name)
        fails = len(self.operations) == self.fail_at
        if fails and not self.after:
            raise self.error
        result = action()
        if fails:
            raise self.error
        return result

    def find(self, *args, **kwargs):
        return self._count("find", lambda: super(FaultyFilesystem, self).find(*args, **kwargs))

    def cat_file(self, *args, **kwargs):
        return self._count("read", lambda: super(FaultyFilesystem, self).cat_file(*args, **kwargs))

    def pipe_file(self, path, value, **kwargs):
        return self._count("write", lambda: super(FaultyFilesystem, self).pipe_file(path, value, **kwargs))

    def put_file(self, path1, path2, **kwargs):
        return self._count("write", lambda: super(FaultyFilesystem, self).put_file(path1, path2, **kwargs))

    def mv(self, *args, **kwargs):
        return self._count("rename", lambda: super(FaultyFilesystem, self).mv(*args, **kwargs))

    def rm_file(self, *args, **kwargs):
        return self._count("delete", lambda: super(FaultyFilesystem, self).rm_file(*args, **kwargs))


def faults(operations: list[str], *, after: bool) -> list[int]:
    """Return at which operations a crash is worth a try: after one that changed nothing is before the next one."""
    changing = ("write", "rename", "delete")
    return [number for number, name in enumerate(operations, 1) if not after or name in changing]


def store_at(folder: Path, filesystem=None) -> EventStore:
    return EventStore(filesystem or LocalFileSystem(), str(folder))


def line(kind: str, at: datetime | str, **fields) -> bytes:
    """Return an event's line; each call makes a new event unless an id is given."""
    fields.setdefault("event_id", content_id(str(next(_numbers))))
    moment = at if isinstance(at, str) else at.isoformat()
    return json.dumps({"event_time": moment, "kind": kind, **fields}).encode() + b"\n"


def minutes(*values: float, start: datetime) -> list[datetime]:
    return [start + timedelta(minutes=value) for value in values]


def put(store: EventStore, *lines: bytes, now: datetime = NOW):
    return send(store, read_lines(lines), now)


def history(folder: Path, *lines: bytes) -> History:
    """Return an open connection on a store that holds these events."""
    store = store_at(folder)
    if lines:
        shipped = put(store, *lines)
        assert shipped.rejected == 0, "a test's own events must be good"
    return History(store)


def ask(connection: History, query: str, *columns: str, **parameters) -> list[tuple]:
    """Return some columns of a named query's answer."""
    answer = run_query(connection, query, {"now": NOW, **parameters} if "now" in _takes(query) else parameters)
    return [tuple(record[column] for column in columns) for record in answer.records()]


def _takes(query: str) -> set[str]:
    return {parameter.name for parameter in named_queries()[query].parameters}


def ids(connection: History) -> list[str]:
    """Return the id of every event, as often as it counts."""
    return sorted(row[0] for row in connection.table("select event_id from events").rows)

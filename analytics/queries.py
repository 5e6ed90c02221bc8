"""The named queries: what they are called, what they take, and their answers.

The SQL lies in `sql/`; what a query answers, its columns and its parameters stand on top of its file.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from analytics.connection import History, Table
from analytics.errors import QueryError, UnknownQueryError
from analytics.sqlfiles import Parameter, SqlFile, named_queries

NOW = "now"
"""The default of a parameter that is the current time."""


def list_queries() -> list[dict[str, Any]]:
    """Return every named query as plain data: name, description, columns, parameters."""
    return [
        {
            "name": file.name,
            "description": file.description,
            "columns": dict(file.columns),
            "parameters": [asdict(parameter) for parameter in file.parameters],
        }
        for file in named_queries().values()
    ]


def run_query(history: History, name: str, parameters: Mapping[str, Any] | None = None) -> Table:
    """Answer a named query.

    Args:
        history: an open connection.
        name: of the query.
        parameters: those that differ from their defaults; texts are read as their type says.

    Raises:
        UnknownQueryError: with the names that are near.
        QueryError: a parameter is unknown or cannot be read, or DuckDB refuses.
    """
    file = find(name)
    given = dict(parameters or {})
    unknown = sorted(set(given) - {parameter.name for parameter in file.parameters})
    if unknown:
        known = ", ".join(parameter.name for parameter in file.parameters) or "none"
        raise QueryError(f"The query {name} has no parameter {unknown[0]}; it takes {known}.")
    now = datetime.now(UTC)
    values = {
        parameter.name: _value(parameter, given.get(parameter.name, parameter.default), now)
        for parameter in file.parameters
    }
    return history.table(file.text, values or None)


def find(name: str) -> SqlFile:
    """Return a named query.

    Raises:
        UnknownQueryError: with the names that are near.
    """
    found = named_queries().get(name)
    if found is None:
        near = get_close_matches(name, named_queries(), 3)
        hint = f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(sorted(named_queries()))}."
        raise UnknownQueryError(f"No query is named {name!r}. {hint}")
    return found


def _value(parameter: Parameter, given: Any, now: datetime) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return _READERS[parameter.type](given, now)
    except ValueError as error:
        raise QueryError(f"{parameter.name} is {given!r}; expected {_EXPECTED[parameter.type]}.") from error


def _moment(text: str, now: datetime) -> datetime:
    if text == NOW:
        return now
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_READERS: dict[str, Any] = {
    "double": lambda text, _: float(text),
    "integer": lambda text, _: int(text),
    "timestamptz": _moment,
    "varchar": lambda text, _: text,
}
_EXPECTED = {
    "double": "a number",
    "integer": "a whole number",
    "timestamptz": "a time such as 2026-01-31T12:00:00+00:00, or now",
    "varchar": "a text",
}

"""The fields of an event as columns: their types in Parquet and in SQL, and the bounds that hold for their values.

Everything here is read back from `analytics.events.Event`; nothing is written twice.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen

from analytics.events import Event

_SQL = {str: "varchar", float: "double", int: "bigint", bool: "boolean", datetime: "timestamptz", dict: "varchar"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the history.

    Attributes:
        name: of the field.
        kind: the Python type of its values; `dict` is kept as JSON in text.
        required: whether every event has it.
        least: the least number, None when unbounded.
        most: the greatest number, None when unbounded.
        most_letters: the longest text, None when unbounded.
        description: what it says.
    """

    name: str
    kind: type
    required: bool
    least: float | None
    most: float | None
    most_letters: int | None
    description: str

    @property
    def sql(self) -> str:
        """Its type in DuckDB."""
        return _SQL[self.kind]


@cache
def columns() -> tuple[Column, ...]:
    """Return every column, as written."""
    return tuple(
        Column(
            name=name,
            kind=_plain(field.annotation),
            required=name in ("event_id", "event_time", "kind"),
            least=_bound(field.metadata, Ge, "ge"),
            most=_bound(field.metadata, Le, "le"),
            most_letters=_bound(field.metadata, MaxLen, "max_length"),
            description=field.description or "",
        )
        for name, field in Event.model_fields.items()
    )


def empty_select() -> str:
    """Return a query with every column, its type, and no row: what the history is before anything has happened."""
    typed = ", ".join(f"cast(null as {column.sql}) as {column.name}" for column in columns())
    return f"select {typed}, cast(null as date) as date where false"


def _plain(annotation: Any) -> type:
    """Return the type inside `T | None`, without what qualifies it."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    origin = get_origin(annotation) or annotation
    return origin if origin in _SQL else datetime


def _bound(metadata: list[Any], kind: type, attribute: str) -> Any:
    return next((getattr(item, attribute) for item in metadata if isinstance(item, kind)), None)

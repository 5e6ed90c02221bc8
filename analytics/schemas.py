"""The door of the history: a batch is judged row by row, and what may not enter is kept beside with its reason.

Judged per batch with pandera, never per event (a call costs milliseconds). `rows` makes a batch from lines; `judge`
splits it. Values that cannot be (negative bytes, scores over 1, times in the future) never reach the history.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from analytics.columns import Column, columns
from analytics.events import ID_PATTERN, KIND_PATTERN
from analytics.kinds import KINDS, STATUSES

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of another machine may be ahead of ours."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_DTYPES: dict[type, Any] = {
    str: pl.String(),
    float: pl.Float64(),
    int: pl.Int64(),
    bool: pl.Boolean(),
    datetime: pl.Datetime("us", "UTC"),
    dict: pl.String(),
}
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that may not enter: what was sent, and why it was refused."""

    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that may be judged together, and the lines that are no rows at all."""

    rows: pl.DataFrame
    lines: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What came out at the door: a frame with the column `date`, and what was left outside."""

    accepted: pl.DataFrame
    rejected: tuple[Rejected, ...]


@cache
def dtypes() -> dict[str, Any]:
    """Return the polars type of every column."""
    return {column.name: _DTYPES[column.kind] for column in columns()}


def read_lines(lines: Iterable[bytes]) -> Batch:
    """Make a batch from the lines of a spool; keys that this code does not know are kept in `details`."""
    rows: list[dict[str, Any]] = []
    sent: list[str] = []
    refused: list[Rejected] = []
    for line in lines:
        text = line.decode(errors="replace").strip()
        if not text:
            continue
        try:
            rows.append(_row(json.loads(text)))
            sent.append(text)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            refused.append(Rejected(text, f"no event: {error}"))
    return Batch(pl.DataFrame(rows, schema=dtypes(), orient="row"), tuple(sent), tuple(refused))


def judge(batch: Batch, now: datetime) -> Judged:
    """Split a batch into what may enter and what may not; an event sent twice enters once."""
    if batch.rows.is_empty():
        return Judged(_dated(batch.rows), batch.rejected)
    reasons = _reasons(batch.rows, now)
    refused = tuple(Rejected(batch.lines[index], why) for index, why in sorted(reasons.items()))
    kept = batch.rows.with_row_index("_row").filter(~pl.col("_row").is_in(list(reasons))).drop("_row")
    return Judged(_dated(kept.unique("event_id", keep="first", maintain_order=True)), batch.rejected + refused)


def _dated(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("event_time").dt.date().alias("date"))


def _reasons(frame: pl.DataFrame, now: datetime) -> dict[int, str]:
    """Return why each bad row is bad, by its index."""
    timed = frame.with_columns(_latest=pl.lit(now + CLOCK_SKEW, dtype=_DTYPES[datetime]))
    try:
        _schema().validate(timed, lazy=True)
    except SchemaErrors as errors:
        bad = errors.failure_cases["index"]
        if bad.has_nulls():  # the table itself does not fit: no row is to blame, and none can be trusted
            raise
        return _blamed(timed, sorted({int(index) for index in bad}))
    return {}


def _blamed(frame: pl.DataFrame, bad: list[int]) -> dict[int, str]:
    """Return which rules each of the bad rows breaks."""
    rules = {rule.sentence: rule for group in _rules().values() for rule in group}
    kept = frame[bad].select(rule.holds.alias(sentence) for sentence, rule in rules.items())
    rows = zip(bad, kept.iter_rows(), strict=True)
    return {index: "; ".join(why for why, holds in zip(rules, row, strict=True) if not holds) for index, row in rows}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What must hold of every row; where nothing is known it holds.

    Attributes:
        sentence: what is wrong where it does not.
        good: the expression.
    """

    sentence: str
    good: pl.Expr

    @property
    def holds(self) -> pl.Expr:
        return self.good.fill_null(value=True)


@cache
def _schema() -> pa.DataFrameSchema:
    """Return the rules, one check for each group of them: every check costs milliseconds, whatever the batch holds."""
    checks = [pa.Check(_all_of(rules), name=name, error=name) for name, rules in _rules().items()]
    table = {"event_id": pa.Column(pl.String), "event_time": pa.Column(_DTYPES[datetime]), "kind": pa.Column(pl.String)}
    return pa.DataFrameSchema(table, checks=checks)


@cache
def _rules() -> dict[str, tuple[_Rule, ...]]:
    return {
        "time": (
            _Rule("event_time: in the future", pl.col("event_time") <= pl.col("_latest")),
            _Rule(f"event_time: before {EARLIEST.year}", pl.col("event_time") >= EARLIEST),
        ),
        "words": (
            _Rule("event_id: not an id", pl.col("event_id").str.contains(ID_PATTERN)),
            _Rule("kind: not a kind", pl.col("kind").str.contains(KIND_PATTERN)),
            _Rule("status: not one of the five words", pl.col("status").is_in(STATUSES)),
        ),
        "completeness": tuple(_needed_rules()),
        "numbers": tuple(rule for column in columns() for rule in _number_rules(column)),
        "texts": tuple(
            _Rule(f"{column.name}: too long", pl.col(column.name).str.len_chars() <= column.most_letters)
            for column in columns()
            if column.most_letters
        ),
    }


def _needed_rules() -> Iterator[_Rule]:
    for name in ("event_id", "event_time", "kind"):
        yield _Rule(f"{name}: missing", pl.col(name).is_not_null())
    for name in sorted({name for kind in KINDS.values() for name in kind.required}):
        kinds = [kind.name for kind in KINDS.values() if name in kind.required]
        yield _Rule(f"{name}: its kind needs it", ~pl.col("kind").is_in(kinds) | pl.col(name).is_not_null())


def _number_rules(column: Column) -> Iterator[_Rule]:
    value = pl.col(column.name)
    if column.kind is float:
        yield _Rule(f"{column.name}: not a number", value.is_finite())
    if column.least is not None:
        yield _Rule(f"{column.name}: less than {column.least:g}", value >= column.least)
    if column.most is not None and column.most < 2**62:  # what a 64-bit column cannot exceed needs no rule
        yield _Rule(f"{column.name}: more than {column.most:g}", value <= column.most)


def _all_of(rules: tuple[_Rule, ...]) -> Callable[[pa.PolarsData], pl.LazyFrame]:
    everything = pl.all_horizontal([rule.holds for rule in rules])
    return lambda data: data.lazyframe.select(everything)


def _row(fields: Any) -> dict[str, Any]:
    """Return one line as a row: right types, or a ValueError that says which is wrong."""
    if not isinstance(fields, Mapping):
        raise TypeError("not an object")
    row: dict[str, Any] = {}
    more = {name: value for name, value in fields.items() if name not in dtypes()}
    for column in columns():
        value = fields.get(column.name)
        if value is not None:
            row[column.name] = _value(column, value)
    if more:
        details = fields.get("details") or {}
        known = details if isinstance(details, dict) else {"details": details}
        row["details"] = json.dumps({**known, **more}, sort_keys=True)
    row.setdefault("schema_version", 1)
    return row


def _value(column: Column, value: Any) -> Any:
    if column.kind is datetime:
        return _time(value)
    if isinstance(value, str):
        value.encode()  # half a character is JSON, and no text
    if column.kind is dict:
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if column.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if column.kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not column.kind:
        raise TypeError(f"{column.name} is a {type(value).__name__}, expected {column.kind.__name__}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise OverflowError(f"{column.name} does not fit into 64 bits")
    return value


def _time(value: Any) -> datetime:
    """Return an instant in UTC from microseconds since 1970, or from ISO 8601 with an offset."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _EPOCH + value * _MICROSECOND
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError(f"event_time {value} has no time zone")
    return found.astimezone(UTC)


def today(now: datetime) -> date:
    """Return the day of the partition that an event of this moment lies in."""
    return now.astimezone(UTC).date()

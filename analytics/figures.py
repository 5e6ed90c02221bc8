"""What those want to know who may not ask a database: a few figures of each model, as plain values."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from analytics.connection import History
from analytics.queries import run_query

Figures = dict[str, dict[str, float | None]]
"""By model: `uses_per_day`, `success_rate`, `last_used` (seconds since 1970), `waiting` (requests that nobody has
answered), `loads` and `load_seconds` (the median of the last week), `baseline_loads` and `baseline_seconds` (of the
month before it)."""

_USED, _WAITING = ("uses_per_day", "success_rate", "last_used"), {"waiting": "still_waiting"}
_LOADS = {
    "loads": "recent_loads",
    "load_seconds": "recent_p50_seconds",
    "baseline_loads": "baseline_loads",
    "baseline_seconds": "baseline_p50_seconds",
}


def model_figures(history: History, now: datetime) -> Figures:
    """Return the figures of every model that the history knows.

    Args:
        history: an open connection.
        now: the current time.
    """
    names = (*_USED, *_WAITING, *_LOADS)
    found: Figures = {}
    for query, columns in (
        ("model_usage", {name: name for name in _USED}),
        ("time_to_ready", _WAITING),
        ("performance", _LOADS),
    ):
        for row in run_query(history, query, {"now": now}).records():
            told = found.setdefault(row["model_id"], dict.fromkeys(names))
            told.update(_plain(row, columns))
    return found


def _plain(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, float | None]:
    return {name: _number(row[column]) for name, column in columns.items()}


def _number(value: Any) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    return None if value is None else float(value)

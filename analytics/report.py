"""The report: one page that people look at, as a file of its own and as Markdown for the Prefect UI.

Everything on it is the answer to a named query, so that every figure can be asked for again. Pictures are SVG: drawn in
the page, or as data in Markdown. A history without events gives a page that says what to do.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from typing import Any

from analytics.charts import CHARTS, svg
from analytics.connection import History
from analytics.listing import Broken
from analytics.queries import run_query
from analytics.sqlfiles import named_queries

MOST_ROWS = 30
"""How long a table on the page may be; the query gives all of it."""

TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "availability": (
        "Availability",
        (
            "model_id",
            "revision",
            "store",
            "percent_available",
            "at_least_percent",
            "at_most_percent",
            "coverage_percent",
            "target_percent",
            "meets_target",
        ),
    ),
    "incidents": (
        "Incidents",
        ("model_id", "revision", "started_at", "ended_at", "seconds_to_detect", "seconds_to_repair", "statuses"),
    ),
    "repairs": ("Repairs", ("model_id", "repairs", "success_rate", "p50_seconds", "bytes_fetched", "actions")),
    "regressions": ("Slower than before", ("model_id", "recent_p50_seconds", "baseline_p50_seconds", "reason")),
    "cleanup_candidates": (
        "What to delete",
        ("model_id", "revision", "size_bytes", "last_used", "minutes_to_fetch_again", "reason"),
    ),
    "preload_candidates": ("What to preload", ("model_id", "uses_per_day", "status", "reason")),
    "failures": ("Failures", ("kind", "source", "error_kind", "failures", "last_at")),
    "fallbacks": ("Fallbacks", ("action", "decisions", "worked", "failed", "open", "effectiveness")),
    "rejections": ("Refused at the door", ("reason", "rows", "last_at")),
}
"""The tables of the page: the query behind each, its heading, and which columns are shown."""
_NOTHING = (
    "Nothing is recorded yet",
    "Keep a model available with `availability ensure org/name`, or report uses from your own program:",
    'from availability import usage\n\nwith usage.load("org/name"):\n    ...',
    "Events are shipped at the end of each run; then make this report again.",
)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } .note { color: #666 }
table { border-collapse: collapse; width: 100%; font-size: 13px } svg { max-width: 100%; height: auto }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e4e4e4; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums } pre { background: #f4f4f4; padding: .8rem }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: a heading, and a picture, a table or a remark below it."""

    title: str
    query: str
    picture: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the page says, before it is laid out.

    Attributes:
        made_at: when.
        events: how many the history holds.
        days: how far back it looks.
        sections: its parts; none when the history is empty.
        broken: files of the history that could not be read.
    """

    made_at: datetime
    events: int
    days: float
    sections: tuple[Section, ...]
    broken: tuple[Broken, ...] = ()

    def html(self) -> str:
        """Return the page as a file of its own: no script, no link, nothing to load."""
        head = f"<meta charset='utf-8'><title>Availability of models</title><style>{_STYLE}</style>"
        parts = ["<!doctype html><html lang='en'><head>", head, "</head><body>", *self._html_body(), "</body></html>"]
        return "\n".join(parts) + "\n"

    def markdown(self) -> str:
        """Return the page as Markdown, with its pictures as data."""
        parts = [f"# Availability of models\n\n{self._summary()}"]
        parts += [f"> A file of the history could not be read: `{file.path}`" for file in self.broken]
        if not self.sections:
            title, first, code, last = _NOTHING
            parts.append(f"## {title}\n\n{first}\n\n```python\n{code}\n```\n\n{last}")
        parts += [_markdown(section) for section in self.sections]
        return "\n\n".join(parts) + "\n"

    def _summary(self) -> str:
        return f"{self.events:,} events, the last {self.days:g} days, {self.made_at:%Y-%m-%d %H:%M} UTC."

    def _html_body(self) -> Iterator[str]:
        yield f"<h1>Availability of models</h1><p class='note'>{escape(self._summary())}</p>"
        for file in self.broken:
            yield f"<p class='note'>A file of the history could not be read: {escape(file.path)}</p>"
        if not self.sections:
            title, first, code, last = map(escape, _NOTHING)
            yield f"<h2>{title}</h2><p>{first}</p><pre>{code}</pre><p>{last}</p>"
        for section in self.sections:
            yield _html(section)


def make_report(history: History, days: float = 30, now: datetime | None = None, zone: str = "UTC") -> Report:
    """Ask everything the page shows.

    Args:
        history: an open connection.
        days: how far back it looks.
        now: the current time.
        zone: the time zone of days and hours.
    """
    moment = now or datetime.now(UTC)
    given = {"days": days, "now": moment, "zone": zone}
    (events,) = history.table("select count(*) from events").rows[0]
    (refused,) = history.table("select count(*) from rejected").rows[0]
    sections = tuple(_sections(history, given)) if events or refused else ()
    return Report(moment, events, days, sections, history.broken)


def _sections(history: History, given: Mapping[str, Any]) -> Iterator[Section]:
    for chart in CHARTS:
        answer = run_query(history, chart.query, _wanted(chart.query, given))
        drawn = chart.draw(answer.records())
        if drawn is not None:
            yield Section(chart.title, chart.query, picture=svg(drawn))
    for name, (title, columns) in TABLES.items():
        answer = run_query(history, name, _wanted(name, given))
        rows = tuple(tuple(record[column] for column in columns) for record in answer.records())
        if rows:
            yield Section(title, name, columns=columns, rows=rows[:MOST_ROWS], left_out=max(0, len(rows) - MOST_ROWS))


def _wanted(query: str, given: Mapping[str, Any]) -> dict[str, Any]:
    names = {parameter.name for parameter in named_queries()[query].parameters}
    return {name: value for name, value in given.items() if name in names}


def _html(section: Section) -> str:
    if section.picture:
        return f"<h2>{escape(section.title)}</h2>{section.picture}"
    head = "".join(f"<th>{escape(_heading(column))}</th>" for column in section.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    return f"<h2>{escape(section.title)}</h2><table><tr>{head}</tr>{rows}</table>{_more(section, escape)}"


def _markdown(section: Section) -> str:
    if section.picture:
        data = base64.b64encode(section.picture.encode()).decode()
        return f"## {section.title}\n\n![{section.title}](data:image/svg+xml;base64,{data})"
    lines: list[Sequence[str]] = [[_heading(column) for column in section.columns], ["---"] * len(section.columns)]
    lines += [[_safe(_shown(value)) for value in row] for row in section.rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {section.title}\n\n{table}\n\n{_more(section, str)}".rstrip()


def _cell(value: Any) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"<td{' class=number' if is_number else ''}>{escape(_shown(value))}</td>"


def _more(section: Section, safe: Callable[[str], str]) -> str:
    if not section.left_out:
        return ""
    return safe(f"{section.left_out} more: availability usage run {section.query}")


def _heading(column: str) -> str:
    return column.replace("_", " ")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    return value.isoformat() if isinstance(value, date) else ", ".join(value) if isinstance(value, list) else str(value)


def _safe(text: str) -> str:
    # The UI takes HTML in Markdown for HTML, and these texts come from elsewhere.
    return escape(text).replace("|", "\\|").replace("\n", " ")

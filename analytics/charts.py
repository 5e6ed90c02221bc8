"""The pictures of the report: one function a chart, from the rows of a named query to SVG.

Drawn with Altair's grammar and turned into SVG on this machine: no browser, no network, no script in the page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import altair as alt
import vl_convert

Rows = Sequence[Mapping[str, Any]]
Picture = Any
"""A chart of Altair, whose methods promise more kinds of it than there are."""

STATUS_COLOURS = {
    "available": "#2e9d5b",
    "updating": "#8fd1a8",
    "downloading": "#3f7fd1",
    "missing": "#c9c9c9",
    "corrupted": "#d1493f",
    "unknown": "#f2ead3",
}
MOST_MODELS = 12
"""How many models a picture can tell apart; the others are one, called `others`."""
MOST_STRIPS = 40
_WIDTH = 640


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture: which query it shows, its heading, and how its rows are drawn (None when they show nothing)."""

    query: str
    title: str
    draw: Callable[[Rows], Picture | None]


def svg(chart: Picture) -> str:
    """Return a chart as SVG."""
    picture: str = vl_convert.vegalite_to_svg(chart.to_dict())
    return picture


def uses_by_day(rows: Rows) -> Picture | None:
    """Draw the uses of each day, in layers of the most used models."""
    shown = _with_others(rows, "uses")
    if not shown:
        return None
    return (
        _chart(shown, 200)
        .mark_bar()
        .encode(
            x=alt.X("day:T", title=None),
            y=alt.Y("sum(uses):Q", title="uses"),
            color=alt.Color("model_id:N", title="model"),
        )
    )


def peak_hours(rows: Rows) -> Picture | None:
    """Draw the hours of the day."""
    if not any(row["uses"] for row in rows):
        return None
    return (
        _chart(rows, 140)
        .mark_bar(color="#3f7fd1")
        .encode(x=alt.X("hour:O", title="hour"), y=alt.Y("uses:Q", title="uses"))
    )


def load_times(rows: Rows) -> Picture | None:
    """Draw the median and the 95th percentile of each model's load time."""
    shown = list(rows)[:MOST_STRIPS]
    if not shown:
        return None
    base = _chart(shown, {"step": 18})
    line = base.mark_rule(color="#9a9a9a").encode(
        x=alt.X("p50_seconds:Q", title="seconds (p50 to p95)"), x2="p95_seconds:Q", y=_models()
    )
    dots = base.mark_point(filled=True, size=60, color="#3f7fd1", opacity=1).encode(x="p50_seconds:Q", y=_models())
    ends = base.mark_point(filled=True, size=60, color="#d1493f", opacity=1).encode(x="p95_seconds:Q", y=_models())
    return alt.layer(line, dots, ends)


def sources(rows: Rows) -> Picture | None:
    """Draw the success of each source."""
    if not rows:
        return None
    ends = [
        {"source": row["source"], "end": end, "downloads": count}
        for row in rows
        for end, count in (("worked", row["downloads"] - row["failures"]), ("failed", row["failures"]))
    ]
    colours = alt.Scale(domain=["worked", "failed"], range=["#2e9d5b", "#d1493f"])
    return (
        _chart(ends, {"step": 24})
        .mark_bar()
        .encode(
            x=alt.X("downloads:Q", title="downloads"),
            y=alt.Y("source:N", title=None, sort=None),
            color=alt.Color("end:N", title=None, scale=colours),
        )
    )


def download_speed(rows: Rows) -> Picture | None:
    """Draw how fast each source delivered, day by day."""
    shown = [{**row, "speed": row["bytes_per_second"] / 1e6} for row in rows if row["bytes_per_second"]]
    if not shown:
        return None
    return (
        _chart(shown, 180)
        .mark_line(point=True)
        .encode(
            x=alt.X("day:T", title=None), y=alt.Y("speed:Q", title="MB/s"), color=alt.Color("source:N", title="source")
        )
    )


def corruption(rows: Rows) -> Picture | None:
    """Draw the defects that were found, by model."""
    shown = [row for row in rows if row["findings"]][:MOST_STRIPS]
    if not shown:
        return None
    return (
        _chart(shown, {"step": 18})
        .mark_bar(color="#d1493f")
        .encode(x=alt.X("findings:Q", title="defects found"), y=_models())
    )


def availability(rows: Rows) -> Picture | None:
    """Draw a strip for each model: when it was in which status."""
    chosen = list(dict.fromkeys(_strip(row) for row in rows))[:MOST_STRIPS]
    shown = [{**row, "strip": _strip(row)} for row in rows if _strip(row) in chosen]
    if not shown:
        return None
    colours = alt.Scale(domain=list(STATUS_COLOURS), range=list(STATUS_COLOURS.values()))
    return (
        _chart(shown, {"step": 20})
        .mark_bar()
        .encode(
            x=alt.X("started_at:T", title=None),
            x2="ended_at:T",
            y=alt.Y("strip:N", title=None, sort=None),
            color=alt.Color("status:N", title="status", scale=colours),
        )
    )


def storage(rows: Rows) -> Picture | None:
    """Draw what all models take, day by day."""
    shown = [{**row, "gb": row["size_bytes"] / 1e9} for row in rows]
    if not shown:
        return None
    return (
        _chart(shown, 140)
        .mark_area(opacity=0.6, line=True)
        .encode(x=alt.X("day:T", title=None), y=alt.Y("gb:Q", title="GB"), color=alt.Color("store:N", title="store"))
    )


CHARTS = (
    Chart("uses_by_day", "Uses by day and model", uses_by_day),
    Chart("peak_hours", "Hours of the day", peak_hours),
    Chart("load_times", "Load times", load_times),
    Chart("availability_intervals", "Availability in time", availability),
    Chart("sources", "Downloads by source", sources),
    Chart("downloads_by_day", "Download speed", download_speed),
    Chart("corruption", "Corruption", corruption),
    Chart("storage_by_day", "Storage", storage),
)


def _chart(rows: Rows, height: int | dict[str, int]) -> Picture:
    data: Any = alt.InlineData(values=[{name: _plain(value) for name, value in row.items()} for row in rows])
    return alt.Chart(data).properties(
        width=_WIDTH, height=alt.Step(height["step"]) if isinstance(height, dict) else height
    )


def _models() -> alt.Y:
    return alt.Y("model_id:N", title=None, sort=None)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _strip(row: Mapping[str, Any]) -> str:
    revision = "" if row["revision"] == "main" else f"@{row['revision']}"
    return f"{row['model_id']}{revision}" + (f" ({row['store']})" if row["store"] else "")


def _with_others(rows: Rows, count: str) -> list[dict[str, Any]]:
    """Return the rows with all but the largest models under one name."""
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["model_id"]] = totals.get(row["model_id"], 0) + row[count]
    largest = sorted(totals, key=lambda model: (-totals[model], model))[:MOST_MODELS]
    return [{**row, "model_id": row["model_id"] if row["model_id"] in largest else "others"} for row in rows]

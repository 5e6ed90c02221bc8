"""Pictures for artifacts, drawn as text: no library, and no server sees a file.

Prefect's pages show a picture in markdown only when it is a data URI; drawn inline it is dropped.
"""

from base64 import b64encode
from html import escape

from availability.system_health import Level

_WIDTH, _BAR_TOP, _BAR_HEIGHT, _HEIGHT = 640, 26, 22, 68
_COLOURS = {"ok": "#2e9d5b", "warning": "#e0a325", "critical": "#d1493f"}


def storage_bar(title: str, used_percent: float, level: Level, *, warning: float, critical: float) -> str:
    """Draw how much of the room is used, with a mark where it is worth a warning and where it is critical; SVG."""
    used = min(100.0, max(0.0, used_percent)) / 100 * _WIDTH
    font = 'font-family="sans-serif" font-size="13" fill="#808080"'
    marks = "".join(_mark(percent, font) for percent in sorted({warning, critical}))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f'<text x="0" y="16" {font}>{escape(title)}</text>'
        f'<rect x="0" y="{_BAR_TOP}" width="{_WIDTH}" height="{_BAR_HEIGHT}" rx="4" fill="#c9c9c9"/>'
        f'<rect x="0" y="{_BAR_TOP}" width="{used:.1f}" height="{_BAR_HEIGHT}" rx="4" fill="{_COLOURS[level]}"/>'
        f"{marks}</svg>"
    )


def data_uri(svg: str) -> str:
    """Return a picture as an address that holds it."""
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()


def _mark(percent: float, font: str) -> str:
    x = percent / 100 * _WIDTH
    bottom = _BAR_TOP + _BAR_HEIGHT
    return (
        f'<line x1="{x:.1f}" y1="{_BAR_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#404040" stroke-dasharray="3 2"/>'
        f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle" {font}>{percent:g} %</text>'
    )

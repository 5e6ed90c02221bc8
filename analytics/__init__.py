"""What happened to models: every event kept, every question answered in SQL.

    >>> import analytics
    >>> history = analytics.connect("s3://bucket/history")  # doctest: +SKIP
    >>> history.sql("select kind, count(*) from events group by kind")  # doctest: +SKIP

An event is one row, kept once however often it is sent. It goes from a spool on this machine (`ship_spool`) to Parquet
files at any fsspec URL, which are tidied daily (`compact_days`), read through views (`connect`) and published
(`publish_mart`). This package imports nothing of ours: callers pass plain values. Its names are loaded when they are
first used; none of them is the name of a module, which would take its place.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.compact import Compacted as Compacted
    from analytics.compact import compact_days as compact_days
    from analytics.connection import History as History
    from analytics.connection import Table as Table
    from analytics.connection import connect as connect
    from analytics.erase import erase_model as erase_model
    from analytics.erase import erase_user as erase_user
    from analytics.errors import AnalyticsError as AnalyticsError
    from analytics.events import Event as Event
    from analytics.events import event_id as event_id
    from analytics.imports import import_log as import_log
    from analytics.privacy import hash_user as hash_user
    from analytics.privacy import retain as retain
    from analytics.publish import Published as Published
    from analytics.publish import publish_mart as publish_mart
    from analytics.queries import list_queries as list_queries
    from analytics.queries import run_query as run_query
    from analytics.report import Report as Report
    from analytics.report import make_report as make_report
    from analytics.ship import Shipped as Shipped
    from analytics.ship import ship_safely as ship_safely
    from analytics.ship import ship_spool as ship_spool
    from analytics.storage import EventStore as EventStore
    from analytics.storage import open_store as open_store
    from analytics.tend import Tended as Tended
    from analytics.tend import tend_history as tend_history

_FACE = {
    "AnalyticsError": "analytics.errors",
    "Compacted": "analytics.compact",
    "Event": "analytics.events",
    "EventStore": "analytics.storage",
    "History": "analytics.connection",
    "Published": "analytics.publish",
    "Report": "analytics.report",
    "Shipped": "analytics.ship",
    "Table": "analytics.connection",
    "Tended": "analytics.tend",
    "compact_days": "analytics.compact",
    "connect": "analytics.connection",
    "erase_model": "analytics.erase",
    "erase_user": "analytics.erase",
    "event_id": "analytics.events",
    "hash_user": "analytics.privacy",
    "import_log": "analytics.imports",
    "open_store": "analytics.storage",
    "publish_mart": "analytics.publish",
    "list_queries": "analytics.queries",
    "make_report": "analytics.report",
    "retain": "analytics.privacy",
    "run_query": "analytics.queries",
    "ship_spool": "analytics.ship",
    "ship_safely": "analytics.ship",
    "tend_history": "analytics.tend",
}

__all__ = sorted(_FACE)  # noqa: PLE0605  one list of the names


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module 'analytics' has no attribute {name!r}")
    return getattr(import_module(_FACE[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_FACE]

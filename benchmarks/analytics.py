"""What history costs: one recorded event, four writers at once, a question over millions of events, and the report.

The same question is put to our views over Parquet, to a table of DuckDB's own, and to polars over the same files.
The events are made by DuckDB, half a year of them, in the layout that tidying leaves behind.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from analytics.columns import empty_select
from analytics.compact import PARQUET
from analytics.connection import History
from analytics.queries import run_query
from analytics.report import make_report
from analytics.sqlfiles import named_queries
from analytics.storage import open_store
from analytics.views import create_derived_views
from benchmarks.ground import PROJECT, Ground
from benchmarks.harness import OURS, Contestant, Goal, Row, Sample, Trial, clock

PLACE = 60
NATIVE, POLARS, SMALL, SMALLER = "DuckDB table", "polars", "a tenth of them", "a hundredth of them"

_MILLION = 1_000_000
_DAYS, _MODELS = 180, 200
_END = datetime(2026, 6, 30, tzinfo=UTC)
_BYTES_AN_EVENT = 120
_EVENTS, _WRITERS, _BATCHES, _BATCH = 100_000, 4, 50, 100

_MAKE = """
copy (
    select
        cast(uuid() as varchar) as event_id,
        timestamptz '{start}' + to_microseconds(cast(random() * 864e8 as bigint)) as event_time,
        case when n % 10 < 5 then 'load' when n % 10 < 8 then 'inference' when n % 10 < 9 then 'download' else 'check'
        end as kind,
        'org/model-' || cast(floor(power(random(), 2) * {models}) as integer) as model_id,
        'host-' || n % 20 as host,
        random() > 0.02 as success,
        -ln(random() + 1e-9) * 8 as seconds,
        cast(random() * 1e9 as bigint) as bytes_fetched,
        'hub' as source,
        cast(random() * 1e10 as bigint) as size_bytes,
        1 as schema_version
    from range({count}) as events(n)
    order by kind, model_id, event_time
) to '{file}' ({parquet})
"""
_CALLS = f"""
import time
from availability import usage
def use():
    with usage.load("org/name"):
        pass
use()
started, cpu = time.perf_counter(), time.process_time()
for _ in range({_EVENTS}):
    use()
print(time.perf_counter() - started, time.process_time() - cpu)
"""
_WRITER = f"""
import sys
from datetime import UTC, datetime
from uuid import uuid4
from analytics.schemas import read_lines
from analytics.ship import send
from analytics.storage import open_store
store, at = open_store(sys.argv[1]), datetime.now(UTC).isoformat()
text = '{{"event_id":"%s","event_time":"%s","kind":"load","model_id":"org/name","success":true,"seconds":1.5}}'
def batch():
    send(store, read_lines((text % (uuid4(), at)).encode() for _ in range({_BATCH})))
batch()
print("ready", flush=True)
sys.stdin.readline()
for _ in range({_BATCHES}):
    batch()
"""


def _history(ground: Ground, count: int) -> Path:
    """Make a tidied history of so many events, the first time it is asked for."""
    folder = ground.work / f"history-{count}"
    if folder.exists():
        return folder
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; select setseed(0.5)")
        for day in range(_DAYS):
            start = datetime.fromtimestamp(_END.timestamp() - (_DAYS - day) * 86400, UTC)
            place = folder / f"events/cold/date={start.date()}"
            place.mkdir(parents=True)
            file = place / f"000001-{int(_END.timestamp())}-{day:08x}.parquet"
            share = count // _DAYS + (day < count % _DAYS)
            connection.execute(
                _MAKE.format(start=start.isoformat(), models=_MODELS, count=share, file=file, parquet=PARQUET)
            )
    return folder


def _load_times(connection: History) -> None:
    run_query(connection, "load_times", {"days": _DAYS + 1, "now": _END})


def _native(ground: Ground, folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection on a table of DuckDB's own with the same events, in the same order."""
    connection = duckdb.connect(str(ground.fresh("native") / "events.duckdb"))
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"create table events as {empty_select()}")
    scan = f"read_parquet('{folder}/events/cold/*/*.parquet', hive_partitioning = true)"
    connection.execute(f"insert into events by name from {scan} order by kind, model_id, event_time")
    create_derived_views(connection)
    return connection


def _ask_native(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(named_queries()["load_times"].text, {"days": _DAYS + 1, "now": _END}).fetchall()


def _ask_polars(folder: Path) -> None:
    seconds, size = pl.col("seconds"), pl.col("size_bytes")
    (
        pl.scan_parquet(f"{folder}/events/cold/*/*.parquet", hive_partitioning=True)
        .filter((pl.col("kind") == "load") & pl.col("success") & seconds.is_not_null() & (pl.col("event_time") < _END))
        .group_by("model_id")
        .agg(
            pl.len(),
            seconds.quantile(0.5, "linear").alias("p50_seconds"),
            seconds.quantile(0.95, "linear").alias("p95_seconds"),
            (size / seconds).filter(seconds > 0).quantile(0.5, "linear").alias("bytes_per_second"),
        )
        .sort("p95_seconds", descending=True)
        .collect()
    )


def _question(ground: Ground) -> Trial:
    folder = _history(ground, ground.scale.count(ground.scale.events))
    history = History(open_store(str(folder)))
    native = _native(ground, folder)
    contestants = (
        _asking(OURS, partial(_load_times, history)),
        _asking(NATIVE, partial(_ask_native, native)),
        _asking(POLARS, partial(_ask_polars, folder)),
    )
    return Trial(contestants, warm=lambda: None, remark="connections open, each asked once before")


def _growth(ground: Ground) -> Trial:
    counts = {OURS: 1, SMALL: 10, SMALLER: 100}
    histories = {
        name: History(open_store(str(_history(ground, ground.scale.count(ground.scale.events // by)))))
        for name, by in counts.items()
    }
    contestants = tuple(_asking(name, partial(_load_times, history)) for name, history in histories.items())
    return Trial(contestants, warm=lambda: None)


def _asking(name: str, ask: Callable[[], None]) -> Contestant:
    ask()
    return Contestant(name, lambda _: clock(ask))


def _report(ground: Ground) -> Trial:
    folder = _history(ground, ground.scale.count(_MILLION))

    def make(_: Path) -> Sample:
        return clock(lambda: make_report(History(open_store(str(folder))), now=_END).html())

    make(folder)
    return Trial((Contestant(OURS, make),), warm=lambda: None, remark="opened, asked, drawn and laid out")


def _event(_: Ground) -> Trial:
    def record(folder: Path) -> Sample:
        environment = {**os.environ, "ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY": str(folder)}
        command = [sys.executable, "-c", _CALLS]
        done = subprocess.run(command, env=environment, cwd=PROJECT, check=True, capture_output=True, text=True)
        return Sample(*map(float, done.stdout.split()))

    return Trial((Contestant(OURS, record),), warm=lambda: None, remark=f"{_EVENTS:,} loads: 0.5 s are 5 µs each")


def _writers(_: Ground) -> Trial:
    def write(folder: Path) -> Sample:
        command = [sys.executable, "-c", _WRITER, str(folder)]
        writers = [
            subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(_WRITERS)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        return clock(lambda: [writer.communicate("go\n") for writer in writers])

    total = _WRITERS * _BATCHES
    return Trial((Contestant(OURS, write),), lambda: None, f"{total} batches, each judged and on the disk")


def _room(ground: Ground, _: int) -> int:
    return 2 * ground.scale.count(ground.scale.events) * _BYTES_AN_EVENT


ROWS = [
    Row(
        name="history-question",
        title=lambda ground: (
            f"p50 and p95 of load times by model, over {ground.scale.count(ground.scale.events):,} events"
        ),
        prepare=_question,
        goals=(Goal(1.6, NATIVE), Goal(1.0, POLARS)),
        needs_bytes=_room,
    ),
    Row(
        name="history-growth",
        title=lambda ground: f"the same over {ground.scale.count(ground.scale.events):,} events and over fewer of them",
        prepare=_growth,
        goals=(Goal(10.0, SMALL), Goal(100.0, SMALLER)),
        needs_bytes=_room,
    ),
    Row(
        name="history-report",
        title=lambda ground: f"the report over {ground.scale.count(_MILLION):,} events",
        prepare=_report,
        goals=(),
        needs_bytes=_room,
    ),
    Row(
        name="history-writers",
        title=lambda _: f"{_WRITERS} writers, {_BATCHES} batches of {_BATCH} events each",
        prepare=_writers,
        goals=(),
        needs_bytes=lambda _, rounds: rounds * 20 * _MILLION,
    ),
    Row(
        name="history-event",
        title=lambda _: f"{_EVENTS:,} uses recorded in the caller's thread",
        prepare=_event,
        goals=(Goal(0.5),),
        needs_bytes=lambda _, rounds: rounds * 20 * _MILLION,
    ),
]

"""The laws of asking: what is opened is read, and nothing else is reached, whatever the statement says."""

from datetime import UTC, timedelta
from shutil import copytree

import duckdb
import fsspec
import polars as pl
import pytest

import analytics
from analytics.connection import History
from analytics.errors import QueryError, StoreUnreachableError
from analytics.storage import HOT, EventStore
from tests.analytics.histories import NOW, FaultyFilesystem, history, line, put, store_at


@pytest.fixture
def connection(tmp_path):
    with history(tmp_path / "store", line("load", NOW - timedelta(days=1), model_id="org/a", success=True)) as opened:
        yield opened


FORBIDDEN = {
    "write a file": "copy (select 1) to '{folder}/out.csv'",
    "write over the history": "copy (select 1 as a) to '{data}' (format parquet, use_tmp_file false)",
    "write while explaining": "explain analyze copy (select 1 as a) to '{data}' (format parquet, use_tmp_file false)",
    "write after reading": "select 1; copy (select 1) to '{folder}/out.csv'",
    "write what was prepared": "prepare p as copy (select 1) to '{folder}/out.csv'",
    "write a pivot": "copy (pivot (select 1 as a) on a using sum(a)) to '{folder}/out.csv'",
    "attach a database": "attach '{folder}/other.duckdb'",
    "read another file": "select * from read_csv('/etc/passwd')",
    "read it as text": "select * from read_text('/etc/passwd')",
    "list files": "select * from glob('/etc/*')",
    "read it by its name": "select * from '/etc/passwd'",
    "leave the history by its path": "select * from read_text('{data}{up}/etc/passwd')",
    "load an extension": "install httpfs",
    "change a setting": "set enable_external_access = true",
    "change the zone": "set TimeZone = 'Asia/Tokyo'",
    "make a table": "create table t as select 1",
    "drop a view": "drop view events",
    "read a variable of Python": "select * from FORBIDDEN",
}


@pytest.mark.parametrize("act", FORBIDDEN)
def test_a_statement_cannot(tmp_path, connection, act):
    [data] = (tmp_path / "store" / HOT).rglob("*.parquet")
    statement = FORBIDDEN[act].format(folder=tmp_path, data=data, up="/.." * 40)
    before = data.read_bytes()
    for ask in (
        connection.table,
        lambda text: connection.execute(text).fetchall(),
        lambda text: connection.sql(text).fetchall(),
    ):
        with pytest.raises((QueryError, duckdb.Error)) as caught:
            ask(statement)
        assert not isinstance(caught.value, duckdb.InternalException)
    assert data.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize(
    "name", ["register", "load_extension", "install_extension", "register_filesystem", "from_parquet"]
)
def test_the_connection_has_no_door_besides(connection, name):
    with pytest.raises(AttributeError, match="only reads"):
        getattr(connection, name)


READING = {
    "select": "select count(*) from events",
    "from first": "from events select count(*)",
    "with": "with one as (select * from events) select count(*) from one",
    "a view with parameters": "select count(*) from uses(30, timestamptz '2026-03-31 12:00:00+00', 'UTC')",
}


@pytest.mark.parametrize("way", READING)
def test_a_statement_can(connection, way):
    assert connection.table(READING[way]).rows == ((1,),)
    assert connection.execute(READING[way]).fetchone() == (1,)
    assert connection.sql(READING[way]).fetchall() == [(1,)]


@pytest.mark.parametrize("statement", ["show tables", "describe events", "explain select 1", "summarize events"])
def test_a_statement_can_describe(connection, statement):
    assert connection.table(statement).rows


def test_answers_come_with_names_zones_and_parameters(connection):
    answer = connection.table("select event_time, model_id from events where model_id = $model", {"model": "org/a"})
    assert answer.columns == ("event_time", "model_id")
    assert answer.rows == ((NOW - timedelta(days=1), "org/a"),)
    assert answer.rows[0][0].utcoffset() == UTC.utcoffset(None)
    assert pl.DataFrame(connection.sql("select model_id from events")).to_dicts() == [{"model_id": "org/a"}]


def test_bad_sql_is_one_clear_error(connection):
    for statement in ("selekt 1", "select nothing from events", "select * from nowhere", ""):
        with pytest.raises(QueryError):
            connection.table(statement)


@pytest.mark.usefixtures("connection")
def test_an_event_in_a_folder_of_another_place_is_the_same_history(tmp_path):
    """The names of folders with quotes and spaces in them are names, not SQL."""
    copytree(tmp_path / "store", tmp_path / "it's a 'store'; drop")
    assert History(store_at(tmp_path / "it's a 'store'; drop")).table("select count(*) from events").rows == ((1,),)


def test_an_absent_place_is_an_empty_history_and_an_unreachable_one_an_error(tmp_path):
    assert analytics.connect(str(tmp_path / "nowhere")).table("select count(*) from events").rows == ((0,),)
    with pytest.raises(StoreUnreachableError, match="No route"):
        History(store_at(tmp_path, FaultyFilesystem(1, OSError(113, "No route to host"))))
    with pytest.raises(StoreUnreachableError):
        analytics.connect("nonsense://host/path")


def test_a_remote_history_is_read_from_copies_that_are_fetched_once(tmp_path):
    filesystem = fsspec.filesystem("memory")
    root = f"/{tmp_path.name}"
    store = EventStore(filesystem, root)
    put(store, line("load", NOW, model_id="org/a", success=True))
    cache = tmp_path / "cache"
    assert History(store, cache).table("select count(*) from events").rows == ((1,),)
    [copy] = cache.rglob("*.parquet")
    first = copy.stat().st_mtime_ns
    put(store, line("load", NOW, model_id="org/b", success=True))
    assert History(store, cache).table("select count(*) from events").rows == ((2,),)
    assert copy.stat().st_mtime_ns == first
    filesystem.rm(root, recursive=True)

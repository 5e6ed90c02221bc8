"""The laws again, on a real S3 server: writers that are killed, tidying, a reader all the while, nothing wrong seen."""

from datetime import timedelta

import duckdb
import pytest

import analytics
from analytics.compact import compact_days
from analytics.connection import History
from analytics.errors import StoreUnreachableError
from analytics.publish import publish_mart
from analytics.ship import ship_spool
from analytics.storage import COLD, HOT, MART, open_store
from tests.analytics.histories import NOW, ids, line, put
from tests.analytics.test_shipping import id_of, kill_emitters

pytestmark = pytest.mark.slow


def test_of_thirty_killed_emitters_every_acknowledged_event_is_kept_exactly_once_on_s3(tmp_path, s3):
    store = open_store("s3://history/killed", s3)
    told = kill_emitters(tmp_path, store, emitters=30, at_once=4)
    assert len(told) >= 30 * 50
    kept = ids(History(store, tmp_path / "cache"))
    assert len(kept) == len(set(kept))
    assert set(told) <= set(kept)
    assert len(kept) - len(told) <= 34
    assert ship_spool(tmp_path / "spool", store, NOW).left_bytes == 0


def test_batches_are_tidied_published_and_read_while_a_reader_stays(tmp_path, s3):
    store, cache = open_store("s3://history/tidied", s3), tmp_path / "cache"
    lines = [line("load", NOW - timedelta(days=day, hours=1), model_id="org/a", success=True) for day in range(3)]
    for each in lines:
        put(store, each)
    reader = analytics.connect("s3://history/tidied", s3, cache)
    for hours in range(3):
        put(store, more := line("load", NOW - timedelta(hours=2), model_id="org/b", success=True))
        lines.append(more)
        compact_days(store, NOW + timedelta(hours=hours), timedelta(0))
        assert ids(History(store, cache)) == sorted(map(id_of, lines))
        assert len(ids(reader)) == 3, "its copies stay as long as it does"
    assert (len(store.find(HOT)), len(store.find(COLD))) == (0, 3)
    publish_mart(store, now=NOW, cache=cache)
    (tmp_path / "usage.duckdb").write_bytes(store.read(MART))
    with duckdb.connect(str(tmp_path / "usage.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from events").fetchall() == [(len(lines),)]


def test_a_wrong_key_is_a_clear_error_that_does_not_repeat_it(s3):
    store = open_store("s3://history/denied", {**s3, "secret": "WRONG"})
    with pytest.raises(StoreUnreachableError) as caught:
        put(store, line("load", NOW, model_id="org/a", success=True))
    assert "WRONG" not in str(caught.value)
    assert "s3://history/denied" in str(caught.value)

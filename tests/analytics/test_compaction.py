"""The laws of tidying: whatever crashes, runs at once or comes late, every event counts exactly once."""

import io
import json
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import duckdb
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from analytics.compact import compact_days
from analytics.connection import History
from analytics.errors import StoreUnreachableError
from analytics.listing import current, generations, look
from analytics.privacy import retain
from analytics.schemas import judge, read_lines
from analytics.ship import write
from analytics.storage import COLD, HOT, Stored
from tests.analytics.histories import NOW, CrashError, FaultyFilesystem, faults, history, ids, line, put, store_at

HOUR, NONE = timedelta(hours=1), timedelta(0)


def loads(count, days=1, **fields):
    return [
        line("load", NOW - timedelta(hours=24 * (number % days) + 1), model_id="org/a", success=True, **fields)
        for number in range(count)
    ]


def id_of(text):
    return json.loads(text)["event_id"]


def expected(lines):
    return sorted(map(id_of, lines))


def test_a_day_becomes_one_file_in_order_and_the_batches_go_after_the_grace(tmp_path):
    store, lines = store_at(tmp_path), loads(6, days=2)
    for each in lines:
        put(store, each)
    assert len(store.find(HOT)) == 6
    assert len(compact_days(store, NOW).days) == 2
    assert (len(store.find(HOT)), len(store.find(COLD))) == (6, 2)
    assert ids(History(store)) == expected(lines)
    assert compact_days(store, NOW + HOUR / 2).deleted == 0, "a reader may still hold the old list"
    done = compact_days(store, NOW + HOUR)
    assert (done.days, done.deleted, len(store.find(HOT))) == ((), 6, 0)
    assert ids(History(store)) == expected(lines)
    with duckdb.connect() as connection:
        path = str(store.local_path(store.find(COLD)[0].path))
        rows = connection.execute("select kind, model_id, event_time from read_parquet(?)", [path]).fetchall()
    assert rows == sorted(rows)


def test_an_event_that_arrives_again_after_its_day_was_put_in_order_counts_once(tmp_path):
    store, lines = store_at(tmp_path), loads(3)
    put(store, *lines)
    compact_days(store, NOW)
    compact_days(store, NOW + HOUR)
    put(store, lines[0], *(late := loads(1)))
    assert ids(History(store)) == expected([*lines, *late])
    for hours in (2, 3, 4):
        compact_days(store, NOW + hours * HOUR)
    assert ids(History(store)) == expected([*lines, *late])
    assert (len(store.find(HOT)), len(store.find(COLD))) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_crash_at_any_operation_of_tidying_is_seen_by_no_reader(tmp_path, after):
    def prepared(folder):
        store, lines = store_at(folder), loads(6, days=2)
        put(store, *lines[:4])
        compact_days(store, NOW - 3 * HOUR)
        put(store, *lines[4:])
        compact_days(store, NOW - 2 * HOUR, 10 * HOUR)  # written, and nothing deleted yet
        put(store, *(more := loads(2, days=2)))
        return [*lines, *more]

    wanted = expected(prepared(tmp_path / "as it was"))
    copytree(tmp_path / "as it was", tmp_path / "probe")
    probe = FaultyFilesystem()
    done = compact_days(store_at(tmp_path / "probe", probe), NOW, NONE)
    assert len(done.days) == 2
    assert done.deleted >= 6
    assert len(probe.operations) >= 15
    for fail_at in faults(probe.operations, after=after):
        folder = copytree(tmp_path / "as it was", tmp_path / str(fail_at))
        with suppress(CrashError):
            compact_days(store_at(folder, FaultyFilesystem(fail_at, after=after)), NOW, NONE)
        store = store_at(folder)
        assert ids(History(store)) == wanted, f"after a crash at operation {fail_at}"
        compact_days(store, NOW + HOUR, NONE)
        assert ids(History(store)) == wanted, "and after the next tidying"
        assert len(store.find(COLD)) == 2, "which leaves one file a day"


def test_two_that_tidy_at_once_lose_nothing_however_slow_one_of_them_is(tmp_path):
    """The slow one has read the day before the other wrote, deleted, wrote again and deleted again; then it writes."""
    store, lines = store_at(tmp_path), loads(2)
    put(store, *lines)

    class Slow(FaultyFilesystem):
        meanwhile = None

        def put_file(self, *args, **kwargs):
            action, self.meanwhile = self.meanwhile, None
            if action:
                action()
            return super().put_file(*args, **kwargs)

    late = loads(2)

    def everything_else():
        for moment, each in enumerate(late):
            put(store, each)
            compact_days(store, NOW + moment * HOUR, NONE)

    slow = Slow()
    slow.meanwhile = everything_else
    compact_days(store_at(tmp_path, slow), NOW, NONE)
    assert ids(History(store)) == expected([*lines, *late])
    compact_days(store, NOW + 9 * HOUR, NONE)
    assert ids(History(store)) == expected([*lines, *late])
    assert (len(store.find(HOT)), len(store.find(COLD))) == (0, 1)


def cold(*names):
    return [Stored(f"{COLD}/date=2026-03-31/{name}.parquet", 100) for name in names]


GENERATIONS = {
    "one alone": (["000001-1774958400-aaaaaaaa"], "a"),
    "the next replaces it": (["000001-1774958400-aaaaaaaa", "000002-1774958400-bbbbbbbb-aaaaaaaa"], "b"),
    "two of one generation both count": (["000001-1774958400-aaaaaaaa", "000001-1774958400-bbbbbbbb"], "ab"),
    "what the next did not see still counts": (
        ["000001-1774958400-aaaaaaaa", "000001-1774958400-bbbbbbbb", "000002-1774958400-cccccccc-bbbbbbbb"],
        "ac",
    ),
    "one that replaces two": (
        ["000001-1774958400-aaaaaaaa", "000001-1774958400-bbbbbbbb", "000002-1774958400-cccccccc-aaaaaaaa.bbbbbbbb"],
        "c",
    ),
    "what is replaced may be gone": (["000002-1774958400-bbbbbbbb-aaaaaaaa"], "b"),
    "a foreign name counts and replaces nothing": (["000001-1774958400-aaaaaaaa", "zzzz"], "za"),
}


@pytest.mark.parametrize("name", GENERATIONS)
def test_names_alone_tell_which_cold_files_count(name):
    names, expected_ids = GENERATIONS[name]
    found = current(generations(cold(*names), NOW.date()))
    assert "".join(generation.id[0] for generation in found) == expected_ids


def test_a_batch_stays_when_the_store_has_lost_the_file_that_held_its_events(tmp_path):
    store, lines = store_at(tmp_path), loads(2)
    put(store, lines[0])
    compact_days(store, NOW, NONE)
    put(store, lines[1])

    class Losing(FaultyFilesystem):
        def mv(self, _, path2, **kwargs):
            if "cold" not in str(path2):
                super().mv(_, path2, **kwargs)

    assert len(compact_days(store_at(tmp_path, Losing()), NOW, NONE).days) == 1, "it was told that all is well"
    assert ids(History(store)) == expected(lines)


def test_a_store_that_fails_while_tidying_says_so_and_stays_as_it_was(tmp_path):
    store, lines = store_at(tmp_path), loads(3)
    put(store, *lines)
    faulty = FaultyFilesystem(fail_at=4, error=OSError(28, "No space left on device"), after=True)
    with pytest.raises(StoreUnreachableError, match="No space left"):
        compact_days(store_at(tmp_path, faulty), NOW)
    assert faulty.operations[3] == "write"
    assert ids(History(store)) == expected(lines)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_what_dead_writers_left_behind_goes_after_a_day(tmp_path):
    store = store_at(tmp_path)
    put(store, *loads(1))
    folder = tmp_path / store.find(HOT)[0].path
    old = folder.with_name(f".{int((NOW - 25 * HOUR).timestamp())}-ab.tmp")
    young = folder.with_name(f".{int((NOW - 23 * HOUR).timestamp())}-cd.tmp")
    for path in (old, young):
        path.write_bytes(b"half")
    compact_days(store, NOW)
    assert (old.exists(), young.exists()) == (False, True)
    assert len(ids(History(store))) == 1


def test_writers_of_two_schemas_share_one_history(tmp_path):
    """An older writer lacks columns, a newer one has more, a broken one has a text for a number."""
    store, [today] = store_at(tmp_path), loads(1, seconds=1.5)
    put(store, today)
    moment = NOW - 2 * HOUR
    old = pl.DataFrame({"event_id": ["old"], "event_time": [moment], "kind": ["load"], "model_id": ["org/old"]})
    new = old.with_columns(event_id=pl.lit("new"), seconds=pl.lit(2.5), colour=pl.lit("green"))
    odd = old.with_columns(event_id=pl.lit("odd"), seconds=pl.lit("3.5"), success=pl.lit("perhaps"))
    for name, frame in (("old", old), ("new", new), ("odd", odd)):
        content = io.BytesIO()
        frame.write_parquet(content)
        store.put(f"{HOT}/date={moment.date()}/{name}.parquet", content.getvalue())
    wanted = [(id_of(today), 1.5, True), ("new", 2.5, None), ("odd", 3.5, None), ("old", None, None)]
    query = "select event_id, seconds, success from events"
    assert sorted(History(store).table(query).rows, key=str) == sorted(wanted, key=str)
    compact_days(store, NOW, NONE)
    assert sorted(History(store).table(query).rows, key=str) == sorted(wanted, key=str)
    colours = History(store).table("select event_id, colour from events where colour is not null").rows
    assert colours == (("new", "green"),)


BROKEN = {
    "empty": lambda _: b"",
    "cut off": lambda good: good[:-20],
    "another format": lambda _: b"a,b\n1,2\n" * 10,
    "a flipped footer": lambda good: good[:-300] + bytes([255]) * 292 + good[-8:],
    "flipped values": lambda good: good[:10] + bytes([255]) * 300 + good[310:],
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_is_left_out_and_told_and_touched_by_nobody(tmp_path, damage, caplog):
    store, lines = store_at(tmp_path), loads(3)
    put(store, *lines)
    good = store.read(store.find(HOT)[0].path)
    bad_path = f"{HOT}/date={(NOW - HOUR).date()}/bad.parquet"
    store.put(bad_path, BROKEN[damage](good))
    connection = History(store)
    assert len(connection.table("select * from events").rows) == 3
    assert [file.path for file in connection.broken] == [bad_path]
    assert "left out" in caplog.text
    done = compact_days(store, NOW, NONE)
    assert [file.path for file in done.broken] == [bad_path]
    assert [file.path for file in store.find(HOT)] == [bad_path]
    assert ids(History(store)) == expected(lines)


def test_files_that_go_while_a_reader_has_them_listed_are_found_elsewhere(tmp_path):
    store, lines = store_at(tmp_path), loads(3)
    put(store, *lines)
    reader = History(store)
    compact_days(store, NOW, NONE)
    assert store.find(HOT) == []
    assert ids(reader) == expected(lines)
    put(store, *(more := loads(2)))
    compact_days(store, NOW + HOUR, NONE)
    assert reader.execute("select count(*) from events").fetchall() == [(3 + len(more),)]


def test_files_that_go_between_listing_and_reading_are_listed_again(tmp_path):
    store, lines = store_at(tmp_path), loads(3)
    put(store, *lines)

    class Unlucky(FaultyFilesystem):
        def find(self, path, *args, **kwargs):
            found = super().find(path, *args, **kwargs)
            if str(path).endswith("rejected") and store.find(HOT):
                compact_days(store, NOW, NONE)
            return found

    assert ids(History(store_at(tmp_path, Unlucky()))) == expected(lines)


def test_retention_deletes_whole_days_and_keeps_today_and_the_days_asked_for(tmp_path):
    store, lines = store_at(tmp_path), loads(5, days=5)
    put(store, *lines)
    compact_days(store, NOW)
    retain(store, 2, NOW)
    assert ids(History(store)) == expected(lines[:3])
    with pytest.raises(ValueError, match="at least one"):
        retain(store, 0, NOW)


def test_a_settled_history_is_read_without_telling_events_apart(tmp_path):
    store = store_at(tmp_path)
    put(store, *loads(4, days=2))
    compact_days(store, NOW, NONE)
    listing = look(store)
    assert (len(listing.settled), listing.fresh) == (2, ())
    assert "distinct" not in str(History(store).table("explain select count(*) from events").rows).lower()


class HistoryMachine(RuleBasedStateMachine):
    """Writers, resends, crashes, tidyings and readers in any order, against a plain set of ids."""

    @initialize()
    def begin(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder, self.clock = Path(self.scratch.name), NOW
        self.kept: set[str] = set()
        self.sent: list[bytes] = []
        self.reader = None

    def _batch(self, count, day):
        return [line("load", NOW - timedelta(days=day, hours=1), model_id="org/a", success=True) for _ in range(count)]

    def _write(self, lines, filesystem=None):
        batch = read_lines(lines)
        write(store_at(self.folder, filesystem), judge(batch, NOW), NOW)

    @rule(count=st.integers(1, 3), day=st.integers(0, 1))
    def ship(self, count, day):
        lines = self._batch(count, day)
        self._write(lines)
        self.sent += lines
        self.kept |= set(map(id_of, lines))

    @rule(data=st.data())
    def send_again_with_something_new(self, data):
        again = data.draw(st.lists(st.sampled_from(self.sent), max_size=3)) if self.sent else []
        lines = [*again, *self._batch(1, 0)]
        self._write(lines)
        self.sent += lines
        self.kept |= set(map(id_of, lines))

    @rule(fail_at=st.integers(1, 3), after=st.booleans())
    def crash_while_shipping_and_send_again(self, fail_at, after):
        lines = [*self._batch(1, 0), *self._batch(1, 1)]
        with suppress(CrashError):
            self._write(lines, FaultyFilesystem(fail_at, after=after))
        self._write(lines)
        self.sent += lines
        self.kept |= set(map(id_of, lines))

    @rule(grace=st.sampled_from([NONE, HOUR]))
    def tidy(self, grace):
        self.clock += timedelta(minutes=40)
        compact_days(store_at(self.folder), self.clock, grace)

    @rule(fail_at=st.integers(1, 25), after=st.booleans(), grace=st.sampled_from([NONE, HOUR]))
    def crash_while_tidying(self, fail_at, after, grace):
        self.clock += timedelta(minutes=40)
        with suppress(CrashError):
            compact_days(store_at(self.folder, FaultyFilesystem(fail_at, after=after)), self.clock, grace)

    @rule()
    def open_a_reader_that_stays(self):
        self.reader = (History(store_at(self.folder)), set(self.kept))

    @rule()
    def ask_the_reader_that_stayed(self):
        if self.reader:
            connection, known = self.reader
            found = ids(connection)
            assert len(found) == len(set(found))
            assert known <= set(found) <= self.kept

    @invariant()
    def every_event_counts_once(self):
        assert ids(History(store_at(self.folder))) == sorted(self.kept)

    def teardown(self):
        self.scratch.cleanup()


TestHistoryMachine = HistoryMachine.TestCase
TestHistoryMachine.settings = settings(deadline=None, max_examples=6, stateful_step_count=10)
TestHistoryMachine = pytest.mark.slow(TestHistoryMachine)


def test_an_empty_history_has_every_view(tmp_path):
    connection = history(tmp_path)
    assert connection.table("select count(*) from events").rows == ((0,),)
    assert connection.table("select count(*) from inventory").rows == ((0,),)

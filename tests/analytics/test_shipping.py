"""The laws of shipping: what was acknowledged arrives, once; what may not enter is kept beside; a crash costs work."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics.connection import History
from analytics.errors import StoreUnreachableError, UnsafeUrlError
from analytics.ship import ship_safely, ship_spool
from analytics.spool import Spool as Reading
from analytics.storage import HOT, open_store
from availability.spool import Spool
from tests.analytics.histories import NOW, CrashError, FaultyFilesystem, faults, ids, line, store_at

ROOT = Path(__file__).parents[2]


def spool_of(folder, *lines):
    spool = Spool(folder)
    assert all(spool.append(each) for each in lines)
    return spool


def id_of(text):
    return json.loads(text)["event_id"]


def loads(count, days=1):
    return [
        line("load", NOW - timedelta(hours=24 * (number % days) + 1), model_id="org/a", success=True)
        for number in range(count)
    ]


def test_what_was_spooled_arrives_once_and_the_segment_goes_with_its_writer(tmp_path):
    lines, store = loads(20, days=3), store_at(tmp_path / "store")
    spool = spool_of(tmp_path / "spool", *lines[:10])
    assert ship_spool(tmp_path / "spool", store, NOW).events == 10
    assert ship_spool(tmp_path / "spool", store, NOW).events == 0
    assert Reading(tmp_path / "spool").size_bytes() > 0, "its writer may still append"
    assert all(spool.append(each) for each in lines[10:])
    spool.close()
    shipped = ship_spool(tmp_path / "spool", store, NOW)
    assert (shipped.events, shipped.left_bytes) == (10, 0)
    assert ids(History(store)) == sorted(map(id_of, lines))


def test_what_a_writer_left_of_a_line_waits_for_its_end_and_is_refused_at_its_death(tmp_path):
    store, spool = store_at(tmp_path / "store"), spool_of(tmp_path / "spool", *loads(1))
    os.write(spool._descriptor, b'{"event_id": "half')
    assert ship_spool(tmp_path / "spool", store, NOW).rejected == 0
    spool.close()
    shipped = ship_spool(tmp_path / "spool", store, NOW)
    assert (shipped.events, shipped.rejected, shipped.left_bytes) == (0, 1, 0)
    [(text,)] = History(store).table("select line from rejected").rows
    assert text == '{"event_id": "half'


def _operations(tmp_path, lines):
    """Return the operations of a shipment without a fault."""
    spool_of(tmp_path / "probe-spool", *lines).close()
    filesystem = FaultyFilesystem()
    ship_spool(tmp_path / "probe-spool", store_at(tmp_path / "probe", filesystem), NOW)
    return filesystem.operations


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_crash_at_any_operation_of_shipping_neither_loses_nor_doubles(tmp_path, after):
    lines = [*loads(6, days=3), b"no event\n"]
    operations = _operations(tmp_path, lines)
    assert len(operations) >= 9, "erasures, three days and the refused, each written and renamed"
    for fail_at in faults(operations, after=after):
        folder = tmp_path / str(fail_at)
        spool = spool_of(folder / "spool", *lines[:4])
        faulty = store_at(folder / "store", FaultyFilesystem(fail_at, after=after))
        with suppress(CrashError):  # the first shipment is smaller: the last faults lie beyond its end
            ship_spool(folder / "spool", faulty, NOW)
        store = store_at(folder / "store")
        so_far = ids(History(store))
        assert len(so_far) == len(set(so_far)), "no reader sees an event twice"
        assert all(spool.append(each) for each in lines[4:])
        spool.close()
        ship_spool(folder / "spool", store, NOW)
        assert ids(History(store)) == sorted(map(id_of, lines[:6])), f"operation {fail_at}: {faulty}"
        assert History(store).table("select count(*) from rejected").rows == ((1,),)
        assert Reading(folder / "spool").size_bytes() == 0


def test_a_batch_that_is_sent_again_overwrites_itself(tmp_path):
    lines, store = loads(3), store_at(tmp_path / "store")
    spool = spool_of(tmp_path / "spool", *lines)
    record = tmp_path / "spool/shipped.json"
    ship_spool(tmp_path / "spool", store, NOW)
    before = store.find(HOT)
    portions = [(name.name, 0, name.stat().st_size) for name in (tmp_path / "spool").glob("*.jsonl")]
    record.write_text(json.dumps({"shipped": {}, "sending": portions}))  # as after a crash between sending and noting
    assert spool.append(loads(1)[0])
    ship_spool(tmp_path / "spool", store, NOW)
    assert set(before) < set(store.find(HOT))
    rows = [pl.read_parquet(store.local_path(file.path)).height for file in store.find(HOT)]
    assert sorted(rows) == [1, 3], "the batch as it was, and what came since"
    assert len(ids(History(store))) == 4


def test_an_unreachable_store_is_a_warning_and_the_spool_keeps_everything(tmp_path, caplog):
    (tmp_path / "store").write_text("a file where the folder should be")
    lines = loads(5)
    spool_of(tmp_path / "spool", *lines).close()
    shipped = ship_safely(tmp_path / "spool", str(tmp_path / "store"))
    assert shipped.problem
    assert shipped.left_bytes == sum(map(len, lines))
    assert "Events stay in the spool" in caplog.text
    (tmp_path / "store").unlink()
    assert ship_safely(tmp_path / "spool", str(tmp_path / "store")).problem is None
    assert len(ids(History(store_at(tmp_path / "store")))) == 5


def test_with_nothing_to_ship_no_store_is_asked(tmp_path):
    assert ship_safely(tmp_path / "spool", "nonsense://nowhere").problem is not None
    faulty = FaultyFilesystem(fail_at=1)
    assert ship_spool(tmp_path / "spool", store_at(tmp_path / "store", faulty)).events == 0
    assert faulty.operations == []


def test_a_full_disk_under_the_store_leaves_nothing_half_written(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    faulty = FaultyFilesystem(fail_at=2, error=full, after=True)  # the bytes are there, the call failed
    spool_of(tmp_path / "spool", *loads(2)).close()
    with pytest.raises(StoreUnreachableError, match="No space left"):
        ship_spool(tmp_path / "spool", store_at(tmp_path / "store", faulty), NOW)
    assert faulty.operations[1] == "write"
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_a_store_that_may_only_be_read_keeps_the_spool_and_answers_questions(tmp_path):
    store = store_at(tmp_path / "store")
    spool_of(tmp_path / "a", *loads(2)).close()
    ship_spool(tmp_path / "a", store, NOW)
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    faulty = FaultyFilesystem(fail_at=2, error=denied)
    spool_of(tmp_path / "b", *loads(1)).close()
    with pytest.raises(StoreUnreachableError, match="Permission denied"):
        ship_spool(tmp_path / "b", store_at(tmp_path / "store", faulty), NOW)
    assert Reading(tmp_path / "b").size_bytes() > 0
    assert len(ids(History(store_at(tmp_path / "store", FaultyFilesystem())))) == 2


def test_two_shippers_at_once_do_no_harm(tmp_path):
    lines, store = loads(4), store_at(tmp_path / "store")
    spool_of(tmp_path / "spool", *lines).close()
    with Reading(tmp_path / "spool").shipping() as ours:
        assert ours
        assert ship_spool(tmp_path / "spool", store, NOW).events == 0, "the other one is at it"
    assert ship_spool(tmp_path / "spool", store, NOW).events == 4


def test_a_batch_is_bounded_and_all_of_it_arrives(tmp_path, monkeypatch):
    monkeypatch.setattr("analytics.spool.BATCH_BYTES", 400)
    lines, store = loads(20), store_at(tmp_path / "store")
    spool_of(tmp_path / "spool", *lines).close()
    shipped = ship_spool(tmp_path / "spool", store, NOW)
    assert shipped.events == 20
    assert shipped.batches > 5
    assert ids(History(store)) == sorted(map(id_of, lines))


def test_a_line_longer_than_a_batch_arrives(tmp_path, monkeypatch):
    monkeypatch.setattr("analytics.spool.BATCH_BYTES", 100)
    long = line("load", NOW, model_id="org/a", success=True, details={"much": "x" * 1000})
    store = store_at(tmp_path / "store")
    spool_of(tmp_path / "spool", long, *loads(1)).close()
    assert ship_spool(tmp_path / "spool", store, NOW).events == 2


def test_a_broken_note_of_what_was_shipped_only_costs_sending_again(tmp_path):
    lines, store = loads(4), store_at(tmp_path / "store")
    spool = spool_of(tmp_path / "spool", *lines)  # whoever may still write keeps its segment
    ship_spool(tmp_path / "spool", store, NOW)
    (tmp_path / "spool/shipped.json").write_text("{")
    assert ship_spool(tmp_path / "spool", store, NOW).events == 4
    assert ids(History(store)) == sorted(map(id_of, lines))
    spool.close()


EMITTER = """
import sys
from pathlib import Path
from availability.spool import Spool
from analytics.events import content_id
spool, acknowledged = Spool(Path(sys.argv[1]), segment_bytes=20_000), open(sys.argv[2], "ab", buffering=0)
from itertools import count
from time import sleep
for number in count():
    name = content_id(f"{sys.argv[2]} {number}")
    text = '{"event_id":"%s","event_time":"2026-03-31T10:00:00Z","kind":"load","model_id":"org/a","success":true}'
    if spool.append((text % name).encode() + bytes([10])):
        acknowledged.write(name.encode() + bytes([10]))
    sleep(0.0005)
"""


READ_EVERY = 5


def kill_emitters(folder, store, emitters, at_once):
    """Start and kill emitters while everything is shipped and read; return what they were told is kept."""
    acknowledged, running, numbers, seen = folder / "acknowledged", [], itertools.count(), set()
    acknowledged.mkdir(parents=True)
    killed = 0
    while killed < emitters:
        while len(running) < at_once:
            name = acknowledged / str(next(numbers))
            command = [sys.executable, "-c", EMITTER, str(folder / "spool"), str(name)]
            running.append((subprocess.Popen(command, cwd=ROOT), name))
        process, name = running.pop(0)
        while process.poll() is None and not (name.exists() and name.stat().st_size > 37 * 50):
            ship_spool(folder / "spool", store, NOW)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        if killed % READ_EVERY == 0:
            found = ids(History(store, folder / "cache"))
            assert len(found) == len(set(found)), "no reader sees an event twice"
            assert seen <= set(found), "what a reader has seen stays"
            seen = set(found)
    for process, _ in running:
        process.kill()
        process.wait()
    ship_spool(folder / "spool", store, NOW)
    return [text for file in acknowledged.iterdir() for text in file.read_text().split("\n")[:-1]]


@pytest.mark.slow
def test_of_thirty_killed_emitters_every_acknowledged_event_is_kept_exactly_once(tmp_path):
    store = store_at(tmp_path / "store")
    told = kill_emitters(tmp_path, store, emitters=30, at_once=4)
    assert len(told) >= 30 * 50
    kept = ids(History(store))
    assert len(kept) == len(set(kept)), "no event counts twice"
    assert set(told) <= set(kept), "what was acknowledged is kept"
    assert len(kept) - len(told) <= 34, "at most the one between keeping and telling, an emitter"
    assert Reading(tmp_path / "spool").size_bytes() == 0


SHIPPER = """
import sys, os, signal
from pathlib import Path
from analytics.ship import ship_spool
from tests.analytics.histories import NOW, FaultyFilesystem, store_at

class Killer(FaultyFilesystem):
    def _count(self, name, action):
        self.operations.append(name)
        result = action()
        if len(self.operations) == self.fail_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

ship_spool(Path(sys.argv[1]), store_at(Path(sys.argv[2]), Killer(int(sys.argv[3]))), NOW)
"""


def test_a_killed_shipper_loses_nothing(tmp_path):
    lines = loads(4)
    spool_of(tmp_path / "spool", *lines).close()
    for fail_at in (2, 3):
        command = [sys.executable, "-c", SHIPPER, str(tmp_path / "spool"), str(tmp_path / "store"), str(fail_at)]
        assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    store = store_at(tmp_path / "store")
    ship_spool(tmp_path / "spool", store, NOW)
    assert ids(History(store)) == sorted(map(id_of, lines))


def test_a_url_that_carries_a_secret_is_refused_and_not_repeated():
    for url in ("s3://KEY:SECRET@bucket/x", "https://host/x?token=SECRET", "s3://b/x?X-Amz-Signature=SECRET"):
        with pytest.raises(UnsafeUrlError) as caught:
            open_store(url)
        assert "SECRET" not in str(caught.value)
        assert "SECRET" not in str(ship_safely(Path("nowhere"), url).problem)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from availability.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
print(sum(spool.append(b'{"n": 12345678901234567890}\\n') for _ in range(100)))
"""


def test_on_a_full_disk_lines_are_refused_and_the_kept_ones_stay_whole(tmp_path):
    """A limit on the size of files stands for the disk: the last write is cut short, later ones fail."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    [segment] = tmp_path.glob("*.jsonl")
    whole = segment.read_bytes().count(b"}\n")
    assert int(done.stdout) == whole == 1000 // 28
    assert "not recorded" in done.stderr

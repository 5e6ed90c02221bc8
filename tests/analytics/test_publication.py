"""The laws of what leaves the history: the published file, the report, the shell, and what is forgotten for good."""

import re
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from xml.etree import ElementTree as ET

import duckdb
import pytest

from analytics.charts import CHARTS
from analytics.compact import compact_days
from analytics.connection import History
from analytics.erase import erase_model, erase_user
from analytics.privacy import hash_user
from analytics.publish import publish_mart
from analytics.report import TABLES, make_report
from analytics.shell import find_client
from analytics.storage import MART
from tests.analytics.histories import NOW, CrashError, FaultyFilesystem, faults, history, ids, line, put, store_at

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)


def full_history(folder):
    """Return a store with something for every part of the report."""
    lines = []
    for day in range(10):
        at = NOW - day * DAY - timedelta(hours=2)
        lines += [
            line("load", at, model_id=f"org/{name}", success=True, seconds=5 + day, user_hash="u") for name in "ab"
        ]
        lines += [
            line(
                "status",
                at + timedelta(minutes=30 * step),
                model_id="org/a",
                status=status,
                size_bytes=10**9,
                target=0.9,
            )
            for step, status in enumerate(["available", "missing", "available"])
        ]
        lines.append(
            line(
                "download",
                at,
                model_id="org/a",
                source="hub<b>",
                success=day % 3 > 0,
                bytes_needed=10**8,
                bytes_fetched=10**8,
                seconds=9,
                attempts=1,
                error_kind="stall|<i>",
            )
        )
    lines += [line("load", NOW - 2 * DAY, model_id="org/a", success=True, seconds=50) for _ in range(9)]
    lines += [line("load", NOW - 20 * DAY, model_id="org/a", success=True, seconds=5) for _ in range(9)]
    lines += [line("finding", NOW - DAY, model_id="org/a", error_kind="flipped")]
    lines += [line("repair", NOW - DAY, model_id="org/a", success=True, seconds=3, action="ranges")]
    lines += [
        line("status", NOW - 60 * DAY, model_id="org/<script>alert(1)</script>", status="available", size_bytes=5)
    ]
    lines += [line("fallback", NOW - DAY, model_id="org/a", action="queue_and_wait")]
    store = store_at(folder)
    put(store, *lines, b"no event\n")
    return store


def test_any_client_opens_the_published_file(tmp_path):
    store = full_history(tmp_path)
    published = publish_mart(store, now=NOW)
    with duckdb.connect(str(tmp_path / MART), read_only=True) as connection:
        assert connection.execute("select count(*) from events").fetchall() == [(published.events,)]
        assert connection.execute("select count(*) from inventory").fetchall() == [(2,)]
        assert len(connection.execute("select * from days(60, 2, ?, 'UTC')", [NOW]).fetchall()) > 10
        with pytest.raises(duckdb.Error):
            connection.execute("delete from events")
    done = subprocess.run([find_client(), "-readonly", "-csv", str(tmp_path / MART), "-c",
                           "select count(*) from events", "-c", "select count(*) > 0 as some from spans(60, 2, now())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split() == ["count_star()", str(published.events), "some", "true"], "of version 1.5"


def test_the_published_file_holds_the_days_asked_for(tmp_path):
    store = full_history(tmp_path)
    assert publish_mart(store, days=5, now=NOW).events < publish_mart(store, days=30, now=NOW).events


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_crash_at_any_operation_of_publication_leaves_a_whole_file(tmp_path, after):
    store = store_at(tmp_path)
    put(store, line("load", NOW, model_id="org/a", success=True))
    publish_mart(store, now=NOW + DAY)
    put(store, line("load", NOW, model_id="org/b", success=True))
    probe = FaultyFilesystem()
    publish_mart(store_at(tmp_path, probe), now=NOW + DAY)
    assert {"find", "write", "rename"} <= set(probe.operations)
    for fail_at in faults(probe.operations, after=after):
        with suppress(CrashError):
            publish_mart(store_at(tmp_path, FaultyFilesystem(fail_at, after=after)), now=NOW + DAY)
        with duckdb.connect(str(tmp_path / MART), read_only=True) as connection:
            assert connection.execute("select count(*) from events").fetchall() == [(2,)]


def test_the_report_shows_every_part_and_is_a_file_of_its_own(tmp_path):
    report = make_report(History(full_history(tmp_path)), now=NOW)
    page = report.html()
    titles = [chart.title for chart in CHARTS] + [title for title, _ in TABLES.values() if title != "What to preload"]
    for title in titles:
        assert f"<h2>{title}</h2>" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#)', page), "nothing to load"
    assert "org/&lt;script&gt;" in page
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(pictures) == 8
    assert all(ET.fromstring(picture) is not None for picture in pictures)


def test_the_report_as_markdown_carries_its_pictures_and_no_html(tmp_path):
    text = make_report(History(full_history(tmp_path)), now=NOW).markdown()
    assert text.count("](data:image/svg+xml;base64,") == 8
    assert "stall\\|&lt;i&gt;" in text
    assert "<script" not in text


def test_an_empty_history_gives_a_page_that_says_what_to_do(tmp_path):
    report = make_report(history(tmp_path), now=NOW)
    for page in (report.html(), report.markdown()):
        assert "Nothing is recorded yet" in page
        assert "availability ensure" in page
        assert "from availability import usage" in page


@pytest.mark.parametrize("kind", ["load", "status", "download", "check"])
def test_one_event_of_any_kind_is_enough_for_a_page(tmp_path, kind):
    event = line(kind, NOW - DAY, model_id="org/a", success=True, status="available", source="hub")
    assert "1 events" in make_report(history(tmp_path, event), now=NOW).html()


def test_a_report_tells_of_files_that_could_not_be_read(tmp_path):
    store = full_history(tmp_path)
    store.put("events/hot/date=2026-03-30/bad.parquet", b"half")
    assert "could not be read: events/hot/date=2026-03-30/bad.parquet" in make_report(History(store), now=NOW).html()


def shell(store, *statements):
    arguments = [part for statement in statements for part in ("-c", statement)]
    command = [sys.executable, "-m", "analytics", "shell", "--url", str(store.root), "--", "-csv", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_shell_opens_the_views_and_nothing_else(tmp_path):
    store = full_history(tmp_path / "store")
    assert shell(store, "select count(*) > 40 as many from events").stdout == "many\ntrue\n"
    acts = (f"copy (select 1) to '{tmp_path}/x'", "create table t as select 1", f"attach '{tmp_path}/x'",
            "select * from read_csv('/etc/passwd')", "set enable_external_access = true")  # fmt: skip
    command = [sys.executable, "-m", "analytics", "shell", "--url", str(store.root)]
    typed = "".join(f"{act};\n" for act in acts) + "select 42;\n"
    done = subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, check=False)
    assert done.stderr.count("Error") == len(acts)
    assert "42" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def everything_in(folder):
    """Return all bytes below a folder, with the Parquet files as text."""
    parts = []
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            parts.append(str(duckdb.sql(f"select * from read_parquet('{path}', hive_partitioning=false)").fetchall()))
        elif path.is_file():
            parts.append(path.read_bytes().decode(errors="replace"))
    return "\n".join(parts)


def test_a_model_that_is_forgotten_is_gone_from_every_file_and_stays_gone(tmp_path):
    store = store_at(tmp_path)
    secret = [line("load", NOW - day * DAY, model_id="org/secret", success=True) for day in (1, 2)]
    kept = [line("load", NOW - day * DAY, model_id="org/kept", success=True) for day in (1, 2)]
    stands_in = line("fallback", NOW - DAY, model_id="org/kept", action="alternative_model", substitute="org/secret")
    put(store, *secret, *kept, stands_in, line("load", NOW, model_id="org/secret", success=True, seconds=-1))
    compact_days(store, NOW)
    put(store, line("load", NOW - DAY, model_id="org/secret", success=True))
    publish_mart(store, now=NOW)
    before = History(store)
    erase_model(store, "org/secret", NOW)
    names = "\n".join(path.read_text() for path in (tmp_path / "erased").iterdir())
    assert everything_in(tmp_path).count("org/secret") == names.count("org/secret") == 1, "only that it was forgotten"
    assert len(ids(before)) == len(ids(History(store))) == 2
    put(store, *secret, line("load", NOW - DAY, model_id="org/secret", success=True, seconds=-1))
    assert len(ids(History(store))) == 2, "what comes late is forgotten too"
    put(store, line("load", NOW + timedelta(minutes=1), model_id="org/secret", success=True), now=NOW + DAY)
    assert len(ids(History(store))) == 3, "what happens after it is not"


def test_a_user_who_is_forgotten_is_gone_by_hash_and_by_name(tmp_path):
    store, salt = store_at(tmp_path), b"salt"
    hashed = hash_user("ann", salt)
    put(
        store,
        line("load", NOW - DAY, model_id="org/a", success=True, user_hash=hashed),
        line("load", NOW - DAY, model_id="org/a", success=True, user_hash=hash_user("bob", salt)),
        line("approval", NOW - DAY, action="delete", success=True, actor="ann"),
        line("approval", NOW - DAY, action="delete", success=True, actor="ann", target=7),
    )
    erase_user(store, "ann", salt, NOW)
    assert len(ids(History(store))) == 1
    assert "ann" not in everything_in(tmp_path)


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_crash_while_forgetting_never_brings_back_what_a_reader_no_longer_saw(tmp_path, after):
    def prepared(folder):
        store = store_at(folder)
        put(store, *[line("load", NOW - DAY, model_id=f"org/{name}", success=True) for name in ("secret", "kept")])
        compact_days(store, NOW, timedelta(0))
        return store

    prepared(tmp_path / "as it was")
    copytree(tmp_path / "as it was", tmp_path / "probe")
    probe = FaultyFilesystem()
    erase_model(store_at(tmp_path / "probe", probe), "org/secret", NOW)
    for fail_at in faults(probe.operations, after=after):
        store = store_at(copytree(tmp_path / "as it was", tmp_path / str(fail_at)))
        with suppress(CrashError):
            erase_model(store_at(tmp_path / str(fail_at), FaultyFilesystem(fail_at, after=after)), "org/secret", NOW)
        was_remembered = bool(store.find("erased"))
        assert len(ids(History(store))) == (1 if was_remembered else 2)
        erase_model(store, "org/secret", NOW)
        assert len(ids(History(store))) == 1

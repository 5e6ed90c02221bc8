"""Every named query, on small histories whose answers were worked out by hand, the hard cases among them.

Availability has its own file. All questions are asked at noon UTC on 2026-03-31.
"""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.errors import QueryError, UnknownQueryError
from analytics.queries import list_queries, run_query
from analytics.sqlfiles import named_queries, views
from tests.analytics.histories import NOW, ask, history, line, put, store_at

MIB = 1024**2


def ago(days=0.0, hours=0.0, minutes=0.0):
    return NOW - timedelta(days=days, hours=hours, minutes=minutes)


def load(at, seconds=1.0, model="org/a", *, success=True, **fields):
    return line("load", at, model_id=model, seconds=seconds, success=success, **fields)


def download(at, *, source="hub", success=True, needed=10 * MIB, fetched=10 * MIB, seconds=10, attempts=1, **fields):
    return line("download", at, model_id="org/a", source=source, success=success, bytes_needed=needed,
                bytes_fetched=fetched, seconds=seconds, attempts=attempts, **fields)  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return history(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("name", named_queries())
def test_an_empty_history_answers_with_the_documented_columns(empty, name):
    answer = run_query(empty, name)
    assert answer.columns == tuple(named_queries()[name].columns)
    assert all(not row[1] for row in answer.rows), "peak_hours alone has rows, without uses"


@pytest.mark.parametrize("file", [*named_queries().values(), *views()], ids=lambda file: file.name)
def test_every_file_says_what_it_is(file):
    assert file.description.endswith(".")
    assert file.columns
    assert file.depends
    assert all(parameter.meaning and parameter.default for parameter in file.parameters)
    assert file.text.count("$") == 0 or file.parameters


def test_queries_are_listed_as_data():
    listed = {query["name"]: query for query in list_queries()}
    assert set(listed) == set(named_queries())
    assert listed["regressions"]["parameters"][3] == {
        "name": "tolerance",
        "type": "double",
        "default": "0.2",
        "meaning": "how much slower is not yet a regression",
    }


def test_model_usage(tmp_path):
    """org/a: 4 loads in 10 days known, one failed, the others 1, 2, 3 s; org/b: requests only; org/c: never used."""
    connection = history(
        tmp_path,
        load(ago(days=10), 1, user_hash="u1"),
        load(ago(days=5), 2, user_hash="u1"),
        load(ago(days=5), 3, user_hash="u2"),
        load(ago(days=4), None, success=False),
        line("request", ago(days=5), model_id="org/a", success=True),  # that day loads were reported: it is none more
        line("request", ago(days=1), model_id="org/b", success=True),
        line("request", ago(days=1, hours=1), model_id="org/b", success=False),
        line("status", ago(days=2), model_id="org/c", status="available", size_bytes=7),
        line("status", ago(days=1), model_id="org/c", status="available", size_bytes=8),
        load(ago(days=40), 9, model="org/d"),
        line("status", ago(days=1), model_id="org/d", status="missing", size_bytes=5),
    )
    columns = ("model_id", "uses", "uses_per_day", "success_rate", "load_p50_seconds", "load_p95_seconds", "last_used",
               "users", "size_bytes")  # fmt: skip
    assert ask(connection, "model_usage", *columns) == [
        ("org/a", 4, 0.4, 0.75, 2, pytest.approx(2.9), ago(days=4), 2, None),
        ("org/b", 2, pytest.approx(2 / (25 / 24)), 0.5, None, None, ago(days=1), 0, None),
        ("org/c", 0, 0, None, None, None, None, 0, 8),
        ("org/d", 0, 0, None, None, None, ago(days=40), 0, None),
    ]
    [(uses, per_day)] = ask(connection, "model_usage", "uses", "uses_per_day", days=4.5)[1:2]
    assert (uses, per_day) == (1, pytest.approx(1 / 4.5)), "org/a in a shorter window"


def test_a_use_counts_for_the_day_of_the_zone(tmp_path):
    late = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # half past midnight on the 30th in Berlin, in summer time
    connection = history(
        tmp_path, load(late), load(late - timedelta(hours=1)), load(late, success=False, model="org/b")
    )
    columns = ("day", "model_id", "uses", "failed_uses")
    day = datetime(2026, 3, 29, tzinfo=UTC).date()
    assert ask(connection, "uses_by_day", *columns) == [(day, "org/a", 2, 0), (day, "org/b", 1, 1)]
    next_day = day + timedelta(days=1)
    assert ask(connection, "uses_by_day", *columns, zone="Europe/Berlin") == [
        (day, "org/a", 1, 0),
        (next_day, "org/a", 1, 0),
        (next_day, "org/b", 1, 1),
    ]


def test_peak_hours(tmp_path):
    at = datetime(2026, 3, 30, 22, 59, tzinfo=UTC)
    connection = history(
        tmp_path,
        load(at),
        load(at),
        load(at + timedelta(minutes=1)),
        line("check", at, success=True, model_id="org/a"),
        line("inference", at - timedelta(days=40), model_id="org/a", success=True),
    )
    utc = ask(connection, "peak_hours", "hour", "uses", "share")
    assert [row for row in utc if row[1]] == [(22, 2, 2 / 3), (23, 1, 1 / 3)]
    assert len(utc) == 24
    berlin = ask(connection, "peak_hours", "hour", "uses", zone="Europe/Berlin")
    assert [row for row in berlin if row[1]] == [(0, 2), (1, 1)]


def test_load_times(tmp_path):
    connection = history(
        tmp_path,
        *[load(ago(days=1), seconds, size_bytes=12) for seconds in (1, 2, 3)],
        load(ago(days=1), 100, success=False),
        load(ago(days=31), 50),
        load(ago(days=1), 5, model="org/b"),
    )
    columns = ("model_id", "loads", "p50_seconds", "p95_seconds", "bytes_per_second")
    assert ask(connection, "load_times", *columns) == [
        ("org/b", 1, 5, 5, None),
        ("org/a", 3, 2, pytest.approx(2.9), 6),
    ]


def test_failure_rate(tmp_path):
    """Of 5 that count 2 failed; one was cancelled by a person, one paused, one is a day and an hour old."""
    connection = history(
        tmp_path,
        *[download(ago(hours=hours)) for hours in (1, 2, 3)],
        download(ago(hours=4), success=False, error_kind="DownloadFailedError"),
        download(ago(hours=5), success=False),
        download(ago(hours=6), success=False, error_kind="DownloadCancelledError"),
        download(ago(hours=7), success=False, error_kind="DownloadPausedError"),
        download(ago(hours=25), success=False),
    )
    columns = ("failures", "downloads", "failure_percent", "models", "last_at")
    assert ask(connection, "failure_rate", *columns) == [(2, 5, 40.0, 1, ago(hours=4))]
    assert ask(connection, "failure_rate", *columns[:2], hours=26) == [(3, 6)]
    assert ask(connection, "failure_rate", *columns[:2], least_downloads=6) == []


def test_performance_and_regressions(tmp_path):
    """org/a 10 s → 12.1 s, org/b 10 s → 12 s (exactly the tolerance), org/c faster, org/d too few, org/e new."""
    now = {"org/a": 12.1, "org/b": 12.0, "org/c": 5.0, "org/e": 3.0}
    connection = history(
        tmp_path,
        *[load(ago(days=20), 10, model=model) for model in ("org/a", "org/b", "org/c") for _ in range(5)],
        *[load(ago(days=1), seconds, model=model) for model, seconds in now.items() for _ in range(5)],
        *[load(ago(days=20), 1, model="org/d") for _ in range(5)],
        *[load(ago(days=1), 9, model="org/d") for _ in range(4)],
        load(ago(days=50), 1, model="org/a"),
    )
    rows = ask(connection, "performance", "model_id", "slower_by", "performance_score", "is_regression")
    assert rows == [
        ("org/a", pytest.approx(0.21), pytest.approx(10 / 12.1), True),
        ("org/b", pytest.approx(0.2), pytest.approx(10 / 12), False),
        ("org/c", -0.5, 1, False),
        ("org/d", None, None, False),
        ("org/e", None, None, False),
    ]
    [(model, reason)] = ask(connection, "regressions", "model_id", "reason", tolerance=0.201)
    assert (model, reason) == ("org/a", "Loads take 12.1 s, 21 % more than the 10.0 s before.")


def test_sources_and_failures(tmp_path):
    """The hub: two worked (one after a retry, with a tenth too many bytes), one failed; the mirror: one failed."""
    connection = history(
        tmp_path,
        download(ago(days=1)),
        download(ago(days=2), fetched=12 * MIB, seconds=6, attempts=2),
        download(ago(days=3), success=False, fetched=3 * MIB, error_kind="stall", attempts=4),
        download(ago(days=3), source="mirror", success=False, fetched=0, error_kind="gone"),
        load(ago(days=1), None, success=False, error_kind="OSError"),
        load(ago(days=2), None, success=False, model="org/b", error_kind="OSError"),
        download(ago(days=31), success=False),
    )
    columns = ("source", "downloads", "failures", "success_rate", "bytes_needed", "bytes_fetched", "overhead",
               "p50_bytes_per_second", "attempts", "last_at")  # fmt: skip
    assert ask(connection, "sources", *columns) == [
        ("hub", 3, 1, 2 / 3, 30 * MIB, 25 * MIB, 1.1, 1.5 * MIB, 7, ago(days=1)),
        ("mirror", 1, 1, 0, 10 * MIB, 0, None, None, 1, ago(days=3)),
    ]
    columns = ("kind", "source", "error_kind", "failures", "models", "last_at")
    assert ask(connection, "failures", *columns) == [
        ("load", None, "OSError", 2, 2, ago(days=1)),
        ("download", "hub", "stall", 1, 1, ago(days=3)),
        ("download", "mirror", "gone", 1, 1, ago(days=3)),
    ]


def test_downloads_by_day(tmp_path):
    late = datetime(2026, 3, 29, 23, 59, 59, tzinfo=UTC)
    connection = history(
        tmp_path,
        download(late),
        download(late, seconds=30),
        download(late + timedelta(seconds=1), success=False, fetched=0),
    )
    columns = ("day", "downloads", "failures", "bytes_fetched", "bytes_per_second")
    assert [(str(day), *rest) for day, *rest in ask(connection, "downloads_by_day", *columns)] == [
        ("2026-03-29", 2, 0, 20 * MIB, 0.5 * MIB),
        ("2026-03-30", 1, 1, 0, None),
    ]


def test_wait_estimate(tmp_path):
    """Speeds of the hub 1, 2, 3 MiB/s; the tenths between are 1.2 and 2.8; one small download is no measure."""
    connection = history(
        tmp_path,
        *[download(ago(days=1), fetched=10 * MIB, seconds=10 / speed) for speed in (1, 2, 3)],
        download(ago(days=1), fetched=1000, seconds=10),
        download(ago(days=1), source="mirror", success=False, fetched=10 * MIB),
    )
    columns = ("source", "downloads", "seconds", "seconds_at_best", "seconds_at_worst", "confidence")
    rows = ask(connection, "wait_estimate", *columns, bytes=20 * MIB)
    expected = (3, pytest.approx(10), pytest.approx(20 / 2.8), pytest.approx(20 / 1.2), pytest.approx(3 / 8 * 0.6))
    assert rows == [("*", *expected), ("hub", *expected)]


def status(at, model="org/a", word="available", **fields):
    return line("status", at, model_id=model, status=word, **fields)


def test_storage_now_and_by_day(tmp_path):
    connection = history(
        tmp_path,
        status(ago(days=2), size_bytes=10, pinned=True),
        status(ago(days=2, hours=-1), size_bytes=30),
        status(ago(days=1), size_bytes=20, pinned=True),
        status(ago(days=1), "org/b", size_bytes=60, word="corrupted"),
        status(ago(days=3), "org/c", size_bytes=40),
        status(ago(days=1), "org/c", word="missing", size_bytes=40),
        status(ago(days=1), revision="v2"),
    )
    columns = ("model_id", "revision", "status", "size_bytes", "share", "pinned")
    assert ask(connection, "storage", *columns) == [
        ("org/b", "main", "corrupted", 60, 0.75, False),
        ("org/a", "main", "available", 20, 0.25, True),
        ("org/a", "v2", "available", None, None, False),
    ]
    rows = ask(connection, "storage_by_day", "day", "models", "size_bytes")
    assert [(str(day), *rest) for day, *rest in rows] == [
        ("2026-03-28", 1, 40),
        ("2026-03-29", 1, 30),
        ("2026-03-30", 2, 80),
    ]


def test_corruption_and_repairs(tmp_path):
    connection = history(
        tmp_path,
        line("check", ago(days=3), model_id="org/a", success=True, size_bytes=100),
        line("check", ago(days=2), model_id="org/a", success=False, size_bytes=100, error_kind="flipped"),
        line("finding", ago(days=2), model_id="org/a", error_kind="truncated"),
        line("finding", ago(days=2), model_id="org/a", error_kind="flipped"),
        line("finding", ago(days=1), model_id="org/a", error_kind="flipped"),
        line("check", ago(days=1), model_id="org/b", success=True),
        line("repair", ago(days=2), model_id="org/a", success=False, bytes_fetched=5, action="ranges"),
        line("repair", ago(days=1), model_id="org/a", success=True, bytes_fetched=7, seconds=4, action="ranges"),
        line("repair", ago(days=1), model_id="org/a", success=True, seconds=8, action="file"),
    )
    columns = ("model_id", "checks", "failed_checks", "findings", "defects", "bytes_checked", "last_finding")
    assert ask(connection, "corruption", *columns) == [
        ("org/a", 2, 1, 3, ["flipped", "truncated"], 200, ago(days=1)),
        ("org/b", 1, 0, 0, [], 0, None),
    ]
    columns = ("repairs", "success_rate", "p50_seconds", "p95_seconds", "bytes_fetched", "actions")
    assert ask(connection, "repairs", *columns) == [(3, 2 / 3, 6, pytest.approx(7.8), 12, ["file", "ranges"])]


def test_fallbacks(tmp_path):
    """Of three substitutions one worked, one failed, one is open; one told twice is one; an outcome alone is none."""

    def decided(number, action="alternative_model", **fields):
        return line("fallback", ago(days=2), model_id="org/a", decision_id=number, action=action, **fields)

    def ended(number, success, **fields):
        return line("fallback_outcome", ago(days=1), model_id="org/a", decision_id=number, success=success, **fields)

    connection = history(
        tmp_path,
        decided("1", score=0.8), decided("1", score=0.8), decided("2", score=0.6), decided("3"),
        decided("4", action="queue_and_wait"),
        ended("1", success=True, seconds=10), ended("2", success=False), ended("9", success=True),
    )  # fmt: skip
    columns = ("action", "decisions", "worked", "failed", "open", "effectiveness", "mean_score", "p50_seconds")
    assert ask(connection, "fallbacks", *columns) == [
        ("alternative_model", 3, 1, 1, 1, 0.5, pytest.approx(0.7), 10),
        ("queue_and_wait", 1, 0, 0, 1, None, None, None),
    ]


def test_time_to_ready(tmp_path):
    """Two requests wait for one arrival (60 and 30 minutes), one still waits, and one found it ready."""

    def request(at, action, model="org/a", **fields):
        return line("request", at, model_id=model, action=action, success=True, **fields)

    connection = history(
        tmp_path,
        request(ago(hours=10), "download_started"),
        request(ago(hours=9.5), "download_in_progress"),
        status(ago(hours=9.2), word="downloading"),
        status(ago(hours=9)),
        request(ago(hours=8), "model_ready"),
        request(ago(hours=1), "repair_attempted", "org/b"),
        line("request", ago(hours=5), model_id="org/c", success=False, error_kind="gated"),
        line("download", ago(hours=4), model_id="org/c", success=True, source="hub"),
    )
    columns = ("model_id", "requests", "answered", "still_waiting", "p50_seconds", "worst_seconds")
    assert ask(connection, "time_to_ready", *columns) == [
        ("org/b", 1, 0, 1, None, None),
        ("org/c", 1, 1, 0, 3600, 3600),
        ("org/a", 2, 2, 0, 2700, 3600),
    ]


def test_cleanup_candidates(tmp_path):
    """At 2 MiB/s; org/b is pinned, org/c was used, org/d is gone, org/e was first seen too recently."""
    connection = history(
        tmp_path,
        download(ago(days=5), fetched=10 * MIB, seconds=5),
        *[status(ago(days=60), model, size_bytes=240 * MIB) for model in ("org/a", "org/d", "org/f")],
        status(ago(days=60), "org/b", size_bytes=10, pinned=True),
        status(ago(days=60), "org/c", size_bytes=10),
        status(ago(days=20), "org/e", size_bytes=10),
        status(ago(days=1), "org/d", word="missing"),
        load(ago(days=45), model="org/a"),
        load(ago(days=29), model="org/c"),
    )
    columns = ("model_id", "size_bytes", "last_used", "unused_days", "minutes_to_fetch_again", "reason")
    assert ask(connection, "cleanup_candidates", *columns) == [
        ("org/a", 240 * MIB, ago(days=45), 45, 2, "Not used for 45 days."),
        ("org/f", 240 * MIB, None, 60, 2, "Never used in the 60 days since it was first seen."),
    ]


def test_preload_candidates(tmp_path):
    """In 14 days: org/a 7 uses and gone, org/b 6, org/c 14 but there, org/d never stored, known for 2 days."""
    connection = history(
        tmp_path,
        status(ago(days=40), word="available"),
        status(ago(days=1), word="missing"),
        *[load(ago(days=day + 0.5)) for day in range(7)],
        status(ago(days=40), "org/b", word="missing"),
        *[load(ago(days=day + 0.5), model="org/b") for day in range(6)],
        status(ago(days=40), "org/c"),
        *[load(ago(days=day + 0.5), model="org/c") for day in range(14)],
        line("request", ago(days=2), model_id="org/d", success=False),
    )
    columns = ("model_id", "uses_per_day", "uses", "status", "reason")
    assert ask(connection, "preload_candidates", *columns) == [
        ("org/a", 0.5, 7, "missing", "Used 0.5 times a day, and missing."),
        ("org/d", 0.5, 1, None, "Used 0.5 times a day, and never seen in the store."),
    ]


def test_controls(tmp_path):
    connection = history(
        tmp_path,
        line("control", ago(days=2), action="pause", model_id="org/a", success=True, user_hash="u1"),
        line("approval", ago(days=1), action="delete", model_id="org/b", success=False, actor="ann", run_id="run"),
        line("control", ago(days=100), action="cancel"),
    )
    assert ask(connection, "controls", "kind", "action", "model_id", "success", "who", "run_id") == [
        ("approval", "delete", "org/b", False, "ann", "run"),
        ("control", "pause", "org/a", True, "u1", None),
    ]


def test_breakers(tmp_path):
    """The hub: open 10 minutes, then half open 5, closed; the mirror: open since an hour, told twice."""

    def turned(source, action, minutes):
        return line("breaker", ago(minutes=minutes), source=source, action=action)

    connection = history(
        tmp_path,
        turned("hub", "open", 200), turned("hub", "half_open", 190), turned("hub", "closed", 185),
        turned("mirror", "open", 60), turned("mirror", "open", 30),
    )  # fmt: skip
    assert ask(connection, "breakers", "source", "openings", "open_seconds", "is_open", "last_opened") == [
        ("hub", 1, 900, False, ago(minutes=200)),
        ("mirror", 1, 3600, True, ago(minutes=30)),
    ]


def test_updates(tmp_path):
    def event(kind, hours, commit, **fields):
        return line(kind, ago(hours=hours), model_id="org/a", commit_hash=commit, **fields)

    connection = history(
        tmp_path,
        event("update_found", 30, "c1"), event("update_found", 20, "c1"), event("update_found", 10, "c2"),
        event("update", 29, "c1", success=False), event("update", 26, "c1", success=True),
    )  # fmt: skip
    columns = ("model_id", "found", "applied", "failed", "p50_seconds_to_apply", "last_found")
    assert ask(connection, "updates", *columns) == [("org/a", 2, 1, 1, 4 * 3600, ago(hours=10))]


def test_cleanups(tmp_path):
    def cleaned(model, success, freed):
        return line("cleanup", ago(days=1), model_id=model, success=success, bytes_freed=freed)

    connection = history(tmp_path, cleaned("org/a", True, 5), cleaned("org/b", True, 6), cleaned("org/b", False, 100))
    [(day, *rest)] = ask(connection, "cleanups", "day", "cleanups", "failures", "models", "bytes_freed")
    assert (str(day), rest) == ("2026-03-30", [3, 1, 2, 11])


def test_rejections_and_kinds(tmp_path):
    store = store_at(tmp_path)
    put(store, load(ago(days=1)), load(ago(days=2), model="org/b"), load(ago(days=1), -1), b"{broken\n")
    connection = history(tmp_path)
    assert ask(connection, "events_by_kind", "kind", "events", "models", "first_at", "last_at") == [
        ("load", 2, 2, ago(days=2), ago(days=1))
    ]
    rows = ask(connection, "rejections", "reason", "rows", "last_at")
    assert [(reason.partition(":")[0], count, at) for reason, count, at in rows] == [
        ("no event", 1, NOW),
        ("seconds", 1, NOW),
    ]


def test_an_unknown_query_names_those_that_are_near(tmp_path):
    with pytest.raises(UnknownQueryError, match="Did you mean regressions"):
        run_query(history(tmp_path), "regression")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dais": "3"}, "no parameter dais"),
        ({"days": "three"}, "expected a number"),
        ({"now": "soon"}, "expected a time"),
    ],
    ids=["unknown", "no number", "no time"],
)
def test_a_wrong_parameter_is_one_clear_error(tmp_path, given, expected):
    with pytest.raises(QueryError, match=expected):
        run_query(history(tmp_path), "load_times", given)

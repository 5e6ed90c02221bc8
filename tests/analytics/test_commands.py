"""The laws of the commands: an answer in three forms, one clear error, and logs of others brought in once."""

import csv
import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

import analytics
from analytics.__main__ import main
from analytics.connection import History
from analytics.errors import MappingError
from analytics.imports import import_log
from analytics.place import Place
from analytics.privacy import hash_user
from availability.spool import Spool
from tests.analytics.histories import NOW, history, line, store_at


@pytest.fixture
def place(tmp_path):
    history(
        tmp_path / "store", *[line("load", NOW - timedelta(days=day), model_id="org/a", success=True) for day in (1, 2)]
    )
    return Place(str(tmp_path / "store"), tmp_path / "spool", salt=b"salt")


def run(place, *arguments, **kwargs):
    return CliRunner().invoke(main, arguments, obj=place, **kwargs)


def test_sql_answers_in_three_forms(place):
    statement = "select date, model_id, null as nothing from events order by date"
    rows = json.loads(run(place, "sql", statement, "--json").output)
    assert rows[0] == {"date": "2026-03-29", "model_id": "org/a", "nothing": None}
    lines = list(csv.reader(run(place, "sql", statement, "--csv").output.splitlines()))
    assert lines == [["date", "model_id", "nothing"], ["2026-03-29", "org/a", ""], ["2026-03-30", "org/a", ""]]
    assert "org/a" in run(place, "sql", statement).output


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_programs_get_times_in_iso_8601(place, form):
    done = run(place, "sql", "select min(event_time) as at from events", form)
    assert (NOW - timedelta(days=2)).isoformat() in done.output


def test_a_line_in_a_pipe_is_as_wide_as_its_row(place):
    done = run(place, "sql", "select repeat('long', 100) as a, repeat('wide', 100) as b")
    assert "long" * 100 + "  " + "wide" * 100 in done.output


def test_a_named_query_takes_parameters(place):
    days = ("now=2026-03-31T12:00:00+00:00", "days=1.5")
    [row] = json.loads(run(place, "run", "model_usage", *days, "--json").output)
    assert (row["model_id"], row["uses"]) == ("org/a", 1)


def test_the_queries_are_listed(place):
    listed = json.loads(run(place, "queries", "--json").output)
    assert {"name", "description", "parameters"} <= set(listed[0])
    assert "model_usage" in run(place, "queries").output


ERRORS = {
    "bad SQL": (("sql", "selekt 1"), "syntax error"),
    "an unknown table": (("sql", "select * from evnets"), "evnets"),
    "what writes": (("sql", "drop view events"), "read-only"),
    "an unknown query": (("run", "model_usag"), "Did you mean model_usage"),
    "a query that is like no other": (("run", "zzz"), "There are availability, "),
    "an unknown parameter": (("run", "model_usage", "dais=3"), "no parameter dais"),
    "a parameter that is none": (("run", "model_usage", "3"), "NAME=VALUE"),
    "an absent store": (("sql", "select 1", "--url", "/nowhere/at/all"), "no history at /nowhere/at/all"),
    "an absent store for the shell": (("shell", "--url", "/nowhere/at/all"), "no history at /nowhere/at/all"),
    "an unknown kind of store": (("sql", "select 1", "--url", "nonsense://x"), "nonsense://x"),
    "a secret in the URL": (("sql", "select 1", "--url", "s3://KEY:SECRET@b/x"), "carries a secret"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_goes_wrong_is_one_clear_error(place, name):
    arguments, expected = ERRORS[name]
    done = run(place, *arguments)
    assert done.exit_code == 2
    assert "Error: " in done.output
    assert expected in done.output
    assert "Traceback" not in done.output
    assert "SECRET" not in done.output
    assert isinstance(done.exception, SystemExit)


def test_without_a_group_above_the_environment_says_where(place, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_URL", place.url)
    assert json.loads(run(None, "sql", "select count(*) as n from events", "--json").output) == [{"n": 2}]
    with analytics.connect() as opened:
        assert opened.table("select count(*) from events").rows == ((2,),)
    monkeypatch.delenv("ENHANCED_MODEL_ANALYTICS_URL")
    monkeypatch.setenv("ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY", "")
    assert "Say where the history lies" in run(None, "sql", "select 1").output
    with pytest.raises(analytics.AnalyticsError, match="Say where the history lies"):
        analytics.connect()


def test_the_report_is_written_to_a_file_even_without_a_history(place, tmp_path):
    for name, start in (("a.html", "<!doctype html>"), ("a.md", "# Availability")):
        assert run(place, "report", "--output", str(tmp_path / name)).exit_code == 0
        assert (tmp_path / name).read_text().startswith(start)
    done = run(place, "report", "--url", str(tmp_path / "nowhere"), "--output", str(tmp_path / "b.html"))
    assert done.exit_code == 0
    assert "Nothing is recorded yet" in (tmp_path / "b.html").read_text()


def test_the_history_is_tended_by_hand(place):
    assert Spool(place.spool).append(
        line("load", NOW, model_id="org/b", success=True, user_hash=hash_user("ann", b"salt"))
    )
    assert run(place, "ship").output.startswith("1 events")
    assert "3 days written" in run(place, "compact").output
    assert "3 events" in run(place, "publish", "--days", "100000").output
    assert run(place, "forget", "--user", "ann", "--yes").exit_code == 0
    assert json.loads(run(place, "sql", "select count(*) as n from events", "--json").output) == [{"n": 2}]
    assert run(place, "forget", "--model", "org/a", "--yes").exit_code == 0
    assert json.loads(run(place, "sql", "select count(*) as n from events", "--json").output) == [{"n": 0}]
    assert run(place, "retain", "--days", "1").exit_code == 0
    assert run(place, "forget", "--yes").exit_code == 2


MAPPING = {
    "event_time": "$.at",
    "kind": "inference",
    "model_id": "$.request.model",
    "seconds": {"path": "$.ms", "factor": 0.001},
    "success": {"path": "$.status", "true": [200, "ok"]},
    "user_hash": {"path": "$.user", "hash": True},
}


def log_line(**fields):
    return json.dumps(
        {"at": 1774900000, "request": {"model": "org/a"}, "ms": 250, "status": 200, "user": "ann", **fields}
    )


def test_a_foreign_log_is_brought_in_by_its_mapping_and_only_once(place, tmp_path):
    lines = [
        log_line(),
        log_line(),  # the same again: another use of the same second
        log_line(at=1774900000123, status="bad"),
        log_line(at="2026-03-30T21:46:40+02:00", status="ok", user=None),
        log_line(at="2026-03-30 19:46:40"),
        log_line(ms=-1),
        "secret of ann, no JSON",
        log_line(at="whenever"),
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n\n")
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
    command = ("import", str(tmp_path / "log.jsonl"), "--mapping", str(tmp_path / "mapping.json"))
    assert run(place, *command).output.startswith("5 events, 3 lines refused")
    assert run(place, *command).exit_code == 0
    query = "select epoch(event_time), success, seconds, user_hash is not null from events where kind = 'inference'"
    connection = History(store_at(place.url))
    assert sorted(connection.table(query).rows, key=str) == sorted(
        [
            (1774900000.0, True, 0.25, True),
            (1774900000.0, True, 0.25, True),
            (1774900000.123, False, 0.25, True),
            (1774900000.0, True, 0.25, False),
            (1774900000.0, True, 0.25, True),
        ],
        key=str,
    )
    refused = connection.table("select line from rejected").rows
    assert "ann" not in str(refused), "what was refused keeps no name either"


def test_a_log_in_our_own_words_needs_no_mapping(place, tmp_path):
    own = [line("check", NOW - timedelta(days=1), model_id="org/a", success=True) for _ in range(3)]
    (tmp_path / "log.jsonl").write_bytes(b"".join(own))
    for _ in range(2):
        assert run(place, "import", str(tmp_path / "log.jsonl")).output.startswith("3 events")
    count = History(store_at(place.url)).table(
        "select count(*), count(distinct event_id) from events where kind = 'check'"
    )
    assert count.rows == ((3, 3),)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"event_time": "$.at"}, "nothing of kind"),
        ({**MAPPING, "colour": "$.x"}, "colour is no field"),
        ({**MAPPING, "seconds": {"factor": 2}}, "needs `path`"),
        (MAPPING, "needs a salt"),
    ],
    ids=["incomplete", "unknown field", "no path", "no salt"],
)
def test_a_mapping_that_cannot_be_followed_is_refused_before_anything_is_read(tmp_path, mapping, expected):
    (tmp_path / "log").write_text(log_line())
    with pytest.raises(MappingError, match=expected):
        import_log(store_at(tmp_path / "store"), tmp_path / "log", mapping)
    assert not (tmp_path / "store").exists()

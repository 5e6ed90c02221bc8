"""The laws of one event and of the door: what may enter, what may not and why, and that the page says the same."""

import ast
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

import analytics
from analytics.columns import columns
from analytics.documents import PAGE, ROOT, events_page, main, stale
from analytics.events import Event, event_id
from analytics.kinds import KINDS
from analytics.schemas import CLOCK_SKEW, judge, read_lines
from analytics.sqlfiles import named_queries, views
from tests.analytics.histories import NOW, line
from tests.builders import no_deadline

VALUES = {"success": True, "status": "available", "size_bytes": 5}


def event(kind, **fields):
    needed = {name: VALUES.get(name, "word") for name in KINDS[kind].required}
    return Event(kind=kind, event_time=NOW, **{**needed, **fields})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_passes_the_door_and_makes_a_sentence(kind):
    made = event(kind)
    judged = judge(read_lines([made.line()]), NOW)
    assert (len(judged.accepted), judged.rejected) == (1, ())
    assert made.sentence().endswith(".")
    assert "{" not in made.sentence()
    assert made.payload()["kind"] == kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.failure], ids=lambda kind: kind.name)
def test_a_failure_says_something_else(kind):
    assert event(kind.name, success=False).sentence() != event(kind.name, success=True).sentence()


@pytest.mark.parametrize(
    ("kind", "name"), [(kind.name, name) for kind in KINDS.values() for name in kind.required], ids=lambda part: part
)
def test_what_a_kind_needs_is_asked_for_at_both_doors(kind, name):
    with pytest.raises(ValidationError, match=name):
        event(kind, **{name: None})
    fields = json.loads(event(kind).line())
    del fields[name]
    [refused] = judge(read_lines([json.dumps(fields).encode()]), NOW).rejected
    assert refused.reason == f"{name}: its kind needs it"


def test_every_kind_and_its_name_on_the_stream_stand_once():
    assert len({kind.event for kind in KINDS.values()}) == len(KINDS)
    known = {column.name for column in columns()}
    for kind in KINDS.values():
        assert {*kind.required, *kind.usual} <= known
        assert not {*kind.required} & {*kind.usual}


IMPOSSIBLE = {
    "negative bytes": ({"bytes_fetched": -1}, "bytes_fetched: less than 0"),
    "negative time": ({"seconds": -0.5}, "seconds: less than 0"),
    "a score over 1": ({"score": 1.01}, "score: more than 1"),
    "a target below 0": ({"target": -0.1}, "target: less than 0"),
    "a time in the future": ({"event_time": (NOW + CLOCK_SKEW + timedelta(seconds=1)).isoformat()}, "in the future"),
    "a time before computers": ({"event_time": "1999-12-31T23:59:59Z"}, "before 2000"),
    "a time without a zone": ({"event_time": "2026-03-01T00:00:00"}, "no time zone"),
    "a time that is none": ({"event_time": "yesterday"}, "no event"),
    "an infinite time": ({"seconds": float("inf")}, "not a number"),
    "no number": ({"seconds": float("nan")}, "not a number"),
    "a text for a number": ({"seconds": "1"}, "seconds is a str"),
    "a number for a truth": ({"success": 1}, "success is a int"),
    "more bytes than there are": ({"size_bytes": 2**63}, "64 bits"),
    "no id": ({"event_id": None}, "event_id: missing"),
    "an id of another form": ({"event_id": "42"}, "event_id: not an id"),
    "no kind": ({"kind": None}, "kind: missing"),
    "a kind with a blank": ({"kind": "lo ad"}, "kind: not a kind"),
    "a sixth status": ({"status": "fine"}, "not one of the five"),
    "an endless text": ({"source": "x" * 1001}, "source: too long"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_is_refused_with_its_reason_and_its_neighbours_enter(name):
    change, reason = IMPOSSIBLE[name]
    good = [line("load", NOW, model_id="org/a", success=True) for _ in range(3)]
    bad = json.dumps({**json.loads(good[0]), "event_id": event_id("run", "task", 1, "load"), **change}).encode()
    judged = judge(read_lines([good[0], bad, *good[1:]]), NOW)
    assert len(judged.accepted) == 3
    [refused] = judged.rejected
    assert reason in refused.reason
    assert refused.line == bad.decode()


@pytest.mark.parametrize("text", [b"", b"  \n"], ids=["nothing", "blanks"])
def test_an_empty_line_is_no_event_and_no_fault(text):
    judged = judge(read_lines([text]), NOW)
    assert (len(judged.accepted), judged.rejected) == (0, ())


@pytest.mark.parametrize("text", [b"{", b"[]", b"1", b"null", b"\xff\xfe", b'{"a":' * 5000])
def test_what_is_no_object_is_refused(text):
    [refused] = judge(read_lines([text]), NOW).rejected
    assert refused.reason.startswith("no event")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", "\x00", "load"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_names = st.sampled_from([column.name for column in columns()] + ["unknown"])


@no_deadline
@given(st.dictionaries(_names, _json, max_size=6))
@example({"model_id": "org/\ud800"})
@example({"details": "\ud800"})
@example({"unknown": {"\ud800": "\ud800"}})
def test_whatever_a_line_says_it_enters_or_is_refused(fields):
    """A line that made the door fail would stand in the way of all others for ever."""
    text = json.dumps({**json.loads(line("load", NOW, model_id="org/a", success=True)), **fields}).encode()
    judged = judge(read_lines([text]), NOW)
    assert len(judged.accepted) + len(judged.rejected) == 1


def test_the_clock_of_another_machine_may_be_a_little_ahead():
    judged = judge(read_lines([line("load", NOW + CLOCK_SKEW, model_id="org/a", success=True)]), NOW)
    assert len(judged.accepted) == 1


def test_what_a_newer_writer_knows_is_kept():
    judged = judge(read_lines([line("dream", NOW, colour="green", schema_version=2, details={"a": 1})]), NOW)
    [row] = judged.accepted.to_dicts()
    assert (row["kind"], row["schema_version"]) == ("dream", 2)
    assert json.loads(row["details"]) == {"a": 1, "colour": "green"}


def test_an_event_sent_twice_in_one_batch_enters_once():
    one = line("load", NOW, model_id="org/a", success=True)
    assert len(judge(read_lines([one, one]), NOW).accepted) == 1


@no_deadline
@given(st.datetimes(datetime.fromisoformat("2000-01-02"), datetime.fromisoformat("2026-03-30")), st.integers(-12, 14))
def test_times_of_every_zone_are_kept_as_the_same_moment_in_utc(local, offset):
    moment = local.replace(tzinfo=timezone(timedelta(hours=offset)))
    made = Event(kind="load", event_time=moment, model_id="org/a", success=True)
    as_number = line("load", "x", model_id="org/a", success=True).replace(
        b'"x"', str((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)).encode()
    )
    frame = judge(read_lines([made.line(), as_number]), NOW).accepted
    assert frame["event_time"].to_list() == [moment, moment]
    assert frame["date"].to_list() == [moment.astimezone(UTC).date()] * 2


def test_a_resend_has_the_same_id_and_a_second_attempt_another():
    first = event_id("flow", "task", 1, "download", 0)
    assert first == event_id("flow", "task", 1, "download", 0)
    others = [("flow", "task", 2, "download", 0), ("flow", "task", 1, "repair", 0), ("flow", "task", 1, "download", 1),
              ("flow", "other", 1, "download", 0), ("other", "task", 1, "download", 0)]  # fmt: skip
    assert len({first, *(event_id(*parts) for parts in others)}) == 6
    assert event_id(None, None, None, "load") != event_id(None, None, None, "load")


def test_the_page_in_the_repository_is_fresh():
    assert stale(ROOT) == "", "run: python -m analytics.documents"


def test_the_page_tells_every_kind_field_view_and_query():
    page = events_page()
    for name in [*KINDS, *(column.name for column in columns()), *named_queries()]:
        assert f"| `{name}` |" in page
    assert all(f"| `{file.name}" in page for file in views())


def test_check_fails_until_the_page_is_made(tmp_path):
    run = CliRunner().invoke
    assert run(main, ["--check", "--root", str(tmp_path)]).exit_code == 1
    assert run(main, ["--root", str(tmp_path)]).exit_code == 0
    assert run(main, ["--check", "--root", str(tmp_path)]).exit_code == 0
    (tmp_path / PAGE).write_text("another page")
    assert "another page" in run(main, ["--check", "--root", str(tmp_path)]).output


def test_the_room_imports_nothing_of_ours():
    ours = {"availability", "benchmarks", "commands", "deployments", "flows", "service", "tasks", "tests"}
    for file in Path(ROOT, "analytics").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & ours, file


def test_the_face_is_lazy_and_no_name_on_it_is_a_module():
    code = "import analytics, sys; print(any(m in sys.modules for m in ('duckdb', 'polars', 'pandera', 'pydantic')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    modules = {file.stem for file in Path(ROOT, "analytics").glob("*.py")}
    assert not modules & set(analytics.__all__)
    assert all(getattr(analytics, name) for name in analytics.__all__)

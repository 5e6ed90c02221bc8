"""The law of the history under Prefect: runs record and ship, a store that is away fails none, and people see it."""

import json
from pathlib import Path

import pytest

import analytics
from analytics import events
from availability import status, usage
from flows.check_health import check_health
from flows.ensure_models import ensure_models
from flows.report_health import report_health
from flows.report_usage import report_usage
from flows.ship_events import ship_events
from service.faults import Fault
from tests.builders import WEIGHTS, flipped
from tests.flows.conftest import EndedRun
from tests.prefect_api import wait_for

pytestmark = pytest.mark.prefect

TINY = "org/tiny"


@pytest.fixture
def history(store):
    """Where the events go."""
    return store.with_name("store.availability") / "history"


@pytest.fixture
def spool(store):
    return store.with_name("store.availability") / "spool"


def asked(history, question):
    with analytics.connect(str(history)) as connection:
        return connection.table(question).rows


def spooled(spool):
    return [json.loads(line) for segment in spool.glob("*.jsonl") for line in segment.read_bytes().splitlines()]


def test_a_run_records_and_ships_under_its_own_id(run, history, spool):
    ended = run(models=[TINY])
    rows = asked(history, "select kind, run_id, success, store from events order by event_time")
    assert [row[:3] for row in rows] == [
        ("request", ended.id, True),
        ("download", ended.id, True),
        ("available", ended.id, None),
        ("status", ended.id, None),
    ]
    assert spooled(spool) == []  # a segment goes when all of it is shipped and nobody writes to it


def test_events_of_a_run_have_ids_that_follow_from_it(run, history):
    ended = run(models=[TINY])
    ready = EndedRun(ended.api, ensure_models(models=[TINY], return_state=True))
    found = dict(asked(history, "select run_id || kind || coalesce(action, ''), event_id from events"))
    # What a model on its road tells is told between the tasks; what a task has seen is told by that task.
    assert found[f"{ended.id}requestdownload_started"] == events.event_id(ended.id, None, 1, "request", TINY)
    (observe,) = [task for task in ready.tasks if task["name"].startswith("observe")]
    assert found[f"{ready.id}requestmodel_ready"] == events.event_id(ready.id, observe["id"], 1, "request", TINY)


def test_a_failure_is_shipped_like_anything_else(run, hub, history, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES", "1")
    hub.faults.append(Fault("status", "/api/models/.*", status=503))
    assert run(models=[TINY]).state.type == "FAILED"
    rows = asked(history, "select kind, success, attempts, error_kind from events where success is not null order by 1")
    assert rows == (
        ("download", False, 2, "SourceUnavailableError"),
        ("request", False, None, "DownloadFailedError"),
    )


def test_a_store_that_is_away_fails_no_run_and_keeps_the_spool(run, spool, tmp_path, monkeypatch):
    (tmp_path / "no folder").write_text("a file")
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_URL", str(tmp_path / "no folder/history"))
    ended = run(models=[TINY])
    assert ended.state.type == "COMPLETED"
    assert [row["kind"] for row in spooled(spool)] == ["request", "download", "available", "status"]
    logs = wait_for(lambda: [log for log in ended.api.logs(ended.id) if "stay in the spool" in log["message"]])
    assert str(spool) in logs[0]["message"]


def test_switched_off_a_run_records_and_ships_nothing(run, spool, history, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS", "false")
    ended = run(models=[TINY])
    assert ended.state.type == "COMPLETED"
    skipped = ship_events(return_state=True)
    assert (skipped.type, skipped.name) == ("COMPLETED", "Skipped")
    assert not spool.exists()
    assert not history.exists()


def test_sweeps_leave_an_inventory_and_what_they_found(run, api, hub, history):
    blob = (run(models=[TINY]).outcome.path / WEIGHTS).resolve()
    hub.close()
    blob.write_bytes(flipped(blob.read_bytes(), 5))
    checked = EndedRun(api, check_health(everything=True, mode="share", share="1/1", force=True, return_state=True))
    reported = EndedRun(api, report_health(return_state=True))
    rows = asked(history, "select run_id, kind, model_id, status, error_kind from events order by event_time")
    of_check = [row[1:] for row in rows if row[0] == checked.id]
    assert ("finding", TINY, None, "flipped_range") in of_check
    assert of_check.count(("status", TINY, "corrupted", None)) == 2  # when it was found, and in the inventory
    assert ("storage", None, None, None) in of_check
    of_report = [row[1:] for row in rows if row[0] == reported.id]
    assert sorted(of_report, key=str) == [("status", TINY, "corrupted", None), ("storage", None, None, None)]


def test_what_programs_reported_is_shipped_by_the_hour_and_tended_by_the_day(api, history):
    usage._forget()  # another test's place
    with usage.load(TINY):
        pass
    done = EndedRun(api, ship_events(return_state=True))
    assert (
        done.state.message
        == "1 events shipped, 0 refused; 1 days put in order; 1 events published in marts/usage.duckdb"
    )
    assert (history / "marts/usage.duckdb").exists()
    assert status(TINY).as_dict()["uses_per_day"] == 1.0
    with usage.load(TINY):
        pass
    again = ship_events(return_state=True)
    assert again.message == "1 events shipped, 0 refused"  # the day's work is done
    forced = ship_events(tidy=True, return_state=True)
    assert "2 events published" in forced.message
    wait_for(lambda: status(TINY).as_dict()["uses_per_day"] == 2.0)


@pytest.mark.usefixtures("api", "store")
def test_a_history_that_cannot_be_reached_fails_the_run_whose_task_it_is(tmp_path, monkeypatch):
    usage._forget()
    (tmp_path / "no folder").write_text("a file")
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_URL", str(tmp_path / "no folder/history"))
    with usage.load(TINY):
        pass
    ended = ship_events(return_state=True)
    assert ended.type == "FAILED"
    assert "cannot be used" in ended.message


def test_the_report_is_an_artifact_with_its_pictures_and_a_file_of_its_own(run, api, tmp_path):
    run(models=[TINY])
    ended = EndedRun(api, report_usage(output=str(tmp_path / "deep/report.html"), return_state=True))
    assert ended.state.type == "COMPLETED"
    artifact = ended.artifacts["usage-report"]
    assert artifact["type"] == "markdown"
    assert "![Downloads by source](data:image/svg+xml;base64," in artifact["data"]
    page = Path(tmp_path / "deep/report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert TINY in page


def test_a_report_of_nothing_says_what_to_do(api, store):
    ended = EndedRun(api, report_usage(return_state=True))
    assert ended.state.type == "COMPLETED"
    assert "Nothing is recorded yet" in ended.artifacts["usage-report"]["data"]
    assert (store.with_name("store.availability") / "usage-report.html").exists()

"""The law of `availability usage`, and of the process that a command leaves behind to ship what it recorded."""

import fcntl
import json
import os
import signal
import time
from pathlib import Path

import pytest

import analytics
from analytics.spool import TENDING, Spool
from availability import open_workspace, status, usage
from commands.shipping import LOG, REST_SECONDS, start_shipper
from deployments.documents import ROOT
from tests.commands.running import run, run_installed
from tests.prefect_api import wait_for

pytestmark = pytest.mark.usefixtures("hub")

TINY = "org/tiny"
IN_BACKGROUND = "ENHANCED_MODEL_ANALYTICS_SHIP_IN_BACKGROUND"


@pytest.fixture
def state(store):
    return store.with_name("hub.availability")


@pytest.fixture
def shipping(monkeypatch):
    """Commands leave a process behind, as they do for users."""
    monkeypatch.setenv(IN_BACKGROUND, "true")


def spooled(state):
    return [json.loads(line) for file in (state / "spool").glob("*.jsonl") for line in file.read_bytes().splitlines()]


def kinds(state):
    with analytics.connect(str(state / "history")) as history:
        return [row[0] for row in history.table("select kind from events order by event_time").rows]


def log_of(state):
    """What the shipper has said when it has ended."""
    return wait_for(lambda: (state / LOG).exists() and (state / LOG).read_text())


# --- asking ---------------------------------------------------------------------------------------------


def test_a_question_knows_of_what_has_just_happened(state):
    run("ensure", TINY)
    asked = run("usage", "sql", "select kind, model_id, success from events where success order by kind", "--json")
    assert json.loads(asked.stdout) == [
        {"kind": "download", "model_id": TINY, "success": True},
        {"kind": "request", "model_id": TINY, "success": True},
    ]
    assert not Spool(state / "spool").has_news()


def test_a_question_to_another_history_leaves_the_spool_alone(state, tmp_path):
    run("ensure", TINY)
    asked = run("usage", "sql", "select 1", "--url", str(tmp_path / "other"))
    assert asked.exit_code == 2
    assert len(spooled(state)) == 4


def test_a_log_with_users_can_be_the_first_that_a_history_hears_of(state, tmp_path):
    log, mapping = tmp_path / "log.jsonl", tmp_path / "mapping.json"
    log.write_text('{"at": "2026-01-01T00:00:00Z", "who": "ann"}\n')
    rules = {"event_time": "$.at", "kind": "inference", "model_id": TINY, "success": True}
    mapping.write_text(json.dumps({**rules, "user_hash": {"path": "$.who", "hash": True}}))
    assert run("usage", "import", str(log), "--mapping", str(mapping)).exit_code == 0
    assert kinds(state) == ["inference"]


def test_a_history_that_cannot_be_written_still_answers_and_says_what_is_missing(state, tmp_path, monkeypatch):
    run("ensure", TINY)
    (tmp_path / "no folder").write_text("a file")
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_URL", str(tmp_path / "no folder/history"))
    asked = run("usage", "report", "--output", str(tmp_path / "report.html"))
    assert "they stay in the spool" in asked.stderr
    assert len(spooled(state)) == 4


def test_the_settings_say_how_long_events_are_kept(state, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_RETENTION_DAYS", "7")
    run("ensure", TINY)
    run("usage", "ship")
    assert run("usage", "retain").stdout == "0 files deleted\n"
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_RETENTION_DAYS", "0")
    refused = run("usage", "retain")
    assert refused.exit_code == 2
    assert "--days" in refused.stderr
    assert (state / "history").exists()


def test_tending_brings_the_figures_that_a_status_tells():
    run("ensure", TINY)
    usage._forget()
    for _ in range(3):
        with usage.load(TINY, size_bytes=1000):
            pass
    assert run("status", TINY, "--json").models[0]["uses_per_day"] is None
    assert (
        run("usage", "tend").stdout
        == "7 events shipped, 0 refused; 1 days put in order; 7 events published in marts/usage.duckdb\n"
    )
    (told,) = run("status", TINY, "--json").models
    assert told["uses_per_day"] == 3.0
    assert told["last_used"] is not None
    assert "uses a day" in run("status").stdout
    assert run("usage", "tend").stdout == "0 events shipped, 0 refused\n"


@pytest.mark.parametrize("first", ["the history is tended", "a program reports a load"])
def test_what_comes_to_the_history_first_does_not_keep_development_out(hub, tmp_path, monkeypatch, first):
    monkeypatch.setenv("ENHANCED_MODEL_PROFILE", "development")
    monkeypatch.setenv("ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY", str(tmp_path / "mine"))
    monkeypatch.setenv("ENHANCED_MODEL_HUB_ENDPOINT", hub.url)
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", str(ROOT / "deployments/catalog.sample.yaml"))
    if first == "the history is tended":
        run("usage", "tend")
    else:
        usage._forget()
        with usage.load(TINY):
            pass
    assert [*(tmp_path / "mine.availability").iterdir()]
    assert run("ensure", TINY).exit_code == 0


# --- the process that a command leaves behind -----------------------------------------------------------


@pytest.mark.usefixtures("shipping")
def test_a_command_leaves_a_process_that_ships_what_it_recorded(state):
    done = run_installed("ensure", TINY)
    assert (done.exit_code, done.stderr) == (0, "")
    assert log_of(state).startswith("4 events shipped, 0 refused")
    assert sorted(kinds(state)) == ["available", "download", "request", "status"]
    wait_for(lambda: not spooled(state))
    assert status(TINY).past.last_used is not None


@pytest.mark.usefixtures("shipping")
def test_it_works_where_the_command_did_whatever_its_options_were(tmp_path):
    run_installed("ensure", TINY, "--store", tmp_path / "elsewhere")
    assert log_of(tmp_path / "elsewhere.availability").startswith("4 events shipped")


def test_nothing_is_started_when_it_is_switched_off_or_nothing_waits_or_somebody_is_at_it(state, monkeypatch):
    here = open_workspace()
    assert not start_shipper(here)  # nothing was ever recorded
    run("ensure", TINY)
    assert not start_shipper(open_workspace())  # as the tests say for all commands
    monkeypatch.setenv(IN_BACKGROUND, "true")
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS", "false")
    assert not start_shipper(open_workspace())
    monkeypatch.delenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS")
    with (state / "spool" / TENDING).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not start_shipper(open_workspace())
    assert not (state / LOG).exists()
    assert start_shipper(open_workspace())
    log_of(state)
    wait_for(lambda: not spooled(state))


@pytest.mark.usefixtures("shipping")
def test_it_is_started_at_most_once_a_minute(state):
    run("ensure", TINY)
    log_of(state)
    wait_for(lambda: not spooled(state))
    run("ensure", TINY)
    assert not start_shipper(open_workspace())
    assert len(spooled(state)) == 1  # it goes with the next, or with a question
    earlier = time.time() - REST_SECONDS
    os.utime(state / LOG, (earlier, earlier))
    assert start_shipper(open_workspace())
    wait_for(lambda: not spooled(state))


@pytest.mark.usefixtures("shipping")
def test_a_history_that_is_away_is_told_in_its_log_and_to_nobody_else(state, tmp_path, monkeypatch):
    (tmp_path / "no folder").write_text("a file")
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_URL", str(tmp_path / "no folder/history"))
    done = run_installed("ensure", TINY)
    assert (done.exit_code, done.stderr) == (0, "")
    assert log_of(state).startswith("Error: The history at")
    assert len(spooled(state)) == 4


@pytest.mark.usefixtures("shipping")
def test_a_state_folder_that_is_not_ours_is_no_concern_of_a_command(state):
    run("ensure", TINY)
    log_of(state)
    (state / LOG).unlink()
    (state / LOG).mkdir()
    earlier = time.time() - REST_SECONDS
    os.utime(state / LOG, (earlier, earlier))
    assert run("ensure", TINY).exit_code == 0


def test_a_shipper_that_is_killed_loses_nothing(state, monkeypatch):
    monkeypatch.setenv(IN_BACKGROUND, "true")
    run("ensure", TINY)
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _is_shipper(process, state):
            os.kill(int(process.name), signal.SIGKILL)
    monkeypatch.setenv(IN_BACKGROUND, "false")
    run("usage", "ship")
    assert sorted(kinds(state)) == ["available", "download", "request", "status"]


def _is_shipper(process, state):
    try:
        return f"ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY={state}".encode() in (process / "environ").read_bytes()
    except OSError:
        return False

"""The law of `availability downloads`: what it lists, what it orders, and what it answers people and programs."""

import re

import pytest

from availability import downloads, open_workspace
from availability.controls import current_user
from availability.model import parse_model_id
from availability.orders import OrderKind
from service.faults import Fault
from tests.builders import KIB, WEIGHTS
from tests.commands.running import run, start_installed
from tests.prefect_api import PATIENCE_SECONDS, wait_for

TINY, OTHER = "org/tiny", "org/other"


@pytest.fixture
def running(hub, store):
    """A download that another process has begun, and that takes long."""
    assert store
    hub.faults.append(Fault("shape", WEIGHTS, bytes_per_second=16 * KIB))
    process = start_installed("ensure", TINY, "--json")
    wait_for(lambda: [one for one in downloads() if one.progress and one.progress.bytes_done])
    yield process
    process.kill()
    process.communicate()


def test_what_runs_is_listed_with_who_runs_it(running):
    ran = run("downloads", "list")
    assert ran.exit_code == 0
    assert re.search(
        rf"^{TINY} +downloading .* normal +{current_user()}@.*, process {running.pid}$", ran.stdout, re.MULTILINE
    )
    answer = run("downloads", "list", "--json")
    (entry,) = answer.models
    assert (entry["model_id"], entry["state"], entry["position"], entry["priority"]) == (
        TINY,
        "downloading",
        None,
        "normal",
    )
    assert 0 < entry["percent"] < 100
    assert answer.summary == {
        "running": 1,
        "queued": 0,
        "paused": 0,
        "slots": 3,
        "bandwidth_limit_mbps": 0,
        "exit_code": 0,
    }


@pytest.mark.usefixtures("running")
def test_what_waits_is_listed_with_its_place_and_when_its_turn_comes(monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_CONCURRENT_DOWNLOADS", "1")
    waiting = start_installed("downloads", "start", OTHER, "--priority", "low")
    wait_for(lambda: len(downloads()) == 2)
    entry = run("downloads", "list", "--json").models[1]
    assert (entry["model_id"], entry["state"], entry["position"], entry["priority"]) == (OTHER, "queued", 1, "low")
    assert entry["starts_in_seconds"] > 0
    ran = run("downloads", "list")
    assert f"{OTHER}: its turn comes in about " in ran.stdout
    ran = run("downloads", "priority", OTHER, "critical")
    assert (ran.exit_code, "critical" in ran.stdout) == (0, True)
    assert run("downloads", "cancel", OTHER).exit_code == 0
    assert waiting.wait(PATIENCE_SECONDS) == 1
    assert "cancelled by" in waiting.communicate()[1]


def test_pause_and_resume_from_the_command_line(running, hub):
    paused = run("downloads", "pause", TINY, "--json")
    assert paused.exit_code == 0
    told = running.communicate()[0]
    assert running.returncode == 1
    assert "DownloadPausedError" in told
    ran = run("downloads", "list")
    assert f"{TINY}: paused by {current_user()} since " in ran.stdout
    assert f"availability downloads resume {TINY}" in ran.stdout
    assert run("downloads", "list", "--json").summary["paused"] == 1

    again = run("ensure", TINY)
    assert again.exit_code == 1
    assert f"paused by {current_user()}" in again.stderr
    assert f"To do: Let it go on: availability downloads resume {TINY}" in again.stderr

    hub.faults.clear()
    resumed = run("downloads", "resume", TINY, "--json")
    assert (resumed.exit_code, resumed.models[0]["success"]) == (0, True)
    assert run("downloads", "list").stdout == "Nothing runs, waits or is paused.\n"
    assert f"{TINY} " in run("downloads", "list", "--all").stdout


def test_a_pause_can_be_lifted_without_starting_anything(hub):
    order = open_workspace().orders.give(OrderKind.PAUSE, parse_model_id(TINY), by="ann")
    lifted = run("downloads", "resume", TINY, "--no-start")
    assert lifted.exit_code == 0
    assert open_workspace().orders.standing(OrderKind.PAUSE, order.model) is None
    assert hub.requests == []


def test_a_limit_is_shown_once_the_download_keeps_it(running):
    ran = run("downloads", "limit", TINY, "0.5")
    assert (ran.exit_code, f"{TINY}: ordered; what runs follows within a second" in ran.stdout) == (0, True)
    wait_for(lambda: downloads()[0].limit_mbps == 0.5)
    assert "0.5 Mbit/s" in run("downloads", "list").stdout
    assert running.poll() is None


@pytest.mark.parametrize(
    "order",
    [["pause", "org/nobody"], ["resume", TINY], ["cancel", TINY], ["priority", TINY, "high"], ["limit", TINY, "5"]],
    ids=lambda order: order[0],
)
def test_an_order_that_nothing_is_meant_by_is_refused_and_changes_nothing(hub, store, order):
    ran = run("downloads", *order, "--json")
    assert (ran.exit_code, ran.models, ran.summary["exit_code"]) == (1, [], 1)
    assert ran.summary["error"]["type"] == "NoDownloadError"
    assert run("downloads", *order).stderr.startswith("Error: ")
    assert hub.requests == []
    assert not store.with_name("hub.availability").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["priority", TINY, "urgent"],
        ["limit", TINY, "fast"],
        ["limit", TINY, "-1"],
        ["limit", TINY, "nan"],
        ["pause"],
        ["hurry", TINY],
        ["pause", "no id"],
        ["start", TINY, "--bandwidth-limit-mbps", "inf"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_and_changes_nothing(hub, store, words):
    ran = run("downloads", *words, "--json")
    assert ran.exit_code == 2
    assert ran.summary["error"]["message"]
    assert hub.requests == []
    assert not store.with_name("hub.availability").exists()


def test_start_downloads_in_this_process(hub, store):
    ran = run("downloads", "start", TINY, OTHER, "--priority", "high", "--json")
    assert ran.exit_code == 0
    assert [model["success"] for model in ran.models] == [True, True]
    assert store.exists()
    assert hub.requests

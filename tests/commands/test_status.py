"""The law of `availability status`: the disk alone, null where nothing is known, and the five words."""

import signal

import pytest

from availability.inventory import RunningRecord, StatusRecord
from commands.status import StatusSummary
from service.faults import Fault
from tests.commands.running import run, run_installed, start_installed
from tests.prefect_api import wait_for

pytestmark = pytest.mark.usefixtures("hub")

FIELDS_OF_A2 = {
    "model_id",
    "availability_status",
    "size_mb",
    "integrity_score",
    "performance_score",
    "last_health_check",
    "missing_files",
    "damaged_ranges",
    "current_revision",
    "latest_revision",
    "update_available",
    "last_used",
    "download",
    "next_steps",
}
NOT_KNOWN_YET = {"performance_score", "latest_revision", "update_available", "last_used"}


def status(*arguments):
    return run("status", *arguments, "--json")


def test_the_answer_has_exactly_its_keys():
    run("ensure", "org/tiny")
    answer = status("org/tiny", "org/absent", "nonsense").answer
    assert set(answer) == {"models", "summary"}
    assert set(answer["summary"]) == set(StatusSummary.__annotations__)
    assert all(set(model) == set(StatusRecord.__annotations__) for model in answer["models"])
    assert set(StatusRecord.__annotations__) >= FIELDS_OF_A2


def test_a_ready_model_is_told_with_what_is_proven():
    made = run("ensure", "org/tiny", "--json").models[0]
    (model,) = status("org/tiny").models
    assert (model["availability_status"], model["is_available"]) == ("available", True)
    assert (model["path"], model["current_revision"]) == (made["path"], made["commit"])
    assert model["size_mb"] == round(made["bytes_total"] / 1e6, 3)
    assert model["integrity_score"] == 1.0
    assert model["last_health_check"].endswith("+00:00")
    assert (model["download"], model["next_steps"], model["error"]) == (None, [], None)


def test_what_nobody_knows_is_null_and_never_a_number():
    run("ensure", "org/tiny")
    ready, absent = status("org/tiny", "org/absent").models
    assert {name for name in NOT_KNOWN_YET if ready[name] is not None} == set()
    unknown = NOT_KNOWN_YET | {"path", "size_mb", "integrity_score", "last_health_check", "current_revision"}
    assert {name for name in unknown if absent[name] is not None} == set()
    assert absent["availability_status"] == "missing"


def test_it_asks_no_network_and_needs_none(hub):
    run("ensure", "org/tiny")
    hub.reset_counters()
    assert status("org/tiny", "org/absent").exit_code == 1
    assert hub.count() == 0
    hub.close()
    ran = run_installed("status", "org/tiny", "--json", HF_HUB_OFFLINE="1")
    assert (ran.exit_code, ran.models[0]["availability_status"]) == (0, "available")


def test_without_a_name_everything_the_disk_and_the_catalog_know_is_shown(working_folder):
    run("ensure", "org/tiny", "org/other")
    (working_folder / "catalog.yaml").write_text("version: 1\nmodels:\n  - id: org/wanted\n")
    (working_folder / ".env").write_text("ENHANCED_MODEL_CATALOG=catalog.yaml\n")
    ran = status()
    assert [model["model_id"] for model in ran.models] == ["org/other", "org/tiny", "org/wanted"]
    assert (ran.summary["available"], ran.summary["missing"], ran.summary["exit_code"]) == (2, 1, 1)


def test_the_total_is_what_the_disk_holds(store):
    run("ensure", "org/tiny", "org/other")
    held = {
        name: sum(path.stat().st_blocks * 512 for path in (store / f"models--org--{name}" / "blobs").iterdir())
        for name in ("tiny", "other")
    }
    assert status().summary["total_storage_mb"] == round(sum(held.values()) / 1e6, 3)
    assert status("org/tiny").summary["total_storage_mb"] == round(held["tiny"] / 1e6, 3)


def test_a_name_that_no_hub_knew_is_not_remembered():
    run("ensure", "org/absent")
    assert status().models == []


def test_a_model_that_failed_is_remembered_as_missing(hub):
    hub.faults.append(Fault("status", "/resolve/", status=503))
    run("ensure", "org/tiny", "--max-retries", 0)
    (model,) = status().models
    assert model["availability_status"] == "missing"
    assert model["next_steps"] == ["Fetch it: availability ensure org/tiny"]


def test_a_changed_file_is_no_longer_proven(store):
    run("ensure", "org/tiny")
    weights = next(store.rglob("snapshots/*/model.safetensors")).resolve()
    weights.write_bytes(weights.read_bytes())
    (model,) = status("org/tiny").models
    assert (model["availability_status"], model["path"]) == ("missing", None)
    assert model["unverified_files"] == ["model.safetensors"]
    assert 0 < model["integrity_score"] < 0.01
    assert model["next_steps"] == ["Have it proven, without a download: availability ensure org/tiny"]


def test_a_removed_file_is_named(store):
    run("ensure", "org/tiny")
    next(store.rglob("snapshots/*/config.json")).unlink()
    (model,) = status("org/tiny").models
    assert (model["availability_status"], model["missing_files"]) == ("missing", ["config.json"])


ENDS = {
    "available": (["org/tiny"], 0),
    "one is not": (["org/tiny", "org/absent"], 1),
    "nobody knows the name": (["nonsense"], 1),
    "no id": (["not an id"], 2),
    "no such option": (["--frobnicate"], 2),
    "everything there is": ([], 0),
}


@pytest.mark.parametrize(("arguments", "exit_code"), ENDS.values(), ids=ENDS)
def test_the_exit_code_says_whether_all_are_available(arguments, exit_code):
    run("ensure", "org/tiny")
    ran = status(*arguments)
    assert (ran.exit_code, ran.summary["exit_code"]) == (exit_code, exit_code)


def test_a_store_that_cannot_be_looked_into_leaves_it_open(tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = status("--store", tmp_path / "file" / "store")
    assert (ran.exit_code, ran.models) == (3, [])
    assert "Not a directory" in ran.summary["error"]["message"]


def test_an_unknown_name_is_told_with_the_near_ones_beside_the_known():
    run("ensure", "org/tiny")
    known, unknown = status("org/tiny", "tinny").models
    assert (known["error"], unknown["error"]["type"]) == (None, "ModelNotFoundError")
    assert "Did you mean org/tiny?" in unknown["error"]["message"]


def test_people_read_a_table_the_sums_and_the_next_step(store):
    run("ensure", "org/tiny")
    ran = run("status", "org/tiny", "org/absent")
    assert "org/tiny    available" in ran.stdout
    assert f"1 available, 1 missing; 3.2 MB in {store}" in ran.stdout
    assert "org/absent: Fetch it: availability ensure org/absent" in ran.stdout


def test_a_running_download_is_told_with_its_figures(hub):
    hub.faults.append(Fault("shape", "/resolve/", bytes_per_second=100_000))
    running = start_installed("ensure", "org/tiny")
    try:
        model = wait_for(
            lambda: next((m for m in status("org/tiny").models if (m["download"] or {}).get("bytes_done")), None)
        )
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate()
    download = model["download"]
    assert set(download) == set(RunningRecord.__annotations__)
    assert (model["availability_status"], download["state"]) == ("downloading", "downloading")
    assert 0 < download["bytes_done"] < download["bytes_total"]
    assert download["percent"] == round(100 * download["bytes_done"] / download["bytes_total"], 2)
    assert status("org/tiny").models[0]["availability_status"] == "missing"

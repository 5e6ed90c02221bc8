"""The laws of the main flow: its steps, its retries, its state, on a real Prefect server and a hub that misbehaves."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from prefect import flow

from availability import cancel, open_workspace, progress
from availability.catalog import Catalog
from availability.errors import DownloadFailedError, ModelNotFoundError
from availability.requests import requests_for
from deployments.sample import write_model
from flows.ensure_models import conclude, ensure_requests
from service.faults import Fault
from tests.builders import CONFIG, KIB, MIB, NESTED, WEIGHTS, flipped, stored_bytes, write_tiny_model
from tests.flows.conftest import EndedRun
from tests.prefect_api import wait_for

pytestmark = pytest.mark.prefect

TINY = "org/tiny"
FILES = (CONFIG, NESTED, WEIGHTS)
FOR_EVER = Fault("status", CONFIG, status=503)
REQUESTS_AN_ATTEMPT = 4
"""One, and three immediate reconnects."""


def same_files(store, published, repo_id=TINY):
    return all(stored_bytes(store, path, repo_id) == stored_bytes(published, path, repo_id) for path in FILES)


def test_a_missing_model_is_a_task_that_takes_every_step_and_then_needs_none(run, hub, store, published):
    first = run(models=[TINY])
    assert (first.state.type, first.state.message) == ("COMPLETED", "1 of 1 models verified")
    assert first.steps == ["observe", "download org/tiny"]
    assert [*first.outcome.step_seconds] == ["plan", "fetch", "check", "publish"]
    assert same_files(store, published)
    assert first.outcome.download_id == first.id
    assert first.outcome.bytes_fetched == first.outcome.bytes_total == hub.bytes_sent("/resolve/")

    hub.reset_counters()
    second = run(models=[TINY])
    assert second.state.message == "1 of 1 models verified"
    assert second.steps == ["observe"]
    assert hub.requests == []
    assert (second.outcome.path, second.outcome.attempts) == (first.outcome.path, 0)
    assert second.artifacts.keys() == {"ensure-models"}


def test_a_damaged_file_is_found_and_repaired_by_its_range(run, hub, store, published):
    blob = (run(models=[TINY]).outcome.path / WEIGHTS).resolve()
    blob.write_bytes(flipped(blob.read_bytes(), MIB + 5))
    hub.reset_counters()
    repaired = run(models=[TINY])
    assert repaired.steps == ["observe", "download org/tiny"]
    assert [*repaired.outcome.step_seconds] == ["plan", "check", "repair", "confirm", "publish"]
    assert repaired.state.is_completed()
    assert same_files(store, published)
    assert hub.bytes_sent("/resolve/") == repaired.outcome.bytes_fetched == MIB
    assert repaired.artifacts["progress-org-tiny"]["data"] == 100.0


def test_one_models_failure_stops_no_other_and_the_state_tells_the_truth(run, published, store):
    write_tiny_model(published, "org/other", seed=1)
    ended = run(models=["org/lost", TINY, "org/other"])
    assert ended.state.type == "FAILED"
    assert ended.state.message.startswith("2 of 3 models verified. Model 'org/lost' was not found")
    assert [outcome.success for outcome in ended.outcomes] == [False, True, True]
    assert same_files(store, published)
    assert same_files(store, published, "org/other")
    rows = {row["model"]: row for row in ended.table()}
    assert {model: row["status"] for model, row in rows.items()} == {
        "org/lost": "missing",
        TINY: "available",
        "org/other": "available",
    }
    assert rows[TINY]["error"] == ""
    assert rows[TINY]["fetched (MB)"] == rows[TINY]["size (MB)"] == round(ended.outcomes[1].bytes_total / 1e6, 1)
    assert "was not found" in rows["org/lost"]["error"]
    assert "Check the spelling" in rows["org/lost"]["what to do"]
    assert ended.artifacts["ensure-models"]["description"].startswith("**2 of 3 models verified**")


class Cracked:
    """The hub for every model but one, at which it fails in a way that no rule of ours knows."""

    def __init__(self, source):
        self.name = source.name
        self.open = source.open
        self._source = source

    def listing(self, model):
        if model.repo_id == TINY:
            raise ZeroDivisionError("a mistake of ours")
        return self._source.listing(model)


def test_what_nobody_foresaw_is_told_and_stops_no_other(api, published, store):
    write_tiny_model(published, "org/other", seed=1)

    @flow
    def trial():
        workspace = open_workspace()
        vars(workspace)["source"] = Cracked(workspace.source)
        requests, _ = requests_for(workspace, Catalog(), [TINY, "org/other"])
        return conclude(ensure_requests(workspace, Catalog(), requests))

    ended = EndedRun(api, trial(return_state=True))
    assert ended.state.type == "FAILED"
    assert ended.state.message == "1 of 2 models verified. org/tiny: ZeroDivisionError: a mistake of ours"
    assert [outcome.success for outcome in ended.outcomes] == [False, True]
    assert same_files(store, published, "org/other")
    assert ended.task("download org/tiny")["run_count"] == 1
    wait_for(lambda: [log for log in api.logs(ended.id) if "nobody foresaw" in log["message"]])


def test_a_record_that_cannot_be_read_is_that_models_failure_alone(run, published, store):
    write_tiny_model(published, "org/other", seed=1)
    run(models=[TINY])
    (record,) = store.with_name("store.availability").glob("records/models--org--tiny/*.json")
    record.unlink()
    record.mkdir()
    ended = run(models=[TINY, "org/other"])
    assert ended.state.type == "FAILED"
    assert "Is a directory" in ended.state.message
    assert [outcome.success for outcome in ended.outcomes] == [False, True]


@pytest.mark.parametrize(
    ("route", "burst", "listings"),
    [("/api/models/org/tiny/tree", 1, 2), (CONFIG, REQUESTS_AN_ATTEMPT + 2, 1)],
    ids=["plan", "fetch"],
)
def test_a_burst_longer_than_the_reconnects_is_one_retry_of_prefect(run, hub, route, burst, listings):
    hub.faults.append(Fault("status", route, status=503, times=burst))
    ended = run(models=[TINY])
    assert ended.state.is_completed()
    task = ended.task("download org/tiny")
    assert task["run_count"] == 2
    # What an earlier attempt has found out is not asked for again.
    assert hub.count("/api/models/org/tiny/tree") == listings
    assert (ended.outcome.attempts, ended.outcome.total_retries) == (2, 1)
    assert ended.table()[0]["attempts"] == 2
    (waiting,) = (state for state in ended.api.states(task) if state["name"] == "AwaitingRetry")
    assert waiting["state_details"]["scheduled_time"] > waiting["timestamp"]


def test_a_retry_of_the_repair_is_counted_too(run, hub, store, published):
    blob = (run(models=[TINY]).outcome.path / WEIGHTS).resolve()
    blob.write_bytes(flipped(blob.read_bytes(), 5))
    hub.faults.append(Fault("flip", WEIGHTS, offsets=(7,), times=1))
    ended = run(models=[TINY])
    assert ended.state.is_completed()
    assert ended.task("download org/tiny")["run_count"] == ended.outcome.attempts == 2
    assert same_files(store, published)


def test_retries_end_after_as_many_as_were_asked_for(run, hub, store):
    hub.faults.append(FOR_EVER)
    ended = run(models=[TINY], max_retries=2)
    assert ended.state.type == "FAILED"
    assert ended.task("download org/tiny")["run_count"] == ended.outcome.attempts == 3
    assert hub.count(CONFIG) == 3 * REQUESTS_AN_ATTEMPT
    error = ended.outcome.error
    assert isinstance(error, DownloadFailedError)
    assert error.retry_count == 2
    assert [tried.partition(":")[0] for tried in error.tried[:3]] == ["attempt 1", "attempt 2", "attempt 3"]
    assert "after 3 attempts" in ended.state.message
    assert [path for path in store.glob("models--org--tiny/[rs]*/*") if path.name != ".staging"] == []


def test_no_retries_means_none(run, hub):
    hub.faults.append(FOR_EVER)
    ended = run(models=[TINY], max_retries=0)
    assert ended.state.type == "FAILED"
    assert ended.task("download org/tiny")["run_count"] == ended.outcome.attempts == 1
    assert hub.count(CONFIG) == REQUESTS_AN_ATTEMPT


def test_what_cannot_pass_is_not_retried(run, hub):
    ended = run(models=["org/lost"])
    assert ended.task("download org/lost")["run_count"] == 1
    assert isinstance(ended.outcome.error, ModelNotFoundError)
    assert hub.count("org/lost") == 1


def test_a_dry_run_shows_files_and_bytes_and_writes_nothing(run, hub, store):
    ended = run(models=[TINY], dry_run=True)
    assert (ended.state.type, ended.state.message) == ("COMPLETED", "1 of 1 models planned; nothing was written")
    rows = ended.table("ensure-models-dry-run")
    assert {row["file"]: row["what would happen"] for row in rows} == dict.fromkeys(FILES, "fetch")
    assert ended.steps == []
    assert hub.bytes_sent("/resolve/") == 0
    assert not store.exists()
    assert not store.with_name("store.availability").exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_unknown_alias_is_refused_and_the_rest_goes_on(run, hub, dry_run):
    ended = run(models=["tinny", TINY], dry_run=dry_run)
    assert ended.state.type == "FAILED"
    assert "'tinny' was not found" in ended.state.message
    assert hub.count("tinny") == 0
    assert hub.count("/api/models/org/tiny") > 0


def test_without_names_it_looks_after_the_whole_catalog(run, published, store, tmp_path, monkeypatch):
    write_tiny_model(published, "org/other", seed=1)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(f"version: 1\nmodels:\n  - id: {TINY}\n  - id: org/other\n    include: [config.json]\n")
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", str(catalog))
    ended = run()
    assert ended.state.message == "2 of 2 models verified"
    assert same_files(store, published)
    assert [path.name for path in (store / "models--org--other/snapshots").glob("*/*")] == [CONFIG]


def test_what_a_hub_calls_its_files_is_no_html_of_ours(run, published):
    write_model(published, "org/hostile", {"a <b>&.json": b"{}"})
    ended = run(models=["org/hostile"], dry_run=True)
    assert [row["file"] for row in ended.table("ensure-models-dry-run")] == ["a &lt;b&gt;&amp;.json"]


def test_a_feature_that_is_switched_off_starts_nothing_and_says_so(run, hub, store, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_ENHANCED_DOWNLOADS", "false")
    ended = run(models=[TINY])
    assert ended.state.type == "FAILED"
    assert "enhanced_downloads is switched off" in ended.state.message
    assert ended.steps == ["observe", "fallback"]
    assert hub.requests == []
    assert not store.exists()


def test_progress_ends_at_all_of_it_and_is_on_the_event_stream(run, hub):
    hub.faults.append(Fault("shape", WEIGHTS, bytes_per_second=MIB))
    ended = run(models=[TINY])
    artifact = ended.artifacts["progress-org-tiny"]
    assert (artifact["type"], artifact["data"]) == ("progress", 100.0)
    assert "completed" in artifact["description"]
    events = ended.progress_events(last="completed")
    figures = [event["payload"]["bytes_done"] for event in events]
    total = ended.outcome.bytes_total
    assert figures == sorted(figures)
    assert 0 < figures[0] < figures[-1] == total
    assert {event["resource"]["prefect.resource.id"] for event in events} == {"availability.model.org/tiny"}
    times = [datetime.fromisoformat(event["occurred"]) for event in events[:-1]]
    assert all(later - earlier > timedelta(seconds=0.9) for earlier, later in pairwise(times))
    last = events[-1]["payload"]
    assert {name: last[name] for name in ("model_id", "revision", "download_id", "percent", "bytes_fetched")} == {
        "model_id": TINY,
        "revision": "main",
        "download_id": ended.id,
        "percent": 100.0,
        "bytes_fetched": total,
    }


def test_a_download_that_somebody_cancels_ends_and_is_not_retried(run, hub):
    hub.faults.append(Fault("shape", WEIGHTS, bytes_per_second=64 * KIB))
    with ThreadPoolExecutor(1) as bystander:
        cancelled = bystander.submit(wait_for, lambda: progress(TINY) and cancel(TINY))
        ended = run(models=[TINY])
    assert cancelled.result()
    assert ended.state.type == "CANCELLED"
    assert "cancelled by" in ended.state.message
    assert ended.task("download org/tiny")["run_count"] == ended.outcome.attempts == 1
    assert ended.progress_events(last="cancelled")[-1]["payload"]["percent"] < 100

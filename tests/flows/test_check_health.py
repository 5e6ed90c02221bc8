"""The law of the flow check_health: what is wrong is found offline, told truly and once, and nothing is repaired."""

import os

import pytest

from availability.errors import UsageError
from flows.check_health import check_health
from flows.ensure_models import ensure_models
from tests.builders import CONFIG, MIB, WEIGHTS, flipped, write_tiny_model
from tests.flows.conftest import EndedRun

pytestmark = pytest.mark.prefect

TINY = "org/tiny"
REPAIR_BY = "ENHANCED_MODEL_HEALTH_AUTO_REPAIR_ENABLED"


@pytest.fixture
def stocked(run, hub):
    """A store with the model; the hub it came from is gone."""
    blob = (run(models=[TINY]).outcome.path / WEIGHTS).resolve()
    hub.close()
    return blob


def check(api, **parameters):
    return EndedRun(api, check_health(**parameters, return_state=True))


def damage(blob, offset=MIB + 5, *, keep_time):
    before = blob.stat()
    blob.write_bytes(flipped(blob.read_bytes(), offset))
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns + (0 if keep_time else 1_000_000_000)))


@pytest.mark.usefixtures("stocked")
def test_what_is_intact_is_said_to_be_so_without_the_hub(api):
    ended = check(api, models=[TINY], mode="full", force=True)
    assert (ended.state.type, ended.state.message) == ("COMPLETED", "1 of 1 models healthy, 100% of the bytes judged")
    assert ended.steps == ["check"]
    (row,) = ended.table("check-health")
    assert (row["model"], row["status"], row["coverage"], row["findings"]) == (TINY, "available", "100%", "")
    assert row["health"].startswith("healthy")
    assert ended.told("model.corrupted") == []


@pytest.mark.parametrize("keep_time", [True, False], ids=["its time is the same", "its time is new"])
def test_a_damaged_byte_fails_the_run_and_is_told_once(api, stocked, keep_time):
    damage(stocked, keep_time=keep_time)
    ended = check(api, models=[TINY, f"{TINY}@main"], mode="full", force=True)
    assert ended.state.type == "FAILED"
    assert ended.state.message.startswith("0 of 1 models healthy, 100% of the bytes judged. org/tiny: flipped_range ")
    (row,) = ended.table("check-health")
    assert (row["status"], row["findings"]) == ("corrupted", f"flipped_range {WEIGHTS}")
    event = ended.event("model.corrupted")
    assert event["resource"]["prefect.resource.id"] == "model.org/tiny"
    assert event["resource"]["availability.repair"] == event["payload"]["auto_repair_enabled"] == "auto"
    assert (event["payload"]["model_id"], event["payload"]["revision"]) == (TINY, "main")
    (finding,) = event["payload"]["findings"]
    assert (finding["kind"], finding["ranges"]) == ("flipped_range", [[MIB, 2 * MIB]])


def test_a_quick_check_is_blind_to_a_byte_and_not_to_a_link(api, stocked):
    damage(stocked, keep_time=True)
    assert check(api, models=[TINY], mode="quick").state.message == "1 of 1 models healthy, 0% of the bytes judged"
    stocked.unlink()
    ended = check(api, models=[TINY], mode="quick")
    assert ended.state.is_failed()
    assert ended.table("check-health")[0]["findings"] == f"dangling_link {WEIGHTS}"


@pytest.mark.parametrize(
    ("word", "to_do"),
    [
        ("off", "Repair it: availability repair org/tiny"),
        ("ask", "Start the deployment repair-model, with org/tiny in the field model of its form."),
        ("auto", "Nothing: the deployment repair-model starts by itself."),
    ],
)
def test_who_repairs_is_what_the_setting_says(api, stocked, monkeypatch, word, to_do):
    monkeypatch.setenv(REPAIR_BY, word)
    stocked.unlink()
    ended = check(api, models=[TINY], mode="quick")
    assert ended.state.message.endswith(to_do)
    assert ended.table("check-health")[0]["what to do"] == to_do
    event = ended.event("model.corrupted")
    assert event["resource"]["availability.repair"] == word


@pytest.mark.usefixtures("stocked")
def test_what_cannot_be_checked_fails_the_run_and_stops_no_other(api):
    ended = check(api, models=["tinny", "org/lost", TINY], mode="full")
    assert ended.state.is_failed()
    assert ended.state.message.startswith("1 of 3 models healthy")
    assert "'tinny' was not found" in ended.state.message
    rows = {row["model"]: row for row in ended.table("check-health")}
    assert [*rows] == ["tinny", "org/lost", TINY]
    assert "availability ensure org/lost" in rows["org/lost"]["what to do"]
    assert rows["org/lost"]["health"] == "not checked"
    assert ended.told("model.corrupted") == []


def test_the_worst_model_stands_first(api, run, published):
    write_tiny_model(published, "org/a", seed=1)
    ended = run(models=["org/a", TINY])
    (ended.outcomes[1].path / CONFIG).unlink()
    ended = check(api, everything=True, mode="quick")
    assert [row["model"] for row in ended.table("check-health")] == [TINY, "org/a"]


@pytest.mark.usefixtures("stocked")
def test_a_time_box_ends_it_and_the_next_run_goes_on(api):
    ended = check(api, models=[TINY], mode="full", force=True, max_minutes=1e-9)
    assert (ended.state.type, ended.state.message) == (
        "COMPLETED",
        "1 of 1 models healthy, 0% of the bytes judged, stopped early",
    )
    assert check(api, models=[TINY], mode="full").state.message.endswith("100% of the bytes judged")


@pytest.mark.usefixtures("stocked")
def test_a_young_result_is_used_again_unless_it_is_forced(api):
    parameters = {"models": [TINY], "mode": "full"}
    check(api, **parameters)
    assert check(api, **parameters).table("check-health")[0]["read (MB)"] == 0.0
    assert check(api, **parameters, force=True).table("check-health")[0]["read (MB)"] > 3


@pytest.mark.usefixtures("store")
def test_an_empty_store_has_nothing_to_check(api):
    ended = check(api, everything=True)
    assert (ended.state.type, ended.artifacts) == ("COMPLETED", {})
    assert ended.state.message.startswith("Nothing to check")


def test_on_its_schedule_it_does_nothing_when_the_feature_is_off(api, stocked, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_HEALTH_MONITORING", "false")
    stocked.unlink()
    assert check(api, everything=True).state.name == "Skipped"
    assert check(api, models=[TINY]).state.is_failed()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "parameters",
    [{"share": "2"}, {"mode": "full", "share": "1/7"}, {"mode": "quick", "within_days": 3}],
    ids=["no share", "a share of all", "days for what reads nothing"],
)
def test_what_contradicts_itself_is_refused(api, parameters):
    ended = check(api, **parameters)
    assert ended.state.is_failed()
    with pytest.raises(UsageError):
        ended.state.result()


def test_a_model_that_was_brought_is_told_to_be_available(api, run):
    first = run(models=[TINY])
    event = first.event("model.available")
    assert event["resource"]["prefect.resource.id"] == "model.org/tiny"
    assert event["payload"]["size_bytes"] == first.outcome.bytes_total
    again = EndedRun(api, ensure_models(models=[TINY], return_state=True))
    assert again.told("model.available") == []

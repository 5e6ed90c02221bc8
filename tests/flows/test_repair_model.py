"""The law of the flow repair_model: the least is fetched, the state tells what was seen afterwards, no loop begins."""

import pytest
from prefect.client.orchestration import get_client

from deployments.automate import put_automations, read_automations, resolve
from flows.check_health import check_health
from flows.repair_model import repair_model
from service.faults import Fault
from tests.builders import MIB, WEIGHTS, stored_bytes
from tests.flows.conftest import EndedRun
from tests.flows.test_check_health import TINY, damage
from tests.prefect_api import wait_for

pytestmark = pytest.mark.prefect


@pytest.fixture
def damaged(run, hub):
    """A store whose model has a byte turned over, which no check has seen yet."""
    blob = (run(models=[TINY]).outcome.path / WEIGHTS).resolve()
    damage(blob, keep_time=True)
    hub.reset_counters()
    return blob


def repair(api, **parameters):
    return EndedRun(api, repair_model(**{"model": TINY} | parameters, return_state=True))


@pytest.mark.usefixtures("damaged")
def test_only_the_damaged_chunk_is_fetched_and_the_next_check_finds_nothing(api, hub, store, published):
    ended = repair(api)
    assert (ended.state.type, ended.state.message) == (
        "COMPLETED",
        "org/tiny: repaired with 1 actions, 1.0 MB fetched",
    )
    (outcome,) = ended.state.result()
    assert outcome.repair_id == ended.id
    assert hub.bytes_sent("/resolve/") == outcome.bytes_fetched == MIB
    assert stored_bytes(store) == stored_bytes(published)
    assert ended.steps == ["repair org/tiny"]
    (row,) = ended.table("repair-model")
    assert (row["action"], row["result"], row["files"]) == ("refetch_ranges", "done", WEIGHTS)
    event = ended.event("model.repaired")
    assert event["resource"]["prefect.resource.id"] == "model.org/tiny"
    assert (event["payload"]["success"], event["payload"]["bytes_fetched"]) == (True, MIB)
    # Its checks before and after start nothing.
    assert ended.told("model.corrupted") == []
    checked = check_health(models=[TINY], mode="full", force=True, return_state=True)
    assert checked.is_completed()


@pytest.mark.usefixtures("damaged")
def test_a_dry_run_shows_the_actions_and_writes_nothing(api, hub, tmp_path):
    def files():
        folders = (tmp_path / "store", tmp_path / "store.availability")
        return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}

    before = files()
    ended = repair(api, dry_run=True)
    assert ended.state.message == "org/tiny: 1 actions planned, 1.0 MB would be fetched; nothing was written"
    assert ended.state.is_completed()
    assert [row["result"] for row in ended.table("repair-model")] == ["planned"]
    assert files() == before
    assert hub.count() == 0


def test_what_is_intact_is_left_alone_and_not_said_to_be_repaired(api, run, hub):
    run(models=[TINY])
    hub.close()
    ended = repair(api)
    assert (ended.state.type, ended.state.message) == ("COMPLETED", "org/tiny: intact, nothing to repair")
    assert ended.told("model.repaired") == []


@pytest.mark.usefixtures("damaged")
def test_a_repair_that_did_not_succeed_fails_and_says_what_to_do(api, hub, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES", "1")
    hub.faults.append(Fault("status", WEIGHTS, status=503))
    ended = repair(api)
    assert ended.state.is_failed()
    assert ended.state.message.startswith("org/tiny: not repaired.")
    assert ended.task("repair org/tiny")["run_count"] == 1
    assert [row["result"] for row in ended.table("repair-model")] == ["failed"]
    assert ended.told("model.corrupted") == []
    assert ended.told("model.repaired") == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("name", "said"), [("tinny", "was not found"), ("org/lost", "cannot be checked")])
def test_a_model_that_nobody_has_is_refused(api, hub, name, said):
    ended = repair(api, model=name)
    assert ended.state.is_failed()
    assert said in ended.state.message
    assert hub.count() == 0


# --- all that is corrupted ------------------------------------------------------------------------------


def sweep(api, **parameters):
    return EndedRun(api, repair_model(**parameters, return_state=True))


@pytest.fixture
def found(damaged):
    """A store whose damage a check has found, and whose event nobody has seen."""
    check_health(models=[TINY], mode="full", force=True, return_state=True)
    return damaged


@pytest.mark.usefixtures("store")
def test_without_a_model_and_without_damage_there_is_nothing_to_do(api, hub):
    ended = sweep(api)
    assert (ended.state.type, ended.state.message) == ("COMPLETED", "Nothing is corrupted, so nothing was repaired")
    assert hub.count() == 0


@pytest.mark.usefixtures("found")
def test_the_first_run_over_all_says_what_it_would_do_and_the_next_one_does_it(api, hub, store, published):
    first = sweep(api)
    assert first.state.message == "org/tiny: 1 actions planned, 1.0 MB would be fetched; nothing was written"
    assert hub.count() == 0
    second = sweep(api)
    assert second.state.message == "org/tiny: repaired with 1 actions, 1.0 MB fetched"
    assert [row["model"] for row in second.table("repair-model")] == ["org/tiny"]
    assert stored_bytes(store) == stored_bytes(published)
    assert second.event("model.repaired")
    hub.reset_counters()
    assert sweep(api).state.message == "Nothing is corrupted, so nothing was repaired"
    assert hub.count() == 0


@pytest.mark.usefixtures("found")
def test_the_first_run_does_it_where_somebody_says_so(api, store, published):
    assert "repaired with 1 actions" in sweep(api, dry_run=False).state.message
    assert stored_bytes(store) == stored_bytes(published)


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("HEALTH_AUTO_REPAIR_ENABLED=ask", "auto_repair_enabled is ask: 1 models are corrupted"),
        ("HEALTH_AUTO_REPAIR_ENABLED=off", "auto_repair_enabled is off: 1 models are corrupted"),
        ("FEATURES_HEALTH_MONITORING=false", "health_monitoring is switched off"),
    ],
)
def test_where_the_system_may_not_repair_it_says_so_and_does_nothing(api, hub, monkeypatch, setting, said):
    monkeypatch.setenv(*f"ENHANCED_MODEL_{setting}".split("="))
    ended = sweep(api)
    assert (ended.state.type, ended.state.name) == ("COMPLETED", "Skipped")
    assert ended.state.message.startswith(said)
    assert hub.count() == 0


# --- by an event ----------------------------------------------------------------------------------------


@pytest.fixture
def deployment(api):
    """The flow as deployed, with the automation that starts it."""
    made = repair_model.to_deployment(repair_model.name).apply()
    (spec,) = (each for each in read_automations() if each["name"] == "repair-what-is-corrupted")
    with get_client(sync_client=True) as client:
        put_automations(client, [resolve(spec, {"repair-model/repair-model": made}, None)])
        yield str(made)
        put_automations(client, [])
    api.delete(f"/deployments/{made}")


def test_what_a_check_found_starts_the_repair_only_where_the_setting_says_auto(api, deployment, run, monkeypatch):
    (run(models=[TINY]).outcome.path / WEIGHTS).unlink()

    def started():
        return api.post("/flow_runs/filter", deployments={"id": {"any_": [deployment]}})

    def check(word):
        monkeypatch.setenv("ENHANCED_MODEL_HEALTH_AUTO_REPAIR_ENABLED", word)
        ended = EndedRun(api, check_health(models=[TINY], mode="quick", force=True, return_state=True))
        assert ended.event("model.corrupted")

    check("off")
    check("ask")
    check("auto")
    # Events are taken in their order: had the first two started anything, it would be here before the third's.
    (repair_run,) = wait_for(started)
    assert repair_run["parameters"] == {"model": f"{TINY}@main"}
    repaired = EndedRun(api, repair_model(**repair_run["parameters"], return_state=True))
    assert repaired.state.is_completed()
    assert repaired.event("model.repaired")
    assert len(started()) == 1

"""The law of fallback in the main flow: visible, by the catalog's policy, named as such, and over when it is over."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

import analytics
from availability import ensure, open_workspace
from availability.fallback.decision import FallbackKind
from deployments.sample import write_model
from flows.ensure_models import ensure_models
from service.faults import Fault
from tests.builders import WEIGHTS
from tests.flows.deployed import deployed
from tests.prefect_api import wait_for

pytestmark = pytest.mark.prefect

WANTED, TWIN = "org/wanted", "org/twin"
REFUSES = Fault("status", "org/wanted", status=503)
CHAT = {
    "task": "text-generation",
    "licence": "mit",
    "format": "safetensors",
    "capabilities": ["chat", "<b>bold</b>"],
}


@pytest.fixture
def published(tmp_path):
    store = tmp_path / "published"
    for seed, name in enumerate((WANTED, TWIN)):
        write_model(store, name, {"config.json": b"{}", WEIGHTS: 1000}, seed=seed)
    return store


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    """Write the catalog with this policy for the wanted model."""
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", str(tmp_path / "catalog.yaml"))
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES", "0")

    def write(substitution: str, **attributes: object) -> Path:
        wanted = {**CHAT, "compatible_with": {TWIN: 0.9}, **attributes}
        models = [
            {"id": WANTED, "substitution": substitution, "attributes": wanted},
            {"id": TWIN, "attributes": CHAT},
        ]
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump({"version": 1, "models": models}))

    return write


def fallback_rows(ended):
    return json.loads(ended.artifacts["fallback"]["data"])


def test_with_auto_a_stand_in_is_taken_named_and_told_and_it_ends_by_itself(run, hub, catalog):
    catalog("auto")
    ensure(TWIN)
    hub.faults.append(REFUSES)
    ended = run(models=[WANTED])
    assert ended.steps == ["observe", "download org/wanted", "fallback"]
    assert (ended.state.type, ended.state.name) == ("FAILED", "Substituted")
    assert ended.state.message.startswith("0 of 1 models verified, 1 substituted (org/wanted by org/twin). ")

    outcome = ended.outcome
    assert (str(outcome.stand_in), outcome.success, outcome.path) == (TWIN, False, None)
    assert (outcome.stand_in_path / WEIGHTS).exists()
    told = outcome.as_dict()
    assert (told["substituted"], told["served_model"]) == (True, TWIN)
    assert told["fallback_decision"]["kind"] == "alternative_model"

    (row,) = ended.table()
    assert (row["served by"], row["status"]) == (TWIN, "missing")
    assert "1 substituted" in ended.artifacts["ensure-models"]["description"]
    first, second = fallback_rows(ended)
    assert (first["way"], first["stand-in"], first["taken"]) == ("alternative_model", TWIN, "by policy")
    assert (first["compatibility"], first["capability"], first["requirement"]) == (0.9, 1, 1)
    assert second["way"] == "download_and_retry"
    event = ended.event("model.fallback")
    assert (event["payload"]["substitute"], event["payload"]["error_kind"]) == (TWIN, "network")
    assert "what is lost" in first

    # The same again is no new decision.
    assert run(models=[WANTED]).told("model.fallback") == []

    hub.faults.clear()
    back = run(models=[WANTED])
    assert back.state.message == "1 of 1 models verified"
    over = back.event("model.fallback.outcome")
    assert over["payload"]["decision_id"] == event["payload"]["decision_id"]
    assert (over["payload"]["success"], over["payload"]["substitute"]) == (True, TWIN)
    assert [*open_workspace().decisions.all()] == []
    with analytics.connect(str(open_workspace().state / "history")) as connection:
        rows = connection.table(
            "select kind, action, substitute, success from events where decision_id is not null"
        ).rows
    assert sorted(rows, key=str) == [
        ("fallback", "alternative_model", TWIN, None),
        ("fallback_outcome", "alternative_model", TWIN, True),
    ]


def test_a_stand_in_that_is_not_here_is_fetched_in_the_same_run(run, hub, store, catalog):
    catalog("auto")
    hub.faults.append(REFUSES)
    ended = run(models=[WANTED])
    assert ended.state.name == "Substituted"
    assert ended.outcome.stand_in_path.is_relative_to(store / "models--org--twin")
    assert "download org/twin" in [task["name"] for task in ended.tasks]


@pytest.mark.parametrize("substitution", ["never", "off"])
def test_without_leave_nothing_is_sought(run, hub, catalog, monkeypatch, substitution):
    catalog("auto" if substitution == "off" else "never")
    if substitution == "off":
        monkeypatch.setenv("ENHANCED_MODEL_FEATURES_INTELLIGENT_FALLBACK", "false")
    ensure(TWIN)
    hub.faults.append(REFUSES)
    ended = run(models=[WANTED])
    assert (ended.state.type, ended.state.name) == ("FAILED", "Failed")
    assert ended.outcome.stand_in is None
    if substitution == "off":
        assert ended.outcome.fallback is None
        assert "fallback" not in ended.artifacts
        wait_for(
            lambda: [
                log for log in ended.api.logs(ended.id) if "intelligent_fallback is switched off" in log["message"]
            ]
        )
    else:
        assert ended.outcome.fallback.kind is FallbackKind.DOWNLOAD_AND_RETRY
        assert [row["way"] for row in fallback_rows(ended)] == ["download_and_retry"]


def pause_of(api):
    """The form of the run that waits for an answer: its id, its fields, what stands above them."""
    (run,) = wait_for(
        lambda: api.post("/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["PAUSED"]}}}, limit=2)
    )
    keys = run["state"]["state_details"]["run_input_keyset"]
    said = {}
    for name in ("schema", "description"):
        filters = {"flow_run_id": run["id"], "prefix": keys[name], "limit": 1, "exclude_keys": []}
        (kept,) = wait_for(lambda filters=filters: api.post(f"/flow_runs/{run['id']}/input/filter", **filters))
        said[name] = json.loads(kept["value"])
    return run["id"], said["schema"]["properties"], said["description"]


def test_ask_is_a_form_in_the_run_with_the_decision_and_what_is_answered_holds(api, run, hub, catalog):
    catalog("ask")
    ensure(TWIN)
    hub.faults.append(REFUSES)
    with ThreadPoolExecutor(1) as person:
        answered = person.submit(answer_form, api, TWIN)
        ended = run(models=[WANTED])
    (field, description) = answered.result()
    assert (field["title"], field["enum"], field["default"]) == (WANTED, ["nobody", TWIN], "nobody")
    assert "Without an answer within 60 minutes nobody stands in." in description
    assert "| org/twin | 0.96 | ready |" in description
    assert ended.state.name == "Substituted"
    approval = ended.event("model.approval")
    assert (approval["payload"]["success"], approval["payload"]["decided_by"]) == (True, "person")
    event = ended.event("model.fallback")
    assert (event["payload"]["substitute"], event["payload"]["decided_by"]) == (TWIN, "person")
    # It holds: nobody is asked again.
    assert run(models=[WANTED]).state.name == "Substituted"


def answer_form(api, choice):
    run_id, fields, description = pause_of(api)
    refused = api.send(f"/flow_runs/{run_id}/resume", run_input={"stand_in_1": "org/nobody-offered"}).json()
    assert refused["status"] == "REJECT"
    api.post(f"/flow_runs/{run_id}/resume", run_input={"stand_in_1": choice})
    return fields["stand_in_1"], description


@pytest.mark.parametrize("default", ["decline", "accept"])
def test_without_an_answer_in_time_the_default_is_taken(run, hub, catalog, monkeypatch, default):
    monkeypatch.setenv("ENHANCED_MODEL_FALLBACK_APPROVAL_MINUTES", "0.03")
    monkeypatch.setenv("ENHANCED_MODEL_FALLBACK_APPROVAL_DEFAULT", default)
    catalog("ask")
    ensure(TWIN)
    hub.faults.append(REFUSES)
    ended = run(models=[WANTED])
    assert (ended.state.type, ended.state.name) == ("FAILED", "Failed" if default == "decline" else "Substituted")
    approval = ended.event("model.approval")
    assert (approval["payload"]["success"], approval["payload"]["decided_by"]) == (default == "accept", "default")


def test_what_may_pass_is_tried_again_later_by_one_run(run, hub, catalog):
    catalog("never")
    hub.faults.append(REFUSES)
    with deployed() as here:
        here.poll()
        for _ in range(2):
            run(models=[WANTED])
        (later,) = here.runs(ensure_models)
        assert later.parameters["models"] == [f"{WANTED}@main"]
        assert here.poll() == []
        assert [standing.attempts for standing in open_workspace().decisions.all()] == [1]
        # A run over the whole catalog comes again by its schedule.
        run()
        assert len(here.runs(ensure_models)) == 1


def test_a_last_copy_is_protected_until_the_hub_gives_it_again(run, hub, store, catalog):
    catalog("never")
    run(models=[WANTED])
    (snapshot,) = (store / "models--org--wanted/snapshots").iterdir()
    (snapshot / WEIGHTS).resolve().unlink()
    hub.faults.append(Fault("status", "org/wanted", status=404, headers={"X-Error-Code": "RepoNotFound"}))
    ended = run(models=[WANTED])
    assert ended.outcome.fallback.recovery.kind == "vanished"
    assert "the last one: it is protected from clean-up" in fallback_rows(ended)[0]["what is done"]
    assert open_workspace().last_copies.is_protected(ended.outcome.fallback.wanted)
    hub.faults.clear()
    run(models=[WANTED])
    assert not open_workspace().last_copies.is_protected(ended.outcome.fallback.wanted)


def test_what_a_catalog_holds_is_no_html_of_ours(run, hub, catalog):
    catalog("auto", capabilities=["chat", "<b>bold</b>", "<i>lost</i>"])
    ensure(TWIN)
    hub.faults.append(REFUSES)
    assert fallback_rows(run(models=[WANTED]))[0]["what is lost"] == "It lacks &lt;i&gt;lost&lt;/i&gt;."

"""The law of requests under Prefect: one run however many ask, queued is not started, and who waits is answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
import yaml
from prefect import flow, task

from availability import check, ensure, open_workspace
from availability.answer import ActionTaken
from availability.model import parse_model_id
from availability.sources.replica import ReplicaSource
from flows.ensure_models import ensure_models
from flows.repair_model import repair_model
from flows.request_model import request_model
from service.faults import Fault
from tests.builders import WEIGHTS, flipped, write_tiny_model
from tests.flows.conftest import EndedRun
from tests.flows.deployed import deployed
from tests.prefect_api import wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "store")]

TINY = "org/tiny"
DOWN = Fault("status", "/", status=503)


@pytest.fixture
def here():
    with deployed() as found:
        yield found


def ask(model=TINY, **parameters):
    return request_model(model, **parameters)


def ask_in_vain(here, hub):
    """Ask; what was begun fails, because the hub does not have the weights just then."""
    hub.faults.append(Fault("status", WEIGHTS, status=404))
    answer = ask()
    (state,) = here.run_due()
    assert state.is_failed()
    hub.faults.clear()
    return answer


def damage():
    """Flip a byte of the weights, which are fetched where they are not here."""
    blob = (ensure(TINY).path / WEIGHTS).resolve()
    blob.write_bytes(flipped(blob.read_bytes(), 5))


def test_a_model_that_is_here_is_answered_from_python(hub):
    ensure(TINY)
    hub.reset_counters()
    answer = ask()
    assert (answer.action_taken, answer.served) == (ActionTaken.MODEL_READY, answer.model)
    assert (answer.path / WEIGHTS).exists()
    assert hub.requests == []


def test_without_deployments_it_says_so_and_starts_nothing():
    answer = ask()
    assert answer.action_taken is ActionTaken.ERROR
    assert "ensure-models/ensure-models is not deployed" in answer.message
    assert answer.error.advice == ("Deploy it: prefect deploy --all",)


def test_many_who_ask_at_once_start_one_download_and_it_is_its_runs_id_and_its_records(here):
    here.poll()
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda _: copy_context().run(ask), range(4))]
    assert sorted(answer.action_taken.value for answer in answers) == ["download_in_progress"] * 3 + [
        "download_started"
    ]
    (run,) = here.runs(ensure_models)
    assert {answer.download_id for answer in answers} == {str(run.id)}
    (state,) = here.run_due()
    assert state.is_completed()
    ready = ask()
    assert ready.action_taken is ActionTaken.MODEL_READY
    assert open_workspace().controls.read(ready.model).download_id == str(run.id)


def test_with_no_worker_it_is_queued_and_says_why_and_when_one_comes_it_is_in_progress(here):
    first = ask()
    assert first.action_taken is ActionTaken.ERROR
    assert f"No worker polls the work pool {here.pool}: start one with `prefect worker start" in first.message
    assert (first.queue_position, first.resolution.decision.kind.value) == (1, "queue_and_wait")
    here.poll()
    second = ask()
    assert (second.action_taken, second.download_id) == (ActionTaken.DOWNLOAD_IN_PROGRESS, first.download_id)
    assert len(here.runs(ensure_models)) == 1


def test_after_a_download_that_failed_another_is_begun(here, hub):
    here.poll()
    first = ask_in_vain(here, hub)
    second = ask()
    assert second.action_taken is ActionTaken.DOWNLOAD_STARTED
    assert second.download_id != first.download_id


def test_a_damaged_model_is_repaired_by_one_run_and_served_again(here):
    damage()
    check([TINY])
    here.poll()
    first, second = ask(), ask()
    assert {first.action_taken, second.action_taken} == {ActionTaken.REPAIR_ATTEMPTED}
    (run,) = here.runs(repair_model)
    assert first.repair_id == second.repair_id == str(run.id)
    waiting = here.start(request_model, model=TINY, wait_minutes=30)
    assert here.run(waiting).name == "Suspended"
    here.run(run)
    assert [state.name for state in here.run_due()] == ["ModelReady"]


def test_after_a_repair_that_failed_another_is_begun_later_however_often_it_is_asked_for(here, hub):
    damage()
    check([TINY])
    here.poll()
    first = ask_in_vain(here, hub)
    later = [ask(), ask()]
    assert {answer.action_taken for answer in later} == {ActionTaken.ERROR}
    assert {answer.resolution is not None for answer in later} == {True}
    assert "The one before it failed; it begins in 30 minutes" in later[0].queue_reason
    (again,) = {answer.repair_id for answer in later}
    assert again != first.repair_id
    assert here.poll() == []
    assert len(here.runs(repair_model)) == 2


def test_a_hub_that_is_down_is_a_clear_decision_and_one_later_attempt(here, hub):
    here.poll()
    hub.faults.append(DOWN)
    answers = [ask("org/unknown") for _ in range(2)]
    assert {answer.action_taken for answer in answers} == {ActionTaken.ERROR}
    assert {answer.resolution.decision.kind.value for answer in answers} == {"download_and_retry"}
    assert "It is tried again by itself" in answers[0].queue_reason
    (run,) = here.runs(ensure_models)
    assert answers[0].download_id == answers[1].download_id == str(run.id)
    assert here.poll() == []  # not yet
    # The hub is back, and somebody asks: what was to be tried later is begun now.
    hub.faults.clear()
    answer = ask("org/tiny")
    assert answer.action_taken is ActionTaken.DOWNLOAD_STARTED


def test_with_the_hub_down_a_damaged_model_is_served_again_from_a_replica(here, hub, tmp_path, monkeypatch):
    ready = ensure(TINY)
    listing = open_workspace().source.listing(parse_model_id(TINY))
    replica = tmp_path / "replica"
    ReplicaSource(str(replica)).put(listing, {file.digest: ready.path / file.path for file in listing.files})
    monkeypatch.setenv("ENHANCED_MODEL_SOURCES_REPLICAS", str(replica))
    damage()
    hub.faults.append(DOWN)
    check([TINY])
    here.poll()
    assert ask().action_taken is ActionTaken.REPAIR_ATTEMPTED
    assert [state.name for state in here.run_due()] == ["Completed"]
    again = ask()
    assert (again.action_taken, (again.path / WEIGHTS).exists()) == (ActionTaken.MODEL_READY, True)
    unknown = ask("org/unknown")
    assert unknown.action_taken is ActionTaken.ERROR
    decision = unknown.resolution.decision
    assert (decision.kind.value, "503" in unknown.message) == ("download_and_retry", True)
    assert "It is tried again later." in [step.sentence for step in decision.recovery.steps]


def test_a_flow_of_ones_own_may_ask_and_is_not_failed_by_an_error():
    @task
    def use(path):
        return path is not None

    @flow
    def evaluation():
        answer = request_model("org/lost")
        return answer.action_taken.value, use(answer.path)

    assert evaluation() == ("error", False)


def test_from_the_ui_an_error_is_a_failed_run_that_shows_what_to_do(here, api, hub):
    hub.faults.append(DOWN)
    run = here.start(request_model, model=TINY)
    (state,) = here.run_due()
    assert (state.type, state.message.startswith("127.0.0.1")) == ("FAILED", True)
    shown = {row[""]: row["answer"] for row in json.loads(api.artifacts(str(run.id))["request-model"]["data"])}
    assert (shown["action_taken"], shown["requested_model"], shown["substituted"]) == ("error", TINY, "False")
    assert "what to do" in shown
    (row,) = json.loads(api.artifacts(str(run.id))["fallback"]["data"])
    assert (row["way"], row["model"]) == ("download_and_retry", TINY)
    assert "It is tried again later." in row["what is done"]


def test_ask_is_a_form_in_the_request_that_was_started_and_options_where_it_is_called(here, hub, tmp_path, monkeypatch):
    chat = {"task": "text-generation", "licence": "mit", "format": "safetensors", "capabilities": ["chat"]}
    wanted = {"id": TINY, "substitution": "ask", "attributes": {**chat, "compatible_with": {"org/twin": 0.9}}}
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(yaml.safe_dump({"version": 1, "models": [wanted, {"id": "org/twin", "attributes": chat}]}))
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", str(catalog))
    write_tiny_model(hub.library.store, "org/twin", seed=1)
    ensure("org/twin")
    hub.faults.append(DOWN)

    answer = ask()
    assert (answer.action_taken, answer.served) == (ActionTaken.ERROR, None)
    assert [str(option.model) for option in answer.resolution.decision.alternatives] == ["org/twin"]

    run = here.start(request_model, model=TINY)
    with ThreadPoolExecutor(1) as person:

        def answer_form():
            # It is refused until the run is paused, and a moment longer: until its form can be answered.
            wait_for(
                lambda: here.client.resume_flow_run(run.id, run_input={"stand_in_1": "org/twin"}).status == "ACCEPT"
            )

        answered = person.submit(answer_form)
        state = here.run(run)
        answered.result()
    assert state.name == "ModelReady"
    assert state.message.startswith("org/twin stands in for org/tiny: ")
    # What a person has said holds for whoever asks, until the model is back.
    assert str(ask().served) == "org/twin"


# --- waiting --------------------------------------------------------------------------------------------


def test_a_request_that_waits_has_no_process_and_is_answered_when_the_model_is_ready(here):
    here.poll()
    waiting = here.start(request_model, model=TINY, wait_minutes=30)
    (state,) = here.run_due()
    assert (state.type, state.name) == ("PAUSED", "Suspended")
    here.client.resume_flow_run(waiting.id)  # somebody wakes it too early
    assert here.run(waiting).name == "Suspended"
    (download,) = here.runs(ensure_models)
    assert here.run(download).is_completed()
    assert here.state(waiting.id).name == "Resuming"
    (state,) = here.run_due()
    assert (state.name, state.message) == ("ModelReady", "org/tiny is ready.")


@pytest.mark.slow
def test_a_waiting_request_has_no_process_and_a_real_worker_answers_it(here):
    here.poll()
    waiting = here.start(request_model, model=TINY, wait_minutes=30)
    assert [state.name for state in here.run_due()] == ["Suspended"]
    with here.worker():
        state = wait_for(lambda: (state := here.state(waiting.id)).is_final() and state, seconds=180)
    assert (state.name, state.message) == ("ModelReady", "org/tiny is ready.")
    assert len(here.runs(ensure_models)) == 1


def test_who_asks_from_python_and_waits_gets_a_run_that_waits_for_him(here):
    here.poll()
    answer = ask(wait_minutes=30, priority="high")
    assert answer.action_taken is ActionTaken.DOWNLOAD_STARTED
    (waiting,) = here.runs(request_model)
    assert answer.request_id == str(waiting.id)
    assert {"priority:high", "model:org/tiny@main"} <= {*waiting.tags}
    here.run(waiting)
    assert here.state(waiting.id).name == "Suspended"
    here.run_due()
    (state,) = here.run_due()
    assert state.name == "ModelReady"


def test_who_waits_goes_on_while_it_is_tried_again_and_is_told_when_it_is_not(here, hub):
    here.poll()
    hub.faults.append(Fault("status", WEIGHTS, status=404))
    waiting = here.start(request_model, model=TINY, wait_minutes=30)
    here.run_due()
    here.run_due()
    (later,) = (run for run in here.runs(ensure_models) if not run.state.is_final())
    assert [state.name for state in here.run_due()] == ["Suspended"]
    assert here.poll() == []  # who waits does not hurry what is tried again later
    here.client.delete_flow_run(later.id)
    here.client.resume_flow_run(waiting.id)
    (state,) = here.run_due()
    assert state.type == "FAILED"
    assert "but does not serve it" in state.message
    assert len(here.runs(ensure_models)) == 1


def test_no_more_may_wait_than_the_setting_says_and_the_urgent_are_answered_first(here, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FALLBACK_MAX_WAITING_REQUESTS", "2")
    here.poll()
    low, critical, refused = (
        here.start(request_model, model=TINY, wait_minutes=30, priority=priority)
        for priority in ("low", "critical", "high")
    )
    for run in (low, critical, refused):
        here.run(run)
    assert [here.state(run.id).name for run in (low, critical)] == ["Suspended", "Suspended"]
    assert "2 requests wait already" in here.state(refused.id).message
    here.run(here.runs(ensure_models)[0])
    resumed = [here.state(run.id).timestamp for run in (critical, low)]
    assert resumed == sorted(resumed)


def test_who_has_waited_long_enough_is_answered_as_it_stands(here):
    here.poll()
    here.start(request_model, model=TINY, wait_minutes=1e-6)
    (state,) = here.run_due()
    assert (state.name, state.type) == ("DownloadStarted", "COMPLETED")
    assert "It was waited for" in state.message


def test_every_request_is_told_as_an_event(api):
    ensure(TINY)
    ended = EndedRun(api, request_model(TINY, return_state=True))
    event = ended.event("model.requested")
    assert event["payload"]["action"] == "model_ready"
    assert event["payload"]["success"]
    assert event["resource"]["prefect.resource.id"] == "model.org/tiny"

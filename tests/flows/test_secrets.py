"""The law of the token: a Secret block's is used, and the server never hears of it."""

import pytest
from prefect.blocks.system import Secret

from service.faults import Fault, FaultyHub
from tests.builders import CONFIG
from tests.prefect_api import wait_for

pytestmark = pytest.mark.prefect

TOKEN = "hf_NobodyMayEverSeeThisOne0123456789"


@pytest.fixture
def hub(published):
    with FaultyHub(published, token=TOKEN, private=["org/tiny"]) as server:
        yield server


@pytest.fixture
def block(api, monkeypatch):
    assert api.get("/health")
    Secret(value=TOKEN).save("hub-token", overwrite=True)
    monkeypatch.setenv("ENHANCED_MODEL_HUB_TOKEN_SECRET_BLOCK", "hub-token")


def all_that_is_shown(ended):
    """Everything that the server keeps of a run, once its last log line and its last event are there."""
    run_id = ended.id
    wait_for(lambda: any("Finished in state" in log["message"] and not log["task_run_id"] for log in logs(ended)))
    wait_for(lambda: [event for event in ended.api.events(run_id) if event["event"].endswith(("Completed", "Failed"))])
    return str(
        [
            ended.api.get(f"/flow_runs/{run_id}"),
            ended.api.get(f"/flow_run_states/?flow_run_id={run_id}"),
            ended.tasks,
            [ended.api.states(task) for task in ended.tasks],
            ended.artifacts,
            ended.api.events(run_id),
            logs(ended),
        ]
    )


def logs(ended):
    return ended.api.logs(ended.id)


@pytest.mark.usefixtures("block")
def test_a_private_model_is_fetched_with_the_token_of_the_block(run, hub):
    ended = run(models=["org/tiny"])
    assert ended.state.is_completed()
    assert all(request.authorized for request in hub.requests)
    shown = all_that_is_shown(ended)
    assert "org/tiny" in shown
    assert TOKEN not in shown


@pytest.mark.usefixtures("block")
def test_a_run_that_fails_after_retries_does_not_tell_the_token(run, hub):
    hub.faults.append(Fault("status", CONFIG, status=503))
    ended = run(models=["org/tiny"], max_retries=1)
    assert ended.state.is_failed()
    shown = all_that_is_shown(ended)
    assert "503" in shown
    assert TOKEN not in shown


@pytest.mark.usefixtures("block")
def test_nothing_on_the_disk_holds_the_token(run, tmp_path):
    assert run(models=["org/tiny"]).state.is_completed()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []


def test_without_the_block_the_model_is_not_to_be_had(run):
    ended = run(models=["org/tiny"])
    assert ended.state.is_failed()
    assert "HF_TOKEN" in ended.table()[0]["what to do"]


def test_a_block_that_is_not_there_is_named(run, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_HUB_TOKEN_SECRET_BLOCK", "no-such-block")
    ended = run(models=["org/tiny"])
    assert ended.state.is_failed()
    assert "no-such-block" in ended.state.message

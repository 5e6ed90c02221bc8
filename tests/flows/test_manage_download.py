"""The laws of managing downloads from the UI: what runs in any run follows, and who ordered it is told."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from availability import cancel, downloads, open_workspace, pause, set_limit
from availability.catalog import Catalog, Priority
from availability.controls import DownloadState, current_user
from availability.ensure import ensure_all
from availability.model import parse_model_id
from availability.orders import OrderKind
from availability.requests import Request
from availability.selection import Selection
from flows.ensure_models import ensure_models
from flows.manage_download import manage_download
from service.faults import Fault
from tests.builders import CONFIG, KIB, WEIGHTS, write_tiny_model
from tests.flows.conftest import EndedRun
from tests.prefect_api import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.prefect

TINY, OTHER = "org/tiny", "org/other"
SLOW = Fault("shape", WEIGHTS, bytes_per_second=16 * KIB)


@pytest.fixture
def manage(api, store):
    """Run the flow here and return how it ended."""
    assert store
    return lambda action, model="", **fields: EndedRun(api, manage_download(action, model, **fields, return_state=True))


@pytest.fixture
def running(run, hub):
    """A run of `ensure_models` in a thread, while the block lasts."""
    hub.faults.append(SLOW)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run, models=[TINY])
        wait_for(lambda: [one for one in downloads() if one.progress and one.progress.bytes_done])
        yield future
        hub.faults.clear()


def test_what_there_is_is_listed_with_who_runs_it(manage, running):
    ended = manage("list")
    assert (ended.state.type, ended.state.message) == ("COMPLETED", "1 downloading")
    (row,) = ended.table("downloads")
    assert (row["model"], row["state"], row["place"]) == (TINY, "downloading", None)
    assert row["who"].startswith("flow run ")
    (entry,) = ended.returned["downloads"]
    assert entry["download_id"] in row["who"]
    manage("cancel", TINY)
    assert running.result().state.type == "CANCELLED"


def test_a_pause_ends_the_run_as_paused_and_says_who_did_it(manage, running):
    ordered = manage("pause", TINY)
    assert (ordered.state.type, ordered.returned["success"]) == ("COMPLETED", True)
    ended = running.result()
    assert (ended.state.type, ended.state.name) == ("CANCELLED", "Paused")
    assert "paused by flow run" in ended.state.message
    assert f"({ordered.id})" in ended.state.message
    order = open_workspace().orders.standing(OrderKind.PAUSE, parse_model_id(TINY))
    assert f"({ordered.id})" in order.by
    # The run that takes the order and the run that follows it tell of one and the same event.
    (told,) = wait_for(lambda: ordered.told("model.controlled") + ended.told("model.controlled"))
    payload = told["payload"]
    assert (payload["action"], payload["model_id"], payload["actor"]) == ("pause", TINY, order.by)
    assert told["id"] == order.order_id


def test_what_the_command_line_orders_is_told_by_the_run_that_follows_it(running):
    set_limit(TINY, 0.1)
    wait_for(lambda: downloads()[0].limit_mbps)
    cancel(TINY)
    ended = running.result()
    assert (ended.state.type, ended.state.name) == ("CANCELLED", "Cancelled")
    told = {event["payload"]["action"]: event["payload"] for event in ended.told("model.controlled", at_least=2)}
    assert told.keys() == {"limit", "cancel"}
    assert told["limit"]["details"]["value"] == 0.1
    assert {payload["actor"] for payload in told.values()} == {current_user()}


def test_a_cancel_ends_the_wait_for_a_retry_at_once(run, hub, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS", "600")
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRY_DELAY_SECONDS", "600")
    hub.faults.append(Fault("status", CONFIG, status=503))
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run, models=[TINY])
        wait_for(lambda: [one for one in downloads() if "another attempt" in (one.as_dict()["waiting"] or "")])
        assert cancel(TINY)
        # Its bound is for failures: the wait itself would take ten minutes.
        ended = future.result(timeout=PATIENCE_SECONDS)
    assert ended.state.type == "CANCELLED"
    assert ended.outcome.attempts == 1
    (state,) = (task["state"] for task in ended.tasks if task["name"] == f"download {TINY}")
    assert (state["type"], "cancelled by" in state["message"]) == ("CANCELLED", True)


def test_priority_and_limit_reach_what_runs_and_what_lacks_is_named(manage, running):
    assert manage("set_priority", TINY, priority="critical").state.is_completed()
    assert manage("set_limit", TINY, bandwidth_limit_mbps=0.2).state.is_completed()
    wait_for(lambda: (downloads()[0].priority, downloads()[0].limit_mbps) == ("critical", 0.2))
    for action in ("set_priority", "set_limit"):
        refused = manage(action, TINY)
        assert refused.state.type == "FAILED"
        assert "fill in the field" in refused.state.message
        assert refused.returned["success"] is False
    assert "fill in the field model_id" in manage("pause").state.message
    cancel(TINY)
    running.result()


@pytest.fixture
def deployed(api):
    """The deployment that `start` and `resume` run; nobody works on its runs here."""
    deployment = str(ensure_models.to_deployment("ensure-models").apply())
    yield deployment
    api.delete(f"/deployments/{deployment}")


def test_start_and_resume_start_a_run_with_what_was_asked_for(manage, deployed, api, hub):
    started = manage("start", TINY, priority="high", max_retries=1, bandwidth_limit_mbps=5)
    run_id = started.returned["download_id"]
    asked = api.get(f"/flow_runs/{run_id}")
    assert asked["deployment_id"] == deployed
    expected = {"models": [TINY], "priority": "high", "max_retries": 1, "bandwidth_limit_mbps": 5}
    assert expected.items() <= asked["parameters"].items()

    here = open_workspace()
    request = Request(parse_model_id(TINY), Selection(include=("*.json",)), Priority.LOW)
    hub.faults.append(Fault("latency", CONFIG, seconds=2.0))
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(ensure_all, here, [request], catalog=Catalog())
        wait_for(lambda: [one for one in downloads() if one.state is DownloadState.DOWNLOADING])
        pause(TINY)
        future.result()
    assert "Choose the action resume" in manage("start", TINY).state.message
    resumed = manage("resume", TINY)
    asked = api.get(f"/flow_runs/{resumed.returned['download_id']}")["parameters"]
    assert (asked["models"], asked["include"], asked["priority"]) == ([TINY], ["*.json"], "low")
    assert downloads() == []
    assert manage("resume", TINY).state.message.startswith(f"{TINY} is not paused.")


def test_without_a_deployment_nothing_is_started_and_nothing_lifted(manage):
    order = open_workspace().orders.give(OrderKind.PAUSE, parse_model_id(TINY), by="ann")
    refused = manage("resume", TINY)
    assert refused.state.type == "FAILED"
    assert "ensure-models is not deployed" in refused.state.message
    assert [one.state for one in downloads()] == [DownloadState.PAUSED]
    assert order.by in downloads()[0].reason


def test_what_is_available_is_not_started(manage, run, deployed, api):
    assert run(models=[TINY]).state.is_completed()
    ended = manage("start", TINY)
    assert ended.state.message == f"{TINY} is available already; nothing was started"
    assert api.post("/flow_runs/count", deployments={"id": {"any_": [deployed]}}) == 0


def test_a_model_that_waits_for_its_turn_is_said_to_in_the_log(run, published, monkeypatch, manage):
    write_tiny_model(published, OTHER, seed=1)
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_CONCURRENT_DOWNLOADS", "1")
    slot = open_workspace().queue.take_slot(1)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run, models=[TINY, OTHER])
        wait_for(lambda: len(downloads()) == 2)
        listed = manage("list")
        slot.give_back()
        ended = future.result()
    assert [(row["model"], row["state"], row["place"]) for row in listed.table("downloads")] == [
        (TINY, "queued", 1),
        (OTHER, "queued", 2),
    ]
    assert ended.state.is_completed()
    wait_for(lambda: [log for log in ended.api.logs(ended.id) if "place 1 in the queue" in log["message"]])

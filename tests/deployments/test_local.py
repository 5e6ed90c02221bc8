"""The law of the local stack, the whole of it at work: one command brings it up, another ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from availability import open_workspace, status
from availability.controls import DownloadState
from availability.model import parse_model_id
from availability.status import Availability
from deployments.automate import read_automations
from deployments.documents import ROOT
from deployments.local import POOL, start_server
from deployments.manifest import read_manifest
from deployments.processes import Background
from deployments.sample import SAMPLE_MODEL
from service.faults import Fault, FaultyHub
from tests.builders import KIB, MIB, WEIGHTS, write_tiny_model
from tests.prefect_api import Api, wait_for

NAMES = ("server", "sample-hub", "worker")
WEIGHTS_BYTES = 3 * MIB + 17
QUEUES = ["critical", "high", "normal", "low"]


@pytest.fixture
def local(prefect_home, tmp_path):
    """Run a command of the stack, with a development store in a temporary folder."""
    env = {**os.environ, "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(tmp_path / "store")}

    def run(*words):
        command = [sys.executable, "-m", "deployments.local", *words, "--home", str(prefect_home)]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout

    yield run
    run("down")


@pytest.fixture
def slow_hub(tmp_path):
    write_tiny_model(tmp_path / "published", weights_bytes=WEIGHTS_BYTES)
    with FaultyHub(tmp_path / "published", faults=[Fault("shape", WEIGHTS, bytes_per_second=32 * KIB)]) as hub:
        yield hub


def processes_of(home):
    """Every process of this machine that was started with this home."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(home).encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:  # it ended meanwhile, or is not ours
            continue
    return found


def fetched_from(hub):
    """What a run is started with that fetches a model from a hub of the test."""
    env = {"ENHANCED_MODEL_HUB_ENDPOINT": hub.url}
    return {"parameters": {"models": ["org/tiny"]}, "job_variables": {"env": env}}


@pytest.mark.prefect
@pytest.mark.slow
def test_the_stack_comes_up_does_its_job_and_goes_down(local, prefect_home, slow_hub, tmp_path):
    up = ("up", "--sample", "--port", "0", "--hub-port", "0")
    assert "Up. The UI: http://127.0.0.1:" in local(*up)
    living = {name: Background(prefect_home, name).living() for name in NAMES}
    api = Api(f"http://127.0.0.1:{living['server'].port}/api")

    # From the UI, with nothing filled in, it looks after the catalog of the profile development.
    state = api.end_of(api.start("ensure-models"))
    assert (state["type"], state["message"]) == ("COMPLETED", "1 of 1 models verified")
    here = open_workspace({"storage.models_directory": tmp_path / "store", "profile": "development"})
    assert status(SAMPLE_MODEL, workspace=here).availability_status is Availability.AVAILABLE

    # A run that is cancelled in the UI ends, and its model is not fetched any more.
    slow = fetched_from(slow_hub)
    cancelled = api.start("ensure-models", **slow)
    wait_for(lambda: slow_hub.bytes_sent(WEIGHTS))
    api.post(f"/flow_runs/{cancelled}/set_state", state={"type": "CANCELLING"})
    assert api.end_of(cancelled)["type"] == "CANCELLED"
    record = wait_for(lambda: here.controls.read(parse_model_id("org/tiny")))
    assert record.state is DownloadState.CANCELLED
    assert status("org/tiny", workspace=here).availability_status is Availability.MISSING
    assert api.get(f"/flow_runs/{cancelled}")["run_count"] == 1
    requests = slow_hub.count()

    # Asked again, what runs is left alone.
    before = api.post("/deployments/filter"), automations(api)
    assert "Everything is as it should be; nothing was changed" in local(*up)
    assert {name: Background(prefect_home, name).living() for name in NAMES} == living
    after = api.post("/deployments/filter"), automations(api)
    deployed = {deployment["name"] for deployment in after[0]}
    assert deployed == {entry["name"] for entry in read_manifest(here.settings).deployments}
    assert [_lasting(deployment) for deployment in after[0]] == [_lasting(deployment) for deployment in before[0]]
    assert after[1] == before[1]
    assert {automation["name"] for automation in after[1]} == {spec["name"] for spec in read_automations()}
    queues = api.post(f"/work_pools/{POOL}/queues/filter")
    assert [queue["name"] for queue in sorted(queues, key=lambda queue: queue["priority"])][:4] == QUEUES
    assert slow_hub.count() == requests

    # Ended in the middle of a run, nothing of it stays.
    slow_hub.reset_counters()
    api.start("ensure-models", **slow)
    wait_for(lambda: slow_hub.bytes_sent(WEIGHTS))
    assert local("down").splitlines() == ["Stopped the worker.", "Stopped the server.", "Stopped the sample-hub."]
    wait_for(lambda: not processes_of(prefect_home))
    assert local("down") == ""


@pytest.mark.prefect
@pytest.mark.slow
@pytest.mark.system
def test_a_server_that_dies_in_mid_download_costs_the_download_no_byte(local, prefect_home, slow_hub):
    ports = ("--sample", "--port", "0", "--hub-port", "0")
    local("up", *ports)
    server = Background(prefect_home, "server")
    living = server.living()
    api = Api(f"http://127.0.0.1:{living.port}/api")
    run = api.start("ensure-models", **fetched_from(slow_hub))
    wait_for(lambda: slow_hub.bytes_sent(WEIGHTS))
    os.killpg(living.pid, signal.SIGKILL)
    wait_for(lambda: not server.living())
    arrived = slow_hub.bytes_sent(WEIGHTS)
    wait_for(lambda: slow_hub.bytes_sent(WEIGHTS) > arrived)
    local("up", *ports, "--port", str(living.port))
    slow_hub.faults.clear()
    assert api.end_of(run)["type"] == "COMPLETED"
    assert api.get(f"/flow_runs/{run}")["run_count"] == 1
    assert slow_hub.bytes_sent(WEIGHTS) == WEIGHTS_BYTES


def automations(api):
    return sorted(api.post("/automations/filter", limit=200), key=lambda automation: automation["name"])


def _lasting(deployment):
    """What of a deployment a repeated `up` must not touch."""
    schedules = [(schedule["schedule"], schedule["active"]) for schedule in deployment["schedules"]]
    return deployment["id"], deployment["entrypoint"], deployment["parameters"], schedules


def test_a_port_that_somebody_else_uses_is_named_and_nothing_is_started(tmp_path):
    home = tmp_path / "stack"
    with FaultyHub(home) as stranger:
        port = stranger.server_address[1]
        with pytest.raises(Exception, match=f"port {port}, where the server belongs"):
            start_server(home, port)
    assert not home.exists()

"""The law of containers: the image is made of the Dockerfile, runs happen in it, and one that is killed is told.

What it needs is a Docker engine and the image that the Dockerfile begins with; the worker's package comes from the
package index.
"""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from uuid import uuid4

import pytest

from deployments.documents import ROOT
from deployments.processes import Background
from service.faults import Fault, FaultyHub
from tests.builders import KIB, MIB, WEIGHTS, write_tiny_model
from tests.prefect_api import Api, wait_for

PREFECT_DOCKER = "prefect-docker==0.7.4"
DOCKERFILE = ROOT / "deployments/Dockerfile"
BASE = DOCKERFILE.read_text().partition("\nFROM ")[2].split()[0]
WEIGHTS_BYTES = 24 * MIB
MODELS = {"models": ["org/tiny"]}


def docker(*words, check=True):
    return subprocess.run(["docker", *words], cwd=ROOT, capture_output=True, text=True, check=check)


pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("docker"), reason="docker is not installed"),
]


@pytest.fixture(scope="module")
def image():
    """What the documented line builds, under a name of its own."""
    if docker("info", check=False).returncode:
        pytest.skip("no Docker engine answers")
    if docker("image", "inspect", BASE, check=False).returncode and docker("pull", BASE, check=False).returncode:
        pytest.skip(f"{BASE} is not here, and cannot be pulled")
    name = f"availability-tests-{uuid4()}"
    docker("build", "-f", str(DOCKERFILE), "-t", name, ".")
    yield name
    docker("rmi", name)


@pytest.fixture
def volume():
    """The volume in which a store lies; nothing that uses it outlives the test."""
    name = f"availability-tests-{uuid4()}"
    yield name
    containers = docker("ps", "--all", "--quiet", "--filter", f"volume={name}").stdout.split()
    if containers:
        docker("rm", "--force", *containers)
    docker("volume", "rm", name)


@pytest.fixture(scope="module")
def worker_package(tmp_path_factory):
    """The worker for Docker, beside the environment of the tests."""
    folder = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--target", folder, PREFECT_DOCKER], check=True)
    return folder


@pytest.fixture
def hub(tmp_path):
    write_tiny_model(tmp_path / "published", weights_bytes=WEIGHTS_BYTES)
    with FaultyHub(tmp_path / "published", faults=[Fault("shape", WEIGHTS, bytes_per_second=64 * KIB)]) as hub:
        yield hub


@pytest.fixture
def api(prefect_home, worker_package):
    """The local stack, moved to Docker by the two documented lines."""
    env = {**os.environ, "ENHANCED_MODEL_SCHEDULES_SWITCHED_OFF": "*"}

    def run(module, *words):
        subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, env=env, check=True, capture_output=True)

    run("deployments.local", "up", "--home", prefect_home, "--port", "0")
    env["PREFECT_API_URL"] = f"http://127.0.0.1:{Background(prefect_home, 'server').living().port}/api"
    run("deployments.deploy", "--pool", "docker")
    with working(env | {"PYTHONPATH": str(worker_package), "PREFECT_WORKER_QUERY_SECONDS": "2"}):
        yield Api(env["PREFECT_API_URL"])
    run("deployments.local", "down", "--home", prefect_home)


@contextmanager
def working(env):
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "models-docker"]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        yield
        worker.terminate()


def container_of(run):
    found = docker("ps", "--quiet", "--filter", f"label=io.prefect.flow-run-id={run}").stdout.split()
    return found[0] if found else None


def test_the_image_answers_and_nobody_is_root_in_it(image, volume):
    run = ("run", "--rm", "--volume", f"{volume}:/models", image)
    assert "1 missing; 0 bytes in /models/hub" in docker(*run, check=False).stdout
    assert docker(*run, "sh", "-c", "id -un && stat -c %U /models").stdout.split() == ["models", "models"]


def test_a_run_in_a_container_that_is_killed_is_told_at_once_and_the_next_goes_on(image, volume, api, hub):
    here = {"image": image, "network_mode": "host", "volumes": [f"{volume}:/models"]}
    job = {"job_variables": here | {"env": {"ENHANCED_MODEL_HUB_ENDPOINT": hub.url}}, "parameters": MODELS}
    run = api.start("ensure-models", **job)
    wait_for(lambda: hub.bytes_sent(WEIGHTS) > MIB)
    docker("kill", container_of(run))
    killed = api.end_of(run)
    assert (killed["type"], "status code 137" in killed["message"]) == ("CRASHED", True)

    hub.faults.clear()
    assert api.end_of(api.start("ensure-models", **job))["type"] == "COMPLETED"
    assert WEIGHTS_BYTES <= hub.bytes_sent(WEIGHTS) <= 1.05 * WEIGHTS_BYTES
    assert api.end_of(api.start("check-health", **job))["message"].startswith("1 of 1 models healthy")

"""The law of other places to run: a pool's template is whole, a real server takes it, and the image is what it expects.

No container runs here, but in test_containers.py. What can be held against the real thing without one: the server, and
where they are installed the job classes of the workers (`pip install prefect-docker prefect-kubernetes prefect-aws`).
"""

import asyncio
import importlib
import json
import re
from dataclasses import replace
from fnmatch import fnmatch
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from availability.settings import definitions, load_settings
from deployments.deploy import put_deployments
from deployments.documents import ROOT
from deployments.manifest import POOL_TYPES, read_manifest
from deployments.work_pool import put_pool

KINDS = [kind for kind in POOL_TYPES if kind != "process"]
SETTINGS = load_settings(env={}, dotenv=None)
WORKERS = {
    "docker": ("prefect_docker.worker", "DockerWorkerJobConfiguration"),
    "kubernetes": ("prefect_kubernetes.worker", "KubernetesWorkerJobConfiguration"),
    "ecs": ("prefect_aws.workers.ecs_worker", "ECSJobConfiguration"),
}
GIVEN = {"ecs": {"file_system_id": "fs-0123"}}
"""What a template cannot know."""
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "CMD"}

kinds = pytest.mark.parametrize("kind", KINDS)


def template(kind):
    return read_manifest(SETTINGS, kind).pool.template


def instructions():
    text = (ROOT / "deployments/Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


# --- templates ------------------------------------------------------------------------------------------


@kinds
def test_every_variable_of_a_template_is_used_once_described_and_known(kind):
    made = template(kind)
    variables = made["variables"]["properties"]
    used = {*re.findall(r"\{\{ (\w+) \}\}", json.dumps(made["job_configuration"]))}
    assert used == set(variables)
    assert all(one["title"] and one["description"].endswith(".") for one in variables.values())


@kinds
def test_what_is_needed_has_a_default_or_must_be_given(kind):
    assert template(kind)["variables"].get("required", []) == [*GIVEN.get(kind, {})]


@kinds
def test_the_store_outlives_a_run_and_its_settings_are_settings(kind):
    made = template(kind)
    env = made["variables"]["properties"]["env"]["default"]
    ours = {name for name in env if name.startswith("ENHANCED_MODEL_")}
    assert ours <= {definition.env_name for definition in definitions()}
    (folder,) = {env["ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY"].rpartition("/")[0]}
    # The state lies beside the store, so both are in what is mounted.
    assert f'"{folder}"' in json.dumps(made) or f":{folder}" in json.dumps(made)


@kinds
def test_the_workers_own_class_takes_it(kind, prefect_server):
    module, name = WORKERS[kind]
    pytest.importorskip(module.partition(".")[0], reason=f"{module.partition('.')[0]} is not installed")
    configuration = getattr(importlib.import_module(module), name)
    values = {"image": "registry/image:1", **GIVEN.get(kind, {})}
    made = asyncio.run(configuration.from_template_and_values(dict(template(kind)), values))
    made.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="brave-run"))
    shown = json.dumps(made.model_dump(mode="json"))
    assert "registry/image:1" in shown
    assert "/models" in shown
    assert prefect_server in shown


@pytest.mark.prefect
@kinds
def test_a_server_takes_the_pool_with_its_queues_in_order_and_the_second_time_nothing_changes(kind, prefect_server):
    assert prefect_server
    pool = replace(read_manifest(SETTINGS, kind).pool, name=f"pool-{uuid4()}")
    with get_client(sync_client=True) as client:
        try:
            assert len(put_pool(client, pool)) == 1 + len(pool.queues)
            found = client.read_work_pool(pool.name)
            assert (found.type, found.base_job_template) == (kind, pool.template)
            queues = client.read_work_queues(work_pool_name=pool.name)
            order = [queue.name for queue in sorted(queues, key=lambda queue: queue.priority)]
            assert order == ["critical", "high", "normal", "low", "default"]
            assert put_pool(client, pool) == []

            client.update_work_queue(client.read_work_queue_by_name("critical", pool.name).id, priority=4)
            assert put_pool(client, pool) != []
            assert put_pool(client, pool) == []
        finally:
            client.delete_work_pool(pool.name)


@pytest.mark.prefect
@pytest.mark.slow
def test_in_a_container_runs_look_for_their_code_where_the_image_has_it(prefect_server):
    assert prefect_server
    made = read_manifest(SETTINGS, "docker")
    one = replace(made, deployments=made.deployments[:1])
    (name,) = (entry["name"] for entry in one.deployments)
    with get_client(sync_client=True) as client:
        put_pool(client, one.pool)
        assert put_deployments(client, one) == [f"deployment {name} made"]
        found = client.read_deployment_by_name(f"{name}/{name}")
        (step,) = found.pull_steps
        (called,) = step.values()
        assert ("WORKDIR", called["directory"]) in instructions()
        assert found.job_variables["image"] == "enhanced-model-availability:latest"
        assert found.work_queue_name == "low"
        client.delete_deployment(found.id)
        client.delete_work_pool(one.pool.name)


# --- the image ------------------------------------------------------------------------------------------


def test_the_image_is_made_of_known_instructions_in_an_order_that_works():
    made = instructions()
    words = [word for word, _ in made]
    assert words[0] == "FROM"
    assert {*words} <= INSTRUCTIONS
    assert words.index("COPY") < words.index("RUN") < words.index("USER")
    # Nobody is root in it, and what it starts can be found.
    assert dict(made)["USER"] != "root"
    assert json.loads(dict(made)["CMD"])[0] == "availability"


def test_the_image_holds_what_runs_need_and_no_secret():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    needed = [
        "pyproject.toml",
        "requirements.txt",
        "README.md",
        "LICENSE",
        "prefect.yaml",
        "flows",
        "tasks",
        "availability",
        "analytics",
        "commands",
        "service",
        "deployments",
    ]
    assert all((ROOT / name).exists() for name in needed)
    assert [name for name in needed if any(fnmatch(name, pattern) for pattern in ignored)] == []
    assert {".env", ".git", ".local", ".venv"} <= {*ignored}

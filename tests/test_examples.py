"""Every example runs as its docstring says, in a process of its own, against a hub that serves the model it names."""

import ast
import shutil
from pathlib import Path

import pytest

from service.faults import Fault, FaultyHub
from tests.builders import flipped
from tests.served import MODEL, publish, run_python

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(autouse=True)
def hub(snapshot, monkeypatch):
    with FaultyHub(snapshot.parents[2]) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def example(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()

    def run(name, *arguments, **env):
        done = run_python(EXAMPLES / name, *arguments, folder=folder, **env)
        assert "Traceback" not in done.stderr
        return done

    return run


def test_a_model_is_ensured_and_read(example):
    first, second = example("ensure_and_load.py"), example("ensure_and_load.py", MODEL)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "It is a llama model with 100,000 parameters." in first.stdout
    assert "0 bytes were fetched" in second.stdout
    assert "100,0" not in second.stdout.splitlines()[0]


def test_a_model_that_does_not_exist_is_one_clear_error(example):
    done = example("ensure_and_load.py", "org/absent")
    assert done.returncode == 1
    assert done.stderr.startswith("Model 'org/absent' was not found")


def test_progress_is_shown_to_the_end(example):
    done = example("wait_with_progress.py", MODEL, "org/absent")
    assert done.returncode == 1
    assert f"{MODEL}: completed, 100 %" in done.stdout
    assert "org/absent: Model 'org/absent' was not found" in done.stdout


def test_the_status_is_told_without_the_network(example, hub):
    before = example("offline_status.py")
    example("ensure_and_load.py")
    hub.close()
    after = example("offline_status.py", HF_HUB_OFFLINE="1")
    assert (before.returncode, after.returncode) == (1, 0)
    assert f"{MODEL}: missing" in before.stdout
    assert f"availability ensure {MODEL}" in before.stdout
    assert f"{MODEL}: available /" in after.stdout
    assert example("offline_status.py", "smol").returncode == 1


def test_a_folder_is_adopted_and_only_what_is_wrong_with_it_is_fetched(example, hub, snapshot, tmp_path):
    folder = shutil.copytree(snapshot, tmp_path / "stick")
    (folder / "tokenizer.json").write_bytes(flipped((folder / "tokenizer.json").read_bytes(), 0))
    done = example("adopt_folder.py", folder, MODEL)
    assert done.returncode == 0
    assert "  tokenizer.json: " in done.stdout
    assert "3 of 105," in done.stdout
    assert hub.count("/resolve/") == 1
    hub.faults.append(Fault("status", "/resolve/", status=503))
    assert "0 of 105," in example("adopt_folder.py", folder, MODEL, ENHANCED_MODEL_PROFILE="production").stdout
    assert example("adopt_folder.py").returncode == 1


def test_a_health_checker_of_ones_own_takes_part(example):
    done = example("custom_health_checker.py", MODEL)
    assert done.returncode == 0, done.stderr
    names = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert names[:5] == ["integrity", "format", "storage", "performance", "licence"]
    assert "licence: not known" in done.stdout
    assert f"{MODEL} is healthy." in done.stdout


@pytest.mark.prefect
@pytest.mark.slow
def test_a_flow_of_ones_own_ensures_a_model(example, tmp_path):
    done = example(
        "call_from_a_flow.py",
        PREFECT_HOME=str(tmp_path / "prefect"),
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120",
    )
    assert done.returncode == 0, done.stderr
    assert "5 files to work with: README.md, config.json, model.safetensors" in done.stdout
    assert f"Task run 'ensure {MODEL}'" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_example_says_how_to_run_it_and_is_tried_here(name):
    text = (EXAMPLES / name).read_text()
    assert f"python examples/{name}" in (ast.get_docstring(ast.parse(text)) or "")
    assert f'"{name}"' in Path(__file__).read_text()

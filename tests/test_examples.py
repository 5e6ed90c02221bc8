"""Every example runs as its docstring says, in a process of its own, against a hub that serves the model it names."""

import ast
import shutil
from pathlib import Path

import pytest

from service.faults import Fault, FaultyHub
from tests.builders import flipped, write_tiny_model
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
    folder.mkdir(exist_ok=True)

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


CATALOG = f"""
version: 1
defaults:
  attributes: {{task: text-generation, licence: apache-2.0, format: safetensors, capabilities: [chat]}}
models:
  - id: org/wanted
    substitution: auto
    attributes: {{compatible_with: {{{MODEL}: 0.7, org/other: 0.9}}}}
  - id: {MODEL}
  - id: org/other
"""


@pytest.fixture
def shelf(example, hub, tmp_path):
    """Two models that could stand in for a third, which the hub does not have."""
    (tmp_path / "work/deployments").mkdir()
    (tmp_path / "work/deployments/catalog.yaml").write_text(CATALOG)
    write_tiny_model(hub.library.store, "org/other", weights_bytes=1000)
    assert example("ensure_and_load.py", MODEL).returncode == 0
    assert example("ensure_and_load.py", "org/other").returncode == 0


@pytest.mark.usefixtures("shelf")
def test_a_strategy_of_ones_own_suggests_who_stands_in(example):
    done = example("custom_fallback_strategy.py", "org/wanted")
    assert done.returncode == 0, done.stderr
    first, chosen, other = done.stdout.splitlines()[:3]
    assert first.startswith(f"org/wanted: model_ready. {MODEL} stands in for org/wanted: HuggingFaceTB is a publisher")
    assert chosen.startswith(f"- alternative_model: {MODEL} (0.88) HuggingFaceTB is a publisher that we trust.")
    assert other.startswith("- alternative_model: org/other (0.96) ")


@pytest.mark.prefect
@pytest.mark.slow
@pytest.mark.usefixtures("shelf")
def test_a_flow_of_ones_own_asks_for_a_model_and_says_with_what_it_works(example, prefect_server):
    done = example("request_from_a_flow.py", "org/wanted", PREFECT_API_URL=prefect_server)
    assert done.returncode == 0, done.stderr
    assert "org/other instead of org/wanted: 3 files to work with" in done.stderr + done.stdout
    gone = example("request_from_a_flow.py", "org/absent", PREFECT_API_URL=prefect_server)
    assert "error: Model 'org/absent' was not found" in gone.stderr + gone.stdout
    assert "decided: unavailable" in gone.stderr + gone.stdout


@pytest.fixture
def archive(tmp_path, snapshot):
    """Everything that the model consists of, in the archive of the example, with its states."""
    folder = tmp_path / "work" / "archive"
    folder.mkdir(parents=True)
    for path in snapshot.rglob("*.*"):
        shutil.copy(path.resolve(), folder / path.resolve().name)
        (folder / f"{path.resolve().name}.state").write_text("online\n")
    return folder


def test_a_source_of_ones_own_sends_every_byte(example, archive, hub):
    done = example("custom_source.py", MODEL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"archive: {archived_bytes(archive):,} bytes", f"{MODEL} is verified."]
    assert hub.count("/resolve/") == 0


@pytest.mark.parametrize("state", ["on-tape", "deleted", "a state of a later version"])
def test_whatever_a_source_of_ones_own_says_of_a_file_the_hub_sends_it(example, archive, hub, state):
    for path in archive.glob("*.state"):
        path.write_text(state)
    done = example("custom_source.py", MODEL)
    assert done.returncode == 0, done.stderr
    assert "archive" not in done.stdout
    assert hub.count("/resolve/") > 0


def test_a_state_that_nobody_knows_is_no_missing_file(example, archive, hub):
    hub.faults.append(Fault("status", "/resolve/", status=503))
    for path in archive.glob("*.state"):
        path.write_text("a state of a later version")
    done = example("custom_source.py", MODEL, ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES="0")
    assert done.returncode == 1
    assert "which nobody here understands" in done.stderr
    assert "does not have" not in done.stderr


def archived_bytes(archive):
    return sum(path.stat().st_size for path in archive.iterdir() if path.suffix != ".state")


@pytest.mark.prefect
@pytest.mark.slow
def test_a_flow_of_ones_own_ensures_a_model(example, prefect_home):
    done = example(
        "call_from_a_flow.py",
        PREFECT_HOME=str(prefect_home / "prefect"),
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

"""The law of the Python face: the commands' answers as values and typed errors, without a server."""

import inspect
import pickle
import subprocess
import sys
from threading import Thread

import pytest

import availability
from availability import (
    EnhancedModelAvailabilityError,
    adopt,
    cancel,
    ensure,
    ensure_models,
    open_workspace,
    progress,
    status,
)
from availability.errors import (
    DownloadCancelledError,
    DownloadFailedError,
    IncompleteModelError,
    InvalidModelIdError,
    ModelNotFoundError,
    SettingsError,
    UsageError,
)
from service.faults import Fault, FaultyHub
from tests.builders import WEIGHTS, stored_bytes, write_tiny_pair
from tests.commands.running import run
from tests.prefect_api import wait_for

RETRIES = "ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES"
SLOW = Fault("shape", "/resolve/.*safetensors", bytes_per_second=100_000)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    write_tiny_pair(store)
    return store


@pytest.fixture(autouse=True)
def hub(published, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with FaultyHub(published) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def place(tmp_path, name="python"):
    return open_workspace({"storage.models_directory": tmp_path / name, "download.max_retries": 0})


def told(command, *arguments, store):
    """What the command answers, from a store of its own."""
    return run(command, *arguments, "--store", store, "--json").models


def alike(record, store):
    """A record without what differs from run to run."""
    passing = {"seconds", "step_seconds", "download_id", "last_health_check"}
    return {
        name: value.replace(str(store), "") if name in {"path", "served_path"} and value else value
        for name, value in record.items()
        if name not in passing
    }


# --- the same answers ------------------------------------------------------------------------------------


def test_ensure_answers_what_the_command_answers(tmp_path, published):
    outcome = ensure("org/tiny", workspace=place(tmp_path))
    (record,) = told("ensure", "org/tiny", store=tmp_path / "command")
    assert alike(outcome.as_dict(), tmp_path / "python") == alike(record, tmp_path / "command")
    assert (outcome.path / WEIGHTS).read_bytes() == stored_bytes(published)


def test_a_failure_is_the_error_that_the_command_tells(tmp_path, hub, monkeypatch):
    monkeypatch.setenv(RETRIES, "0")
    hub.faults.append(Fault("status", f"/resolve/.*{WEIGHTS}", status=503))
    with pytest.raises(DownloadFailedError) as caught:
        ensure("org/tiny", workspace=place(tmp_path))
    (record,) = told("ensure", "org/tiny", store=tmp_path / "command")
    assert caught.value.as_dict() == record["error"]
    assert (caught.value.model_id, caught.value.retry_count) == ("org/tiny", 0)


def test_ensure_models_answers_for_each_what_the_command_answers(tmp_path):
    names = ["org/tiny", "org/absent", "tiny"]
    outcomes = ensure_models(names, workspace=place(tmp_path))
    records = told("ensure", *names, store=tmp_path / "command")
    assert [alike(outcome.as_dict(), tmp_path / "python") for outcome in outcomes] == [
        alike(record, tmp_path / "command") for record in records
    ]
    assert [outcome.success for outcome in outcomes] == [True, False, False]


@pytest.mark.parametrize("written", [None, "version: 1\nmodels: []\n"], ids=["no-catalog", "names-none"])
def test_ensure_models_of_nothing_is_refused_as_the_command_refuses_it(tmp_path, written):
    (tmp_path / "deployments").mkdir()
    if written is not None:
        (tmp_path / "deployments/catalog.yaml").write_text(written)
    with pytest.raises(UsageError) as caught:
        ensure_models(workspace=place(tmp_path))
    assert run("ensure", "--all", "--store", tmp_path / "command", "--json").summary["error"] == caught.value.as_dict()


def test_ensure_models_without_a_name_means_the_catalog(tmp_path, monkeypatch):
    (tmp_path / "catalog.yaml").write_text("version: 1\nmodels:\n  - id: org/other\n    aliases: [spare]\n")
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", "catalog.yaml")
    assert [outcome.model_id for outcome in ensure_models(workspace=place(tmp_path))] == ["org/other"]
    assert ensure("spare", workspace=place(tmp_path)).attempts == 0


def test_status_answers_what_the_command_answers(tmp_path, hub):
    here = place(tmp_path)
    ensure("org/tiny", workspace=here)
    hub.close()
    for name in ("org/tiny", "org/absent"):
        (record,) = told("status", name, store=tmp_path / "python")
        assert alike(status(name, workspace=here).as_dict(), "") == alike(record, "")


def test_adopt_answers_what_the_command_answers(tmp_path, hub):
    folder = ensure("org/tiny", workspace=place(tmp_path, "source")).path
    hub.reset_counters()
    outcome = adopt(folder, "org/tiny", workspace=place(tmp_path))
    (record,) = told("adopt", folder, "org/tiny", store=tmp_path / "command")
    assert alike(outcome.as_dict(), tmp_path / "python") == alike(record, tmp_path / "command")
    assert hub.count("/resolve/") == 0


def test_an_outcome_can_be_sent_to_another_process(tmp_path):
    for outcome in ensure_models(["org/tiny", "org/absent"], workspace=place(tmp_path)):
        sent = pickle.loads(pickle.dumps(outcome))
        assert (type(sent), sent.as_dict()) == (type(outcome), outcome.as_dict())


def test_a_selection_is_passed_on(tmp_path):
    here = place(tmp_path)
    first = ensure("org/tiny", include=["*.json"], workspace=here)
    second = ensure("org/tiny", exclude=["*.safetensors"], workspace=here)
    assert first.path == second.path
    assert sorted(path.name for path in second.path.rglob("*") if path.is_file()) == ["config.json", "vocab.txt"]


# --- typed errors ----------------------------------------------------------------------------------------


def test_every_error_is_of_one_family(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    here = place(tmp_path)
    calls = {
        InvalidModelIdError: lambda: ensure("not an id", workspace=here),
        ModelNotFoundError: lambda: ensure("org/absent", workspace=here),
        IncompleteModelError: lambda: adopt(empty, "org/tiny", workspace=here),
        UsageError: lambda: adopt(tmp_path / "nowhere", "org/tiny", workspace=here),
        SettingsError: lambda: open_workspace({"download.max_retries": 99}),
    }
    for kind, call in calls.items():
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, EnhancedModelAvailabilityError)
        assert caught.value.message


def test_a_name_that_nobody_knows_is_refused_with_the_near_ones_wherever_it_is_asked_for(tmp_path):
    here = place(tmp_path)
    ensure("org/tiny", workspace=here)
    for ask in (ensure, status, progress, cancel):
        with pytest.raises(ModelNotFoundError) as caught:
            ask("tinny", workspace=here)
        assert caught.value.near == ("org/tiny",)


def test_an_id_that_cannot_be_understood_starts_nothing_for_the_others_either(tmp_path, hub):
    with pytest.raises(InvalidModelIdError):
        ensure_models(["org/tiny", "not an id"], workspace=place(tmp_path))
    assert hub.count() == 0


# --- settings --------------------------------------------------------------------------------------------


def test_an_argument_wins_over_the_environment_and_that_over_the_file(monkeypatch, tmp_path):
    def retries(**given):
        return open_workspace(given or None).settings.download.max_retries

    (tmp_path / ".env").write_text(f"{RETRIES}=4\n")
    assert retries() == 4
    monkeypatch.setenv(RETRIES, "5")
    assert retries() == 5
    assert retries(**{"download.max_retries": 6}) == 6


def test_without_a_workspace_the_environment_says_where(tmp_path):
    assert ensure("org/other").path.is_relative_to(tmp_path / "huggingface" / "hub")
    assert status("org/other").availability_status.is_available


def test_a_token_is_sent_to_the_hub(tmp_path, published):
    with FaultyHub(published, token="let me in", private={"org/other"}) as hub:
        here = open_workspace({"hub.endpoint": hub.url, "storage.models_directory": tmp_path / "a"}, token="let me in")
        assert ensure("org/other", workspace=here).success
        without = open_workspace({"hub.endpoint": hub.url, "storage.models_directory": tmp_path / "b"})
        with pytest.raises(EnhancedModelAvailabilityError):
            ensure("org/other", workspace=without)


# --- while it runs ---------------------------------------------------------------------------------------


class Running(Thread):
    """A download in a thread of its own."""

    def __init__(self, here):
        super().__init__()
        self.here = here
        self.error = None
        self.start()

    def run(self):
        try:
            ensure("org/tiny", workspace=self.here)
        except EnhancedModelAvailabilityError as error:
            self.error = error


def test_progress_and_cancel_reach_a_running_download_and_what_has_arrived_is_kept(tmp_path, hub):
    hub.faults.append(SLOW)
    here, elsewhere = place(tmp_path), place(tmp_path)
    assert progress("org/tiny", workspace=elsewhere) is None
    running = Running(here)
    seen = wait_for(lambda: (found := progress("org/tiny", workspace=elsewhere)) and found.bytes_done and found)
    assert (seen.phase, 0 < seen.percent < 100) == ("downloading", True)
    assert cancel("org/tiny", workspace=elsewhere)
    running.join(30)
    assert isinstance(running.error, DownloadCancelledError)
    assert "cancelled by" in running.error.message
    assert progress("org/tiny", workspace=elsewhere) is None
    assert not cancel("org/tiny", workspace=elsewhere)
    hub.faults.clear()
    outcome = ensure("org/tiny", workspace=here)
    assert outcome.bytes_fetched < outcome.bytes_total


def test_a_listener_is_told_how_far_it_is_to_the_end(tmp_path):
    told = []
    ensure("org/tiny", on_progress=told.append, workspace=place(tmp_path))
    assert (told[-1].phase, told[-1].percent) == ("completed", 100.0)
    assert [seen.bytes_done for seen in told] == sorted(seen.bytes_done for seen in told)


def test_a_listener_of_several_is_told_which(tmp_path):
    told = set()
    ensure_models(
        ["org/tiny", "org/other"], on_progress=lambda model, _: told.add(str(model)), workspace=place(tmp_path)
    )
    assert told == {"org/tiny", "org/other"}


# --- the face itself -------------------------------------------------------------------------------------


def test_every_name_of_the_face_is_there_and_explains_itself():
    for name in availability.__all__:
        assert inspect.getdoc(getattr(availability, name))
    assert {*availability.__all__} <= {*dir(availability)}
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = availability.frobnicate


def test_asking_for_a_status_loads_neither_the_orchestrator_nor_a_database():
    program = (
        "import sys, availability\n"
        "assert not {'huggingface_hub', 'pydantic'} & {*sys.modules}, 'the import alone is free'\n"
        "availability.status('org/tiny')\n"
        "print(*sorted({'prefect', 'duckdb', 'polars'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""The law of `availability adopt`: a folder becomes a model when every byte is right, and is only read."""

import hashlib
import shutil

import pytest

from availability.outcome import EnsureRecord
from service.faults import Fault
from tests.builders import CONFIG, NESTED, WEIGHTS, flipped, stored_bytes
from tests.commands.running import run, run_installed

pytestmark = pytest.mark.usefixtures("hub")


@pytest.fixture
def folder(published, tmp_path):
    """The model as somebody copied it from a stick."""
    (snapshot,) = (published / "models--org--tiny/snapshots").iterdir()
    return shutil.copytree(snapshot, tmp_path / "stick")


def adopt(folder, *arguments):
    return run("adopt", folder, "org/tiny", *arguments, "--json")


def fingerprint(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_a_right_folder_is_taken_over_without_a_download_and_left_as_it_was(hub, folder, published, store):
    before = fingerprint(folder)
    ran = adopt(folder)
    (model,) = ran.models
    assert (ran.exit_code, model["success"], model["bytes_fetched"]) == (0, True, 0)
    assert set(model) == set(EnsureRecord.__annotations__)
    assert stored_bytes(store) == stored_bytes(published)
    assert hub.count("/resolve/") == 0
    assert fingerprint(folder) == before
    assert run("status", "org/tiny").exit_code == 0


def test_an_adopted_model_needs_no_network_any_more(hub, folder):
    adopt(folder)
    hub.reset_counters()
    assert run("ensure", "org/tiny").exit_code == 0
    assert hub.count() == 0


def damage(folder):
    (folder / WEIGHTS).write_bytes(flipped((folder / WEIGHTS).read_bytes(), 1_000_000))


def truncate(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])


DEFECTS = {
    "a flipped byte": (damage, WEIGHTS),
    "a truncated file": (truncate, WEIGHTS),
    "a wrong small file": (lambda folder: (folder / CONFIG).write_text("{}"), CONFIG),
    "a missing file": (lambda folder: (folder / NESTED).unlink(), f"{NESTED}: missing"),
    "an empty folder": (lambda folder: shutil.rmtree(folder) or folder.mkdir(), f"{WEIGHTS}: missing"),
}


@pytest.mark.parametrize(("spoil", "told"), DEFECTS.values(), ids=DEFECTS)
def test_a_folder_that_is_not_the_model_is_refused_with_each_file_that_is_wrong(folder, spoil, told):
    spoil(folder)
    ran = adopt(folder)
    (model,) = ran.models
    assert (ran.exit_code, model["success"], model["path"]) == (1, False, None)
    assert model["error"]["type"] == "IncompleteModelError"
    assert any(line.startswith(told) for line in model["error"]["tried"])
    assert run("status", "org/tiny", "--json").models[0]["availability_status"] == "missing"


def test_what_was_right_is_kept_and_only_the_rest_is_fetched(folder, published, store):
    (folder / CONFIG).unlink()
    adopt(folder)
    (model,) = run("ensure", "org/tiny", "--json").models
    assert model["bytes_fetched"] == len(stored_bytes(published, CONFIG))
    assert stored_bytes(store) == stored_bytes(published)


def test_only_the_named_files_are_wanted_when_some_are_named(folder):
    (folder / WEIGHTS).unlink()
    assert adopt(folder, "--include", "*.json").exit_code == 0
    assert adopt(folder, "--include", "*").exit_code == 1


def test_a_path_that_is_no_folder_is_wrong_usage(hub, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        ran = adopt(path)
        assert (ran.exit_code, ran.models) == (2, [])
        assert "is not a folder" in ran.summary["error"]["message"]
    assert hub.count() == 0


def test_nobody_to_ask_leaves_it_open(hub, folder, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES", "0")
    offline = run_installed("adopt", folder, "org/tiny", "--json", HF_HUB_OFFLINE="1")
    assert (offline.exit_code, offline.summary["unknown"]) == (3, 1)
    hub.faults.append(Fault("status", "/api/", status=503))
    assert run("adopt", folder, "org/tiny", "--json").exit_code == 3


def test_people_read_which_files_are_wrong_and_what_to_do(folder):
    damage(folder)
    ran = run("adopt", folder, "org/tiny")
    assert f"Error: {folder} is not all of org/tiny: of its 3 files, 1 wrong and 0 missing." in ran.stderr
    assert f"  - {WEIGHTS}: " in ran.stderr
    assert "  To do: Fetch the rest: availability ensure org/tiny" in ran.stderr

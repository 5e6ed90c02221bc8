"""A disk that is not ours to read or write ends as one named error, before anything is fetched where that can be."""

import os
from pathlib import Path

import pytest

from availability import ensure_models, status
from availability.digests import CHUNK_BYTES
from availability.ensure import plan_one
from availability.errors import StorageError
from availability.model import parse_model_id
from availability.requests import Request
from availability.selection import Selection
from service.faults import FaultyHub
from tests.builders import WEIGHTS, flipped
from tests.road.disks import LINES, MANY, NOBODY, assert_verified, needs_root, read_only, write_models
from tests.road.ground import MODEL, Ground
from tests.road.travellers import Traveller, as_user


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(models):
    with FaultyHub(models, faults=LINES) as server:
        yield server


# --- a disk that is not ours to write -------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("which", ["store", "state"])
def test_a_read_only_disk_is_named_before_anything_is_fetched(hub, tmp_path, which):
    ground = Ground(hub, tmp_path)
    for folder in (ground.store, ground.state):
        folder.mkdir()
    with read_only(tmp_path / which):
        outcome = ground.ensure()
        assert type(outcome.error) is StorageError, outcome.error
        assert outcome.error.advice
        assert "ead-only" in str(outcome.error)
        assert ground.sent() == 0
    assert_verified(ground)


@needs_root
def test_a_ready_model_on_a_read_only_disk_is_ready(hub, tmp_path):
    ground = Ground(hub, tmp_path)
    ready = assert_verified(ground)
    with read_only(ground.store), read_only(ground.state):
        again = ground.ensure()
        assert (again.success, again.path) == (True, ready.path)
        assert status(MODEL, workspace=ground.workspace()).availability_status.is_available


# --- another user ---------------------------------------------------------------------------------------


@pytest.fixture
def ground(hub, open_folder):
    return Ground(hub, open_folder)


def as_nobody(ground, model=MODEL):
    (ground.root / "answers").mkdir(exist_ok=True)
    # With a token of his own, because the file in which the client keeps one is not his to read.
    answer, demoted = ground.root / "answers/a", as_user(NOBODY)
    return Traveller(ground.all_settings(), model, answer, token="hf_his", prepare=demoted).outcome()


@needs_root
def test_another_user_takes_the_whole_road_in_folders_of_his_own(ground):
    for folder in (ground.store, ground.state):
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
    told = as_nobody(ground)
    assert told["success"], told["error"]
    ground.assert_honest()
    owners = {Path(path).lstat().st_uid for path in ground.files()}
    assert owners == {NOBODY}


@needs_root
def test_another_user_reads_what_root_has_fetched(ground):
    ready = assert_verified(ground)
    told = as_nobody(ground)
    assert told["success"], told["error"]
    assert told["path"] == str(ready.path)


@needs_root
@pytest.mark.parametrize("ours", ["store", "state", ""])
def test_folders_of_another_user_are_named_before_anything_is_fetched(ground, ours):
    for folder in (ground.store, ground.state):
        folder.mkdir()
    if ours:
        os.chown(ground.root / ours, NOBODY, NOBODY)
    before = ground.files()
    told = as_nobody(ground)
    assert told["error"]["type"] == "StorageError", told["error"]
    assert told["error"]["advice"]
    assert "Permission denied" in told["error"]["message"]
    assert ground.sent() == 0
    assert {path for path in ground.files() - before if not path.startswith(str(ground.root / (ours or "-")))} == set()


@needs_root
@pytest.mark.parametrize("hidden", ["store", "state"])
def test_folders_that_cannot_even_be_read_are_named(ground, hidden):
    assert_verified(ground)
    (ground.root / hidden).chmod(0o700)
    told = as_nobody(ground)
    assert (told["success"], told["error"]["type"]) == (False, "StorageError"), told
    (ground.root / hidden).chmod(0o755)


@needs_root
def test_a_file_that_cannot_be_read_is_fetched_anew_where_that_is_allowed(ground):
    for folder in (ground.store, ground.state):
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
    assert as_nobody(ground)["success"]
    ledger = next(ground.state.glob("ledgers/*/*"))
    ledger.chmod(0)
    told = as_nobody(ground)
    assert told["success"], told["error"]


def test_a_store_that_is_a_file_is_named(ground):
    ground.store.write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be read"):
        ground.ensure()


# --- what is no full disk and no wrong user --------------------------------------------------------------


def test_a_dry_look_at_what_cannot_be_read_is_named(ground):
    refs = ground.store / "models--org--tiny/refs"
    refs.mkdir(parents=True)
    (refs / "main").symlink_to("main")  # leads to itself: ELOOP
    answer = plan_one(ground.workspace(), Request(parse_model_id(MODEL), Selection()))
    assert type(answer) is StorageError, answer
    assert answer.advice


def test_a_disk_that_fails_in_the_middle_is_named(ground):
    ready = assert_verified(ground)
    refs = ready.path.parents[1] / "refs/main"
    refs.unlink()
    refs.symlink_to("main")
    outcome = ground.ensure()
    assert type(outcome.error) is StorageError, outcome.error
    assert not outcome.availability_status.is_available
    refs.unlink()
    assert_verified(ground)


def test_one_model_that_cannot_be_read_does_not_stop_the_others(ground):
    refs = ground.store / "models--org--tiny/refs"
    refs.mkdir(parents=True)
    (refs / "main").symlink_to("main")
    outcomes = ensure_models([MODEL, MANY], workspace=ground.workspace())
    assert {outcome.model_id: outcome.success for outcome in outcomes} == {MODEL: False, MANY: True}


def test_a_blob_that_is_healed_is_written_whole(ground):
    ready = assert_verified(ground)
    blob = (ready.path / WEIGHTS).resolve()
    right = blob.read_bytes()
    blob.write_bytes(flipped(right, 5 * CHUNK_BYTES))
    ground.hub.reset_counters()
    assert_verified(ground)
    assert blob.read_bytes() == right
    assert ground.sent() <= CHUNK_BYTES


def test_nothing_is_written_through_a_link_out_of_the_store(ground, open_folder):
    outside = open_folder / "outside"
    outside.mkdir()
    ground.store.mkdir()
    (ground.store / "models--org--tiny").symlink_to(outside)
    outcome = ground.ensure()
    assert type(outcome.error) is StorageError, outcome.error
    assert list(outside.iterdir()) == []
    assert outcome.bytes_fetched == 0


def test_a_blob_that_leads_out_of_the_store_is_left_alone_and_fetched_anew(ground, open_folder):
    ready = assert_verified(ground)
    blob = (ready.path / WEIGHTS).resolve()
    outside = open_folder / "outside.bin"
    outside.write_bytes(flipped(blob.read_bytes(), 0))
    damaged = outside.read_bytes()
    blob.unlink()
    blob.symlink_to(outside)
    assert_verified(ground)
    assert outside.read_bytes() == damaged
    assert not blob.is_symlink()

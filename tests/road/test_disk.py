"""A full disk ends as one named error that says what to do; nothing is lost, and the next run goes on."""

import os
import shutil

import pytest

from availability import adopt, ensure_models
from availability.download import Download
from availability.errors import GatedModelError, InsufficientStorageError
from availability.model import parse_model_id
from availability.selection import Selection
from service.faults import FaultyHub
from tests.builders import KIB, MIB, WEIGHTS
from tests.road.disks import LINES, MANY, ROOM, SIZE, assert_verified, fill, needs_root, small_disk, write_models
from tests.road.ground import MODEL, Ground, size_of
from tests.road.honest import assert_honest
from tests.road.travellers import Traveller, limited_to


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(models):
    with FaultyHub(models, faults=LINES) as server:
        yield server


def ensure_and(ground, at_bytes, act, model=MODEL):
    """Ensure a model, and do something once so many bytes of it have arrived."""
    done = []

    def on_progress(_, progress):
        if not done and progress.bytes_done >= at_bytes:
            done.append(act())

    (outcome,) = ensure_models([model], on_progress=on_progress, workspace=ground.workspace())
    assert done
    return outcome


def assert_says_what_to_do(error, kind, *words):
    assert type(error) is kind, error
    assert error.advice
    for word in words:
        assert word in str(error), error


@needs_root
@pytest.mark.parametrize("model", [MODEL, MANY])
def test_a_disk_that_others_fill_in_the_middle_loses_nothing(hub, tmp_path, model):
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(hub, disk)
        outcome = ensure_and(ground, 4 * MIB, lambda: fill(disk), model)
        assert_says_what_to_do(outcome.error, InsufficientStorageError, "No space left", "is kept")
        assert outcome.attempts == 1, "a full disk does not pass by itself"
        ground.assert_honest()
        needed = size_of(hub, model)
        assert 0 < outcome.error.needed_bytes <= needed - 4 * MIB
        (disk / "filler").unlink()
        again = assert_verified(ground, model)
        assert again.bytes_fetched <= needed - 4 * MIB + 2 * MIB, "what had arrived was fetched again"


@needs_root
@pytest.mark.parametrize("left", [100, 300 * KIB, 1500 * KIB])
def test_the_last_free_bytes_hold_no_half_of_a_file_that_counts_as_whole(hub, tmp_path, left):
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(hub, disk)
        outcome = ensure_and(ground, 1, lambda: fill(disk, leave=left), MANY)
        assert_says_what_to_do(outcome.error, InsufficientStorageError)
        ground.assert_honest()
        (disk / "filler").unlink()
        assert_verified(ground, MANY)


@needs_root
@pytest.mark.parametrize("at_bytes", [None, 1, 6 * MIB], ids=["before", "at the start", "in the middle"])
def test_a_full_disk_of_the_state_is_named_too(hub, tmp_path, at_bytes):
    with small_disk(tmp_path / "disk", 2 * MIB) as disk:
        ground = Ground(hub, tmp_path, {"storage.cache_directory": disk / "state"})
        if at_bytes is None:
            fill(disk)
            outcome = ground.ensure()
        else:
            outcome = ensure_and(ground, at_bytes, lambda: fill(disk))
        assert_says_what_to_do(outcome.error, InsufficientStorageError, str(disk))
        assert_honest_with_state(ground, disk / "state")
        (disk / "filler").unlink()
        assert ground.ensure().success
        assert_honest_with_state(ground, disk / "state")


def assert_honest_with_state(ground, state):
    assert_honest(ground.store, state, ground.hub)


@needs_root
def test_a_model_that_is_published_is_so_even_if_that_cannot_be_written_down_any_more(hub, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(hub, tmp_path, {"storage.cache_directory": disk / "state"})
        with Download(ground.workspace(), parse_model_id(MODEL), Selection()).held():
            fill(disk)
        # Nothing was raised.


@needs_root
def test_a_full_disk_does_not_hide_what_went_wrong_before(hub, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(hub, tmp_path, {"storage.cache_directory": disk / "state"})
        download = Download(ground.workspace(), parse_model_id(MODEL), Selection())

        def refused():
            with download.held():
                fill(disk)
                raise GatedModelError("its publisher wants more than room")

        with pytest.raises(GatedModelError):
            refused()


@needs_root
def test_a_full_disk_says_which_models_could_go(hub, tmp_path):
    with small_disk(tmp_path / "disk", 48 * MIB) as disk:
        ground = Ground(hub, disk)
        assert_verified(ground, MANY)
        outcome = ensure_and(ground, 1, lambda: fill(disk))
        assert any(f"Delete {MANY}" in line for line in outcome.error.advice), outcome.error.advice


@needs_root
def test_healing_on_a_full_disk_ends_named_and_heals_later(hub, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(hub, disk)
        ready = assert_verified(ground)
        blob = (ready.path / WEIGHTS).resolve()
        right = blob.read_bytes()
        blob.write_bytes(right[: 5 * MIB])
        fill(disk)
        outcome = ground.ensure()
        assert type(outcome.error) is InsufficientStorageError, outcome.error
        assert right.startswith(blob.read_bytes()[: 5 * MIB])
        assert not outcome.availability_status.is_available
        (disk / "filler").unlink()
        assert_verified(ground)


@needs_root
def test_adopting_onto_a_full_disk_ends_named_and_goes_on_later(hub, models, tmp_path):
    folder = tmp_path / "by hand"
    shutil.copytree(next(models.glob("models--org--tiny/snapshots/*")), folder)
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(hub, disk)
        # The room is there when it is looked for, and gone when it is needed.
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + bytes(ROOM))
        with pytest.raises(InsufficientStorageError) as caught:
            adopt(folder, MODEL, workspace=ground.workspace())
        assert caught.value.advice
        ground.assert_honest()
        os.truncate(folder / WEIGHTS, SIZE)
        hub.reset_counters()
        assert adopt(folder, MODEL, workspace=ground.workspace()).success
        ground.assert_honest()
        assert ground.sent() == 0


@pytest.mark.parametrize("limit", [100 * KIB, 3 * MIB + 7], ids=["small file", "large file"])
def test_a_limit_on_the_size_of_files_is_named_and_the_next_run_goes_on(hub, tmp_path, limit):
    ground = Ground(hub, tmp_path)
    model = MANY if limit < MIB else MODEL
    told = Traveller(ground.all_settings(), model, tmp_path / "answer", prepare=limited_to(limit)).outcome()
    assert told["error"]["type"] == "StorageError", told["error"]
    assert "ulimit -f" in " ".join(told["error"]["advice"])
    ground.assert_honest()
    assert_verified(ground, model)

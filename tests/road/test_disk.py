"""Whatever the disk refuses ends as one named error that says what to do; nothing is lost, and the next run goes on."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from availability import adopt, ensure_models, status
from availability.digests import CHUNK_BYTES
from availability.download import Download
from availability.ensure import Request, plan_one
from availability.errors import GatedModelError, InsufficientStorageError, StorageError
from availability.model import parse_model_id
from availability.selection import Selection
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, KIB, MIB, WEIGHTS, flipped
from tests.road.ground import MODEL, Ground, size_of
from tests.road.honest import assert_honest
from tests.road.travellers import Traveller, as_user, limited_to

NOBODY = 65534
SIZE = 12 * MIB + 17
MANY = "org/many"
ROOM = 32 * MIB

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and be somebody else")


@contextmanager
def mounted(folder, *arguments):
    """Mount something at a folder; skips where the machine does not let us."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def small_disk(folder, size=ROOM):
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def fill(folder, *, leave=0):
    """Take what is free there, all but a little; return the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        free = shutil.disk_usage(folder).free - leave
        os.posix_fallocate(file.fileno(), 0, max(free, 1))
    return filler


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    write_model(store, MODEL, {CONFIG: b"{}\n", WEIGHTS: SIZE})
    write_model(store, MANY, {f"{index:02}.json": 900 * KIB + index for index in range(12)})
    return store


@pytest.fixture
def hub(models):
    lines = [
        Fault("shape", WEIGHTS, bytes_per_second=16 * MIB),
        Fault("shape", r"/\d+\.json", bytes_per_second=2 * MIB),  # over many connections at once
    ]
    with FaultyHub(models, faults=lines) as server:
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


def assert_verified(ground, model=MODEL):
    outcome = ground.ensure(model)
    assert outcome.success, outcome.error
    ground.assert_honest()
    return outcome


def assert_says_what_to_do(error, kind, *words):
    assert type(error) is kind, error
    assert error.advice
    for word in words:
        assert word in str(error), error


# --- a full disk ----------------------------------------------------------------------------------------


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


# --- a disk that is not ours to write -------------------------------------------------------------------


@contextmanager
def read_only(folder):
    """Mount a folder over itself, read-only."""
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


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
def open_folder():
    """A folder that every user may look into."""
    folder = Path(tempfile.mkdtemp(prefix="availability-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


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

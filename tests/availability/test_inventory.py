"""The law of the inventory: status is what the disk shows now, never what somebody once wrote down."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from availability.catalog import Catalog, CatalogEntry
from availability.controls import DownloadRecord, DownloadState
from availability.inventory import all_models, known_ids, model_status
from availability.lease import hold
from availability.model import Commit, ModelId
from availability.record import Defect, Proof, SnapshotRecord
from availability.settings import load_settings
from availability.status import Availability
from availability.transfer.meter import Progress
from availability.workspace import Workspace
from tests.builders import CONFIG, NESTED, WEIGHTS, file_record, listing_of, random_bytes, run_program, write_tiny_model

MODEL = ModelId("org/tiny")
CONTENTS = {CONFIG: b"{}\n", NESTED: b"a\n", WEIGHTS: random_bytes(9995)}
COMMIT = Commit("c" * 40)
NOBODY = Catalog()
CHECKED_AT = 1_700_000_000.0
PROGRESS = Progress("downloading", 200, 50, 60, 10.0, 15.0, 1, None)


@pytest.fixture
def here(tmp_path):
    folders = {"storage.models_directory": tmp_path / "store", "storage.cache_directory": tmp_path / "state"}
    return Workspace(load_settings(folders, env={}, dotenv=None))


def publish(here, wanted=tuple(CONTENTS), model=MODEL, commit=COMMIT):
    """Do by hand what the road does at its end: every file under its name, every proof in the record."""
    store = here.store
    listing = listing_of(*(file_record(content, path) for path, content in CONTENTS.items()), commit=commit)
    files = [file for file in listing.files if file.path in wanted]
    store.prepare(model)
    for file in files:
        (store.staging(model) / file.digest).write_bytes(CONTENTS[file.path])
    store.publish_blobs(model, files)
    snapshot = store.publish_snapshot(listing, files)
    proofs = {file.path: Proof(store.signature(snapshot / file.path), CHECKED_AT) for file in files}
    here.records.write(SnapshotRecord(listing, wanted=frozenset(wanted), proofs=proofs))
    store.point(model, commit)
    return snapshot


def blob(here, path):
    return (here.store.snapshot(MODEL, COMMIT) / path).resolve()


def status(here, model=MODEL, catalog=NOBODY):
    return model_status(here, model, catalog)


def download(here, state=DownloadState.DOWNLOADING, download_id="id-1", revision="main"):
    record = DownloadRecord(download_id, MODEL.repo_id, revision, "normal", state, PROGRESS, 1.0, 2.0)
    here.controls.write(record)
    return record


def at_work(here, holder="id-1"):
    return hold(here.lease_path(MODEL), on_wait=lambda: None, should_stop=lambda: False, holder=holder)


# --- the words ------------------------------------------------------------------------------------------


def test_what_is_published_and_proven_is_available(here):
    snapshot = publish(here)
    seen = status(here)
    assert seen.availability_status is Availability.AVAILABLE
    assert (seen.path, seen.commit) == (snapshot, COMMIT)
    assert (seen.size_bytes, seen.integrity_score) == (10_000, 1.0)
    assert seen.oldest_check == datetime.fromtimestamp(CHECKED_AT, UTC)
    assert (seen.missing, seen.damaged, seen.unverified) == ((), (), ())
    assert seen.next_steps() == []


def test_what_is_not_there_is_missing_and_nothing_is_claimed_about_it(here):
    seen = status(here)
    assert seen.availability_status is Availability.MISSING
    assert (seen.path, seen.commit, seen.size_bytes, seen.integrity_score, seen.oldest_check) == (None,) * 5
    assert seen.next_steps() == ["Fetch it: availability ensure org/tiny"]


def test_staged_bytes_are_no_model(here):
    here.store.prepare(MODEL)
    (here.store.staging(MODEL) / ("a" * 64)).write_bytes(b"x")
    assert status(here).availability_status is Availability.MISSING


@pytest.mark.parametrize("path", CONTENTS)
def test_without_one_of_its_files_it_is_missing_and_the_file_is_named(here, path):
    publish(here)
    blob(here, path).unlink()
    seen = status(here)
    assert seen.availability_status is Availability.MISSING
    assert (seen.missing, seen.unverified, seen.path) == ((path,), (), None)
    assert seen.integrity_score == pytest.approx(1 - len(CONTENTS[path]) / 10_000)
    assert seen.next_steps() == ["Fetch it: availability ensure org/tiny"]


def test_without_its_pointer_it_is_missing(here):
    publish(here)
    (here.store.folder(MODEL) / "refs" / "main").unlink()
    assert status(here).availability_status is Availability.MISSING
    assert status(here, ModelId("org/tiny", COMMIT)).availability_status is Availability.AVAILABLE


@pytest.mark.parametrize("change", ["content", "time", "size"])
def test_a_file_that_was_touched_since_is_unverified_and_so_not_available(here, change):
    publish(here)
    place = blob(here, WEIGHTS)
    if change == "content":
        place.write_bytes(random_bytes(9995, 1))
    elif change == "time":
        os.utime(place, (1, 1))
    else:
        os.truncate(place, 5)
    seen = status(here)
    assert seen.availability_status is Availability.MISSING
    assert (seen.unverified, seen.missing, seen.path) == ((WEIGHTS,), (), None)
    assert seen.next_steps() == ["Have it proven, without a download: availability ensure org/tiny"]


def spoiled(here):
    """Damage a file, and note what a check saw."""
    publish(here)
    blob(here, WEIGHTS).write_bytes(random_bytes(9995, 1))
    record = here.records.read(MODEL, COMMIT)
    defect = Defect(here.store.signature(blob(here, WEIGHTS)), "flipped_range", ((0, 4096),), 5.0)
    here.records.write(replace(record, defects={WEIGHTS: defect}))


def test_known_wrong_bytes_are_corrupted_with_their_ranges(here):
    spoiled(here)
    seen = status(here)
    assert seen.availability_status is Availability.CORRUPTED
    assert seen.damaged == ({"file": WEIGHTS, "ranges": [(0, 4096)]},)
    assert seen.path is None
    assert seen.integrity_score == pytest.approx(5 / 10_000)
    assert seen.next_steps() == ["Heal it: availability ensure org/tiny"]


def test_wrong_bytes_that_were_seen_at_another_state_of_the_file_are_not_known_any_more(here):
    spoiled(here)
    os.utime(blob(here, WEIGHTS), (1, 1))
    seen = status(here)
    assert seen.availability_status is Availability.MISSING
    assert (seen.damaged, seen.unverified) == ((), (WEIGHTS,))


def test_what_another_client_brought_is_there_but_unverified(here):
    write_tiny_model(here.store.root)
    seen = status(here)
    assert seen.availability_status is Availability.MISSING
    assert seen.unverified == (CONFIG, WEIGHTS, NESTED)
    assert (seen.size_bytes, seen.integrity_score, seen.path) == (None, None, None)
    assert seen.next_steps() == ["Have it proven, without a download: availability ensure org/tiny"]


def test_complete_is_relative_to_what_was_asked_for(here):
    publish(here, wanted=(CONFIG, NESTED))
    seen = status(here)
    assert seen.availability_status is Availability.AVAILABLE
    assert seen.size_bytes == 5


def test_the_catalog_does_not_change_the_word(here):
    publish(here)
    wanted = Catalog((CatalogEntry(MODEL),))
    assert status(here, catalog=wanted).availability_status is Availability.AVAILABLE


# --- the living and the dead ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in DownloadState if state.is_active])
def test_while_somebody_is_at_work_it_is_downloading(here, state):
    download(here, state)
    with at_work(here):
        seen = status(here)
    assert seen.availability_status is Availability.DOWNLOADING
    assert seen.is_running
    assert seen.next_steps() == ["Wait, or watch it: it is being fetched."]


def test_while_the_next_version_is_fetched_this_one_serves(here):
    snapshot = publish(here)
    download(here)
    with at_work(here):
        seen = status(here)
    assert (seen.availability_status, seen.path) == (Availability.UPDATING, snapshot)
    assert seen.availability_status.is_available


def test_a_holder_that_is_gone_is_never_downloading(here):
    download(here)
    with at_work(here):
        pass
    assert status(here).availability_status is Availability.MISSING
    publish(here)
    assert status(here).availability_status is Availability.AVAILABLE


KILLED = """
import os, sys
from pathlib import Path
from availability.lease import hold
with hold(Path(sys.argv[1]), on_wait=print, should_stop=lambda: False, holder="id-1"):
    if os.fork() == 0:
        os.kill(os.getppid(), 9)
    os.wait()
"""


def test_a_holder_that_was_killed_is_never_downloading(here):
    download(here)
    with pytest.raises(Exception, match="SIGKILL"):
        run_program(KILLED, here.lease_path(MODEL))
    assert here.lease_path(MODEL).exists()
    seen = status(here)
    assert (seen.availability_status, seen.is_running) == (Availability.MISSING, False)
    assert seen.as_dict()["download"] is None


def test_somebody_at_work_on_another_revision_does_not_raise_the_dead(here):
    download(here, download_id="dead", revision="main")
    download(here, download_id="alive", revision="v1")
    with at_work(here, "alive"):
        assert status(here).availability_status is Availability.MISSING
        assert status(here, ModelId("org/tiny", "v1")).availability_status is Availability.DOWNLOADING


@pytest.mark.parametrize("state", [state for state in DownloadState if not state.is_active])
def test_a_download_that_has_ended_is_not_downloading_though_its_lease_is_still_held(here, state):
    download(here, state)
    with at_work(here):
        assert status(here).availability_status is Availability.MISSING


def test_a_lease_without_a_record_is_not_yet_a_download(here):
    with at_work(here):
        assert status(here).availability_status is Availability.MISSING


# --- as data --------------------------------------------------------------------------------------------


def test_a_status_is_data_and_null_where_nothing_is_known(here):
    snapshot = publish(here)
    told = json.loads(json.dumps(status(here).as_dict()))
    assert told["model_id"] == "org/tiny"
    assert told["availability_status"] == "available"
    assert told["is_available"] is True
    assert told["path"] == str(snapshot)
    assert told["size_mb"] == 0.01
    assert told["current_revision"] == COMMIT
    assert told["last_health_check"] == "2023-11-14T22:13:20+00:00"
    unknown = ("performance_score", "latest_revision", "update_available", "uses_per_day", "last_used", "error")
    assert all(told[name] is None for name in unknown)


def test_a_running_download_is_told_with_its_figures(here):
    download(here)
    with at_work(here):
        told = status(here).as_dict()["download"]
    assert told["download_id"] == "id-1"
    assert (told["percent"], told["bytes_done"], told["bytes_total"], told["retries"]) == (25.0, 50, 200, 1)


def test_damage_is_told_as_data(here):
    spoiled(here)
    told = json.loads(json.dumps(status(here).as_dict()))
    assert told["damaged_ranges"] == [{"file": WEIGHTS, "ranges": [[0, 4096]]}]
    assert (told["is_available"], told["missing_files"]) == (False, [])


# --- what it costs --------------------------------------------------------------------------------------


def test_asking_reads_no_content_and_needs_no_network(here):
    publish(here)
    place = blob(here, WEIGHTS)
    os.truncate(place, 10**12)  # reading it would take hours
    listing = listing_of(replace(file_record(b"", WEIGHTS), size=10**12), commit=COMMIT)
    proof = Proof(here.store.signature(place), CHECKED_AT)
    snapshot = here.store.snapshot(MODEL, COMMIT)
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(place)
    here.records.write(SnapshotRecord(listing, wanted=frozenset({WEIGHTS}), proofs={WEIGHTS: proof}))
    begun = time.process_time()
    assert status(here).availability_status is Availability.AVAILABLE
    assert time.process_time() - begun < 5
    assert "source" not in vars(here)


def test_asking_writes_nothing(here, tmp_path):
    publish(here)
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    status(here)
    all_models(here, NOBODY)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


# --- all of them ----------------------------------------------------------------------------------------


def test_every_model_that_anybody_knows_is_listed(here):
    publish(here)
    publish(here, model=ModelId("org/tiny", "v1"))
    write_tiny_model(here.store.root, "other/one")
    here.controls.write(DownloadRecord("id", "from/runs", "main", "low", DownloadState.FAILED, None, 1.0, 2.0))
    catalog = Catalog((CatalogEntry(ModelId("from/catalog", "v2")), CatalogEntry(MODEL)))
    assert [str(model) for model in all_models(here, catalog)] == [
        "from/catalog@v2",
        "from/runs",
        "org/tiny",
        "org/tiny@v1",
        "other/one",
    ]


def test_a_commit_that_no_name_points_to_is_listed_by_itself(here):
    publish(here)
    publish(here, commit=Commit("d" * 40))
    assert {str(model) for model in all_models(here, NOBODY)} == {"org/tiny", f"org/tiny@{COMMIT}"}


def test_an_empty_installation_lists_nothing(here):
    assert all_models(here, NOBODY) == ()
    assert [*known_ids(here)] == []


def test_ids_on_disk_are_known(here):
    publish(here)
    write_tiny_model(here.store.root, "gpt2")
    assert [*known_ids(here)] == ["gpt2", "org/tiny"]

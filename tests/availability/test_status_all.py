"""The law of the overview: it says of every model what looking at that model says, however much it remembers."""

import json
import os
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability.catalog import Catalog, CatalogEntry
from availability.controls import DownloadRecord, DownloadState
from availability.inventory import all_models, model_status
from availability.lease import hold
from availability.memo import Memo
from availability.model import Commit, ModelId
from availability.overview import LIVE_SECONDS, Overviews, status_all
from availability.record import Defect, Proof, SnapshotRecord
from availability.settings import load_settings
from availability.status import Availability
from availability.transfer.meter import Progress
from availability.workspace import Workspace
from tests.builders import CONFIG, NESTED, WEIGHTS, Clock, file_record, listing_of, no_deadline, random_bytes

NOBODY = Catalog()
CONTENTS = {CONFIG: b"{}\n", NESTED: b"a\n", WEIGHTS: random_bytes(995)}
COMMITS = tuple(Commit(letter * 40) for letter in "abc")
LONG_AFTER = 3600.0
"""Seconds by which the clock of the overviews is ahead, so that all they see has settled."""


@pytest.fixture
def here(tmp_path):
    return workspace_at(tmp_path)


def workspace_at(folder, **more):
    folders = {"storage.models_directory": folder / "store", "storage.cache_directory": folder / "state"}
    return Workspace(load_settings({**folders, **more}, env={}, dotenv=None))


def publish(here, model, commit=COMMITS[0], wanted=tuple(CONTENTS), *, with_record=True):
    store = here.store
    listing = listing_of(
        *(file_record(content, path) for path, content in CONTENTS.items()), model=model.repo_id, commit=commit
    )
    files = [file for file in listing.files if file.path in wanted]
    store.prepare(model)
    for file in files:
        (store.staging(model) / file.digest).write_bytes(CONTENTS[file.path])
    store.publish_blobs(model, files)
    snapshot = store.publish_snapshot(replace(listing, model=model), files)
    store.clear_staging(model)
    if with_record:
        proofs = {file.path: Proof(store.signature(snapshot / file.path), 1_700_000_000.0) for file in files}
        here.records.write(SnapshotRecord(replace(listing, model=model), wanted=frozenset(wanted), proofs=proofs))
    store.point(model, commit)
    return snapshot


def download(here, model, state=DownloadState.COMPLETED, done=50):
    progress = Progress("downloading", 200, done)
    record = DownloadRecord("run", model.repo_id, model.revision, "normal", state, progress, time.time(), time.time())
    here.controls.write(record)
    return record


def told(overview):
    """What it says, without the downloads that are over, of which only the single status tells."""
    return {one.model: one if one.is_running else replace(one, download=None) for one in overview.statuses}


def truth(here, catalog=NOBODY):
    found = {model: model_status(here, model, catalog) for model in all_models(here, catalog)}
    return {model: one if one.is_running else replace(one, download=None) for model, one in found.items()}


def assert_agrees(here, catalog=NOBODY):
    overview = status_all(here, catalog, refresh=True)
    expected = truth(here, catalog)
    assert told(overview) == expected
    assert [one.model for one in overview.statuses] == [*expected]
    words = Counter(one.availability_status for one in expected.values())
    assert overview.counts == {word: words[word] for word in Availability}


def set_up_memory(here, *, many_folders=1000):
    """Let an overview remember at once, as it would two seconds later, and from few folders on as with many."""
    overviews = Overviews(here, now=lambda: time.time() + LONG_AFTER)
    overviews._memo = Memo(here.store, here.records, overviews._now, many_folders=many_folders)
    here.__dict__["_overviews"] = overviews
    return overviews


def let_the_clock_tick(folder):
    """Wait until a change shows in a modification time; a kernel's clock has steps of some milliseconds."""
    probe, end = folder / "probe", time.monotonic() + 5
    probe.write_bytes(b"")
    before = probe.stat().st_mtime_ns
    while probe.stat().st_mtime_ns == before:
        assert time.monotonic() < end
        probe.write_bytes(b"x")


# --- it is the truth, whatever happens to the shelves ------------------------------------------------------

MODELS = (ModelId("org/one"), ModelId("org/one", "v2"), ModelId("org/two"), ModelId("bare"))


def some_model(random):
    return random.choice(MODELS)


def some_path(here, random, pattern):
    return random.choice(sorted(here.store.root.glob(pattern)) or [None])


def publishes(here, random):
    publish(here, some_model(random), random.choice(COMMITS), random.choice([tuple(CONTENTS), (CONFIG,)]))


def publishes_unknown(here, random):
    publish(here, some_model(random), random.choice(COMMITS), with_record=False)


def removes_a_model(here, random):
    shutil.rmtree(here.store.folder(some_model(random)), ignore_errors=True)


def removes_a_snapshot(here, random):
    path = some_path(here, random, "models--*/snapshots/*")
    if path:
        shutil.rmtree(path)


def removes_a_file(here, random):
    path = some_path(here, random, f"models--*/snapshots/*/{random.choice(sorted(CONTENTS))}")
    if path:
        path.unlink()


def removes_a_blob(here, random):
    path = some_path(here, random, "models--*/blobs/*")
    if path:
        path.unlink()


def writes_into_a_blob(here, random):
    path = some_path(here, random, "models--*/blobs/*")
    if path:
        with path.open("r+b") as file:
            file.write(random.randbytes(1))


def truncates_a_blob(here, random):
    path = some_path(here, random, "models--*/blobs/*")
    if path:
        os.truncate(path, path.stat().st_size // 2)


def puts_a_file_for_a_link(here, random):
    path = some_path(here, random, f"models--*/snapshots/*/{CONFIG}")
    if path:
        path.unlink()
        path.write_bytes(b"{}")


def renames_a_link(here, random):
    path = some_path(here, random, f"models--*/snapshots/*/{NESTED}")
    if path:
        path.rename(path.with_name("other.txt"))


def moves_a_reference(here, random):
    path = some_path(here, random, "models--*/refs/*")
    if path and path.is_file():
        path.write_text(random.choice(COMMITS))  # in place, as the client does


def breaks_a_reference(here, random):
    path = some_path(here, random, "models--*/refs/*")
    if path and path.is_file():
        path.write_text("nonsense")


def adds_a_reference(here, random):
    folder = some_path(here, random, "models--*")
    if folder:
        path = folder / "refs" / random.choice(["v9", "refs/pr/1", "a name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(random.choice(COMMITS))


def removes_a_reference(here, random):
    path = some_path(here, random, "models--*/refs/*")
    if path and path.is_file():
        path.unlink()


def adds_an_empty_snapshot(here, random):
    folder = some_path(here, random, "models--*")
    if folder:
        (folder / "snapshots" / random.choice(COMMITS)).mkdir(parents=True, exist_ok=True)


def finds_damage(here, random):
    """A check finds rot: the file's signature is the same, only the record says it now."""
    record = some_record(here, random)
    if record:
        model, known = record
        path = random.choice(sorted(known.wanted))
        signature = here.store.signature(here.store.snapshot(model, known.listing.commit) / path)
        if signature:
            defects = {**known.defects, path: Defect(signature, "flipped_range", ((0, 1),), 1_700_000_001.0)}
            proofs = {name: proof for name, proof in known.proofs.items() if name != path}
            here.records.write(replace(known, defects=defects, proofs=proofs))


def some_record(here, random):
    paths = sorted(here.records.root.glob("models--*/*.json"))
    if not paths:
        return None
    path = random.choice(paths)
    model = ModelId(path.parent.name.removeprefix("models--").replace("--", "/"))
    known = here.records.read(model, Commit(path.stem))
    return known and (model, known)


def loses_a_record(here, random):
    record = some_record(here, random)
    if record:
        here.records.path(record[0], record[1].listing.commit).unlink()


def finishes_a_download(here, random):
    download(here, some_model(random), random.choice([DownloadState.COMPLETED, DownloadState.FAILED]))


def dies_in_a_download(here, random):
    download(here, ModelId("org/gone", random.choice(["main", "v2", COMMITS[2]])), DownloadState.DOWNLOADING)


def leaves_bytes_in_staging(here, random):
    folder = here.store.staging(some_model(random))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part").write_bytes(random.randbytes(5000))


def looks_with_another_process(here, random):  # noqa: ARG001  an event
    """Forget all that this process knows: the next look begins with the file that processes share."""
    set_up_memory(here, many_folders=here.overviews._memo._many_folders)


EVENTS = (
    publishes,
    publishes_unknown,
    removes_a_model,
    removes_a_snapshot,
    removes_a_file,
    removes_a_blob,
    writes_into_a_blob,
    truncates_a_blob,
    puts_a_file_for_a_link,
    renames_a_link,
    moves_a_reference,
    breaks_a_reference,
    adds_a_reference,
    removes_a_reference,
    adds_an_empty_snapshot,
    finds_damage,
    loses_a_record,
    finishes_a_download,
    dies_in_a_download,
    leaves_bytes_in_staging,
    looks_with_another_process,
)
CATALOG = Catalog(tuple(CatalogEntry(ModelId(*key)) for key in (("org/one",), ("org/absent",), ("org/two", "v7"))))

LOSES = {loses_a_record}
"""What nothing of ours does, and what an overview of many folders therefore does not look for each time."""


@settings(no_deadline, max_examples=20)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=12), seed=st.integers(0, 2**32))
def test_after_whatever_happens_every_model_has_the_status_that_looking_at_it_gives(events, seed):
    with TemporaryDirectory() as folder:
        here, random = workspace_at(Path(folder)), Random(seed)
        set_up_memory(here)
        publish(here, MODELS[0])
        publish(here, MODELS[1], COMMITS[1])
        assert_agrees(here, CATALOG)
        for event in events:
            let_the_clock_tick(Path(folder))
            event(here, random)
            assert_agrees(here, CATALOG)


@settings(no_deadline, max_examples=15)
@given(events=st.lists(st.sampled_from([e for e in EVENTS if e not in LOSES]), max_size=12), seed=st.integers(0, 2**32))
def test_so_it_is_where_there_are_many_folders(events, seed):
    with TemporaryDirectory() as folder:
        here, random = workspace_at(Path(folder)), Random(seed)
        set_up_memory(here, many_folders=0)
        publish(here, MODELS[0])
        assert_agrees(here, CATALOG)
        for event in events:
            let_the_clock_tick(Path(folder))
            event(here, random)
            assert_agrees(here, CATALOG)


def test_where_there_are_many_folders_new_revisions_of_others_are_seen_with_a_refresh(here):
    set_up_memory(here, many_folders=0)
    publish(here, MODELS[0])
    status_all(here, NOBODY, refresh=True)
    let_the_clock_tick(here.state)
    (here.store.folder(MODELS[0]) / "refs" / "v9").write_text(COMMITS[0])
    here.overviews._answer = None
    assert ModelId("org/one", "v9") not in told(status_all(here, NOBODY))
    assert ModelId("org/one", "v9") in told(status_all(here, NOBODY, refresh=True))


# --- it remembers, and what it remembers may be lost -------------------------------------------------------


def test_what_did_not_change_is_not_read_again(here):
    set_up_memory(here)
    publish(here, MODELS[0])
    assert_agrees(here)
    overviews = here.overviews
    here.overviews._memo.changes = 0
    assert_agrees(here)
    assert overviews._memo.changes == 0


def test_another_process_reads_nothing_again_either(here):
    set_up_memory(here)
    publish(here, MODELS[0])
    assert_agrees(here)
    other = set_up_memory(here)
    assert_agrees(here)
    assert (other._memo.size, other._memo.changes) == (1, 0)


def test_what_changed_a_moment_ago_is_not_remembered(here):
    publish(here, MODELS[0])
    assert_agrees(here)
    assert here.overviews._memo.size == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda content: content[:-20] + bytes(20),
        lambda content: content.replace(b'"format": ', b'"format": 9'),
        lambda content: b"\xff" * len(content),
        lambda _: json.dumps({"format": 1}).encode(),
    ],
    ids=["half", "empty", "zeroed tail", "another format", "noise", "something else"],
)
def test_a_damaged_index_costs_time_only(here, damage):
    overviews = set_up_memory(here)
    publish(here, MODELS[0])
    assert_agrees(here)
    overviews._path.write_bytes(damage(overviews._path.read_bytes()))
    other = set_up_memory(here)
    assert_agrees(here)
    assert other._memo.size == 1


def test_nothing_is_written_where_nothing_was_recorded(tmp_path):
    here = workspace_at(tmp_path)
    set_up_memory(here)
    publish(here, MODELS[0], with_record=False)
    assert_agrees(here)
    assert not here.state.exists()


def test_forgetting_reads_everything_again(here):
    overviews = set_up_memory(here)
    publish(here, MODELS[0])
    assert_agrees(here)
    overviews.forget()
    assert_agrees(here)
    assert overviews._memo.size == 1


def test_a_record_shows_in_the_time_of_the_root_of_all_records(here):
    publish(here, MODELS[0])
    let_the_clock_tick(here.state)
    before = here.records.root.stat().st_mtime_ns
    known = here.records.read(MODELS[0], COMMITS[0])
    here.records.write(replace(known, defects={}))
    assert here.records.root.stat().st_mtime_ns > before


# --- an answer is given again while it is young ------------------------------------------------------------


@pytest.fixture
def clock(here):
    ticking = Clock(time.time())
    here.__dict__["_overviews"] = Overviews(here, now=ticking)
    return ticking


def words(here, **asked):
    return {one.model: one.availability_status for one in status_all(here, NOBODY, **asked).statuses}


def test_a_young_answer_is_given_again_and_its_age_said(here, clock):
    snapshot = publish(here, MODELS[0])
    assert words(here) == {MODELS[0]: Availability.AVAILABLE}
    (snapshot / CONFIG).unlink()
    clock.now += 300
    answer = status_all(here, NOBODY)
    assert (answer.all_available, round(answer.age_seconds)) == (True, 300)


def test_an_old_answer_is_not(here, clock):
    snapshot = publish(here, MODELS[0])
    words(here)
    (snapshot / CONFIG).unlink()
    clock.now += 301
    assert words(here) == {MODELS[0]: Availability.MISSING}
    assert status_all(here, NOBODY).age_seconds == 0


def test_a_refresh_looks_at_once(here, clock):
    snapshot = publish(here, MODELS[0])
    words(here)
    (snapshot / CONFIG).unlink()
    clock.now += 1
    assert words(here, refresh=True) == {MODELS[0]: Availability.MISSING}


def test_another_catalog_is_another_question(here):
    words(here)
    wanted = Catalog((CatalogEntry(ModelId("org/wanted")),))
    assert [one.model for one in status_all(here, wanted).statuses] == [ModelId("org/wanted")]


def test_progress_never_stands_still_in_a_remembered_answer(here, clock):
    model = MODELS[2]
    with hold(here.lease_path(model), on_wait=lambda: None, should_stop=lambda: False, holder="run"):
        seen = []
        for done in (10, 20, 30):
            download(here, model, DownloadState.DOWNLOADING, done)
            clock.now += LIVE_SECONDS * 2
            (status,) = status_all(here, NOBODY).statuses
            seen.append((status.availability_status, status.download.progress.bytes_done))
    assert seen == [(Availability.DOWNLOADING, done) for done in (10, 20, 30)]


def test_a_download_that_ended_shows_in_a_remembered_answer(here, clock):
    model = MODELS[2]
    with hold(here.lease_path(model), on_wait=lambda: None, should_stop=lambda: False, holder="run"):
        download(here, model, DownloadState.DOWNLOADING)
        clock.now += LIVE_SECONDS * 2
        assert words(here) == {model: Availability.DOWNLOADING}
        publish(here, model)
        download(here, model, DownloadState.COMPLETED)
    clock.now += LIVE_SECONDS * 2
    assert words(here) == {model: Availability.AVAILABLE}
    assert status_all(here, NOBODY).all_available


def test_a_holder_that_died_is_never_downloading(here):
    download(here, MODELS[2], DownloadState.DOWNLOADING)
    assert words(here) == {MODELS[2]: Availability.MISSING}


# --- pages and figures -------------------------------------------------------------------------------------


def test_pages_part_the_models_and_the_figures_are_of_all(here):
    models = [ModelId(f"org/m{number}") for number in range(5)]
    for model in models[:4]:
        publish(here, model)
    download(here, models[4], DownloadState.FAILED)
    pages = [status_all(here, NOBODY, page=page, page_size=2) for page in (1, 2, 3, 4)]
    assert [[one.model for one in page.statuses] for page in pages] == [models[:2], models[2:4], models[4:], []]
    assert {(page.pages, page.as_dict()["models"], page.as_dict()["available"]) for page in pages} == {(3, 5, 4)}
    assert not pages[0].all_available


def test_an_empty_store_is_one_empty_page(here):
    overview = status_all(here, NOBODY)
    assert (list(overview.statuses), overview.pages, overview.all_available) == ([], 1, True)


def test_storage_is_what_lies_on_the_disk_and_shared_content_counts_once(here):
    for model in MODELS[2:]:
        publish(here, model)
    shared, first = here.store.root / "shared", here.store.folder(MODELS[2]) / "blobs"
    largest = max(first.iterdir(), key=lambda path: path.stat().st_size)
    shared.mkdir()
    largest.rename(shared / "blob")
    for model in MODELS[2:]:
        link = here.store.folder(model) / "blobs" / largest.name
        link.unlink(missing_ok=True)
        link.symlink_to(shared / "blob")
    assert status_all(here, NOBODY, refresh=True).stored_bytes == sum(here.store.stored_bytes().values())


def test_what_gathers_in_staging_is_counted_as_it_grows(here):
    set_up_memory(here)
    publish(here, MODELS[0])
    for size in (100_000, 300_000):
        let_the_clock_tick(here.state)
        staging = here.store.staging(MODELS[0])
        staging.mkdir(exist_ok=True)
        (staging / "part").write_bytes(random_bytes(size))
        assert status_all(here, NOBODY, refresh=True).stored_bytes == sum(here.store.stored_bytes().values())


# --- many at once ------------------------------------------------------------------------------------------


def test_a_hundred_threads_get_one_look_between_them(here):
    publish(here, MODELS[0])
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: status_all(here, NOBODY), range(100)))
    assert all(answer.all_available and len(answer.statuses) == 1 for answer in answers)
    assert len({id(answer.counts) for answer in answers}) == 1

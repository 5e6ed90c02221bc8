"""The law of the store: whatever reads a Hugging Face cache reads ours, and at no moment does it see half a model."""

import errno
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from availability.errors import StorageError
from availability.model import Commit, ModelId
from availability.store import Store
from tests.builders import (
    CONFIG,
    KIB,
    MIB,
    NESTED,
    WEIGHTS,
    file_record,
    flipped,
    listing_of,
    random_bytes,
    write_tiny_model,
)

MODEL = ModelId("org/tiny")
FIRST = {CONFIG: b'{"version": 1}\n', NESTED: b"a\nb\n", WEIGHTS: random_bytes(100 * KIB)}
SECOND = {**FIRST, CONFIG: b'{"version": 2}\n', "deep/er/still.txt": b"c\n"}
COMMIT, NEXT_COMMIT = Commit("c" * 40), Commit("d" * 40)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def records(contents):
    return [file_record(content, path, lfs=path == WEIGHTS) for path, content in contents.items()]


def stage(store, contents):
    store.prepare(MODEL)
    for file in records(contents):
        (store.staging(MODEL) / file.digest).write_bytes(contents[file.path])


def publish(store, contents, commit=COMMIT, model=MODEL, some=None):
    """Publish what is staged, in the order of the road; `some` are the files that were asked for."""
    listing = listing_of(*records(contents), model=str(model), commit=commit)
    files = [file for file in listing.files if some is None or file.path in some]
    store.publish_blobs(model, files)
    store.publish_listing(listing)
    snapshot = store.publish_snapshot(listing, files)
    store.point(model, commit)
    store.clear_staging(model)
    return snapshot


def put(store, contents=None, commit=COMMIT, **options):
    contents = contents or FIRST
    stage(store, contents)
    return publish(store, contents, commit, **options)


def content_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def warnings(store):
    return [str(warning) for warning in scan_cache_dir(store.root).warnings]


def as_the_client_sees_it(store):
    """Return the content that the unmodified client finds without a network, None when it finds none."""
    try:
        found = snapshot_download(MODEL.repo_id, cache_dir=store.root, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    return content_of(Path(found))


# --- publishing -----------------------------------------------------------------------------------------


def test_what_was_published_is_what_the_client_finds(store):
    snapshot = put(store)
    assert content_of(snapshot) == FIRST
    assert as_the_client_sees_it(store) == FIRST
    assert warnings(store) == []


def test_the_client_counts_one_model_of_the_right_size(store):
    put(store)
    (repo,) = scan_cache_dir(store.root).repos
    (revision,) = repo.revisions
    assert (repo.repo_id, revision.commit_hash, revision.refs) == ("org/tiny", COMMIT, frozenset({"main"}))
    assert repo.size_on_disk == sum(map(len, FIRST.values()))


def test_nothing_of_ours_is_left_in_the_store(store):
    put(store)
    assert sorted(path.name for path in store.folder(MODEL).iterdir()) == ["blobs", "refs", "snapshots", "trees"]
    others = {path.name: [*path.iterdir()] for path in store.root.iterdir() if path != store.folder(MODEL)}
    assert others in ({}, {".locks": []})  # the client's own, where no scan looks


def test_blobs_are_named_by_their_publishers_digest(store):
    put(store)
    assert {path.name for path in (store.folder(MODEL) / "blobs").iterdir()} == {file.digest for file in records(FIRST)}


def test_links_are_relative_so_that_a_store_can_be_moved(store, tmp_path):
    put(store)
    store.root.rename(tmp_path / "moved")
    assert as_the_client_sees_it(Store(tmp_path / "moved")) == FIRST


def test_a_model_that_is_wanted_in_part_is_seen_as_one_in_part(store):
    contents = {path: FIRST[path] for path in (CONFIG, NESTED)}
    stage(store, contents)
    publish(store, FIRST, some=contents)
    assert warnings(store) == []
    listed = json.loads(store.client_listing(MODEL, COMMIT).read_bytes())["files"]
    assert set(listed) == set(FIRST)
    assert as_the_client_sees_it(store) is None
    found = snapshot_download(
        MODEL.repo_id, cache_dir=store.root, local_files_only=True, allow_patterns=[CONFIG, "tokenizer/*"]
    )
    assert content_of(Path(found)) == contents


def test_a_wider_request_completes_the_snapshot_where_it_stands(store):
    contents = {CONFIG: FIRST[CONFIG]}
    stage(store, contents)
    inode = publish(store, FIRST, some=contents).stat().st_ino
    assert put(store).stat().st_ino == inode
    assert as_the_client_sees_it(store) == FIRST


def test_publishing_twice_changes_nothing(store):
    put(store)
    link = store.snapshot(MODEL, COMMIT) / WEIGHTS
    before = os.lstat(link).st_ino
    publish(store, FIRST)
    assert os.lstat(link).st_ino == before
    assert as_the_client_sees_it(store) == FIRST


def test_a_copy_that_stands_where_a_link_belongs_is_replaced_by_it(store):
    put(store)
    link = store.snapshot(MODEL, COMMIT) / CONFIG
    link.unlink()
    link.write_bytes(b"somebody's copy")
    put(store)
    assert link.is_symlink()
    assert content_of(store.snapshot(MODEL, COMMIT)) == FIRST


def test_a_snapshot_that_another_client_has_begun_is_completed(store):
    store.prepare(MODEL)
    half = store.snapshot(MODEL, COMMIT)
    half.mkdir()
    (half / "theirs.txt").write_bytes(b"x")
    put(store)
    assert content_of(half) == {**FIRST, "theirs.txt": b"x"}


def test_content_that_two_files_share_is_one_blob(store):
    put(store, {"a.json": b"{}", "b/c.json": b"{}"})
    assert len([*(store.folder(MODEL) / "blobs").iterdir()]) == 1
    assert content_of(store.snapshot(MODEL, COMMIT)) == {"a.json": b"{}", "b/c.json": b"{}"}


def test_what_is_under_way_stays_in_staging(store):
    stage(store, FIRST)
    under_way = {f"{'a' * 64}.part", f"{'b' * 64}-12ab34cd.part", "e" * 40}
    for name in under_way:
        (store.staging(MODEL) / name).write_bytes(b"x")
    publish(store, FIRST)
    assert {path.name for path in store.staging(MODEL).iterdir()} == under_way
    assert warnings(store) == []


def test_what_a_killed_run_has_left_half_made_is_cleared_away(store):
    stage(store, FIRST)
    (store.staging(MODEL) / "link-12ab34cd").symlink_to("nowhere")
    (store.staging(MODEL) / f"tree-{COMMIT}").write_bytes(b"{")
    (store.staging(MODEL) / f"snapshot-{NEXT_COMMIT}" / "deep").mkdir(parents=True)
    publish(store, FIRST)
    assert not store.staging(MODEL).exists()
    assert as_the_client_sees_it(store) == FIRST


# --- revisions ------------------------------------------------------------------------------------------


def test_the_pointer_is_the_update_and_the_rollback(store):
    put(store)
    put(store, SECOND, NEXT_COMMIT)
    assert as_the_client_sees_it(store) == SECOND
    assert content_of(store.snapshot(MODEL, COMMIT)) == FIRST
    store.point(MODEL, COMMIT)
    assert as_the_client_sees_it(store) == FIRST
    assert store.commit(MODEL) == COMMIT


def test_whoever_reads_while_the_pointer_moves_finds_one_commit_or_the_other_and_nothing_beside_it(store):
    put(store)
    put(store, SECOND, NEXT_COMMIT)
    store.prepare(MODEL)
    refs, seen = store.folder(MODEL) / "refs", set()

    def read():
        for _ in range(500):
            seen.add((*(path.name for path in refs.iterdir()), (refs / "main").read_text()))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        while not all(reader.done() for reader in readers):
            store.point(MODEL, COMMIT)
            store.point(MODEL, NEXT_COMMIT)
    assert seen <= {("main", COMMIT), ("main", NEXT_COMMIT)}


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", "feature/x", "a" * 39])
def test_every_name_of_a_revision_points_by_itself(store, revision):
    other = ModelId("org/tiny", revision)
    put(store)
    store.prepare(MODEL)
    store.point(other, COMMIT)
    assert store.commit(other) == COMMIT
    assert sorted(store.revisions(MODEL)) == sorted(["main", revision])
    assert warnings(store) == []


def test_a_commit_is_its_own_pointer(store):
    model = ModelId("org/tiny", COMMIT)
    put(store)
    store.point(model, COMMIT)
    assert store.commit(model) == COMMIT
    assert [*store.revisions(MODEL)] == ["main"]


@pytest.mark.parametrize("text", ["", "main", "c" * 39, "C" * 40, "../../x", "c" * 41])
def test_a_pointer_to_nothing_points_nowhere(store, text):
    put(store)
    (store.folder(MODEL) / "refs" / "main").write_text(text)
    assert store.commit(MODEL) is None


def test_a_pointer_with_a_line_end_is_read_as_other_tools_write_it(store):
    put(store)
    (store.folder(MODEL) / "refs" / "main").write_text(f"{COMMIT}\n")
    assert store.commit(MODEL) == COMMIT


# --- at no moment half a model --------------------------------------------------------------------------

STEPS = {"os.rename", "os.symlink", "os.mkdir", "open", "os.remove", "os.rmdir"}


def killed_at(step, action):
    """Do something in another process that is killed before its n-th step on the disk; say whether it was."""
    child = os.fork()
    if not child:
        left = step

        def count(event, _arguments):
            nonlocal left
            left -= event in STEPS
            if left < 0:
                os._exit(9)

        try:
            sys.addaudithook(count)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def every_step(prepare, action):
    """Yield after each kill, with the store in the state it was left in; every time another one further on."""
    step = 0
    while True:
        prepare()
        was_killed = killed_at(step, action)
        yield step
        if not was_killed:
            return
        step += 1


def test_a_publication_that_is_killed_at_any_step_shows_nothing_or_all_of_it(tmp_path):
    seen, store = [], None

    def prepare():
        nonlocal store
        store = Store(tmp_path / f"store{len(seen)}")
        store.root.mkdir()

    for _ in every_step(prepare, lambda: put(store)):
        seen.append(as_the_client_sees_it(store))
        assert warnings(store) == []
        put(store)
        assert as_the_client_sees_it(store) == FIRST
    assert len(seen) > 20
    assert (seen[0], seen[-1]) == (None, FIRST)
    assert all(content in (None, FIRST) for content in seen)


def test_an_update_that_is_killed_at_any_step_shows_the_old_model_or_the_new_one(tmp_path):
    seen, store = [], None

    def prepare():
        nonlocal store
        store = Store(tmp_path / f"store{len(seen)}")
        put(store)
        stage(store, SECOND)

    for _ in every_step(prepare, lambda: publish(store, SECOND, NEXT_COMMIT)):
        seen.append(as_the_client_sees_it(store))
        assert warnings(store) == []
    assert {json.dumps(sorted(content)) for content in seen} == {json.dumps(sorted(c)) for c in (FIRST, SECOND)}
    assert (seen[0], seen[-1]) == (FIRST, SECOND)


# --- content that models share --------------------------------------------------------------------------


@pytest.fixture
def shared(tmp_path):
    """Two models whose weights lie once in the cache's shared store, as newer clients keep them."""
    store = Store(tmp_path / "store")
    for name in ("org/tiny", "org/twin"):
        write_tiny_model(store.root, name, xet=True)
    return store


def weights_of(store, repo_id):
    model = ModelId(repo_id)
    return store.snapshot(model, store.commit(model)) / WEIGHTS


def test_shared_content_is_healed_where_it_lies_for_all_who_share_it(shared):
    weights = weights_of(shared, "org/tiny")
    right = weights.read_bytes()
    blob = shared.folder(MODEL) / "blobs" / weights.readlink().name
    assert blob.is_symlink()
    blob.resolve().chmod(0o644)
    blob.resolve().write_bytes(flipped(right, 5))
    shared.prepare(MODEL)
    (shared.staging(MODEL) / blob.name).write_bytes(right)
    shared.publish_blobs(MODEL, [file_record(right)])
    assert blob.is_symlink()
    assert weights_of(shared, "org/twin").read_bytes() == right
    assert warnings(shared) == []


def test_shared_content_counts_once(shared):
    sizes = shared.stored_bytes()
    assert set(sizes) == {MODEL, ModelId("org/twin")}
    assert 3 * MIB <= sum(sizes.values()) < 4 * MIB


def test_what_is_stored_counts_blobs_and_what_is_under_way(store):
    put(store)
    before = store.stored_bytes()[MODEL]
    assert before >= sum(map(len, FIRST.values()))
    stage(store, {"new.bin": random_bytes(MIB, 3)})
    assert store.stored_bytes()[MODEL] - before >= MIB


def test_a_dangling_blob_takes_no_room_and_is_no_error(store):
    put(store)
    blob = next((store.folder(MODEL) / "blobs").iterdir())
    blob.unlink()
    blob.symlink_to("nowhere")
    assert store.stored_bytes()[MODEL] > 0


# --- links out of the store -----------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["snapshots", "blobs", "refs", "trees", ".staging", ""])
def test_a_folder_that_is_a_link_out_of_the_store_is_refused_before_anything_is_written(store, outside, name):
    place = store.folder(MODEL) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)
    with pytest.raises(StorageError, match="out of the store") as caught:
        store.prepare(MODEL)
    assert caught.value.advice
    assert [*outside.iterdir()] == []


def test_a_snapshot_that_is_a_link_out_of_the_store_is_not_written_through(store, outside):
    stage(store, FIRST)
    store.snapshot(MODEL, COMMIT).symlink_to(outside)
    with pytest.raises(StorageError, match="out of the store"):
        publish(store, FIRST)
    assert [*outside.iterdir()] == []


def test_a_folder_inside_a_snapshot_that_is_a_link_out_is_not_written_through(store, outside):
    stage(store, FIRST)
    store.snapshot(MODEL, COMMIT).mkdir()
    (store.snapshot(MODEL, COMMIT) / "tokenizer").symlink_to(outside)
    with pytest.raises(StorageError, match="out of the store"):
        publish(store, FIRST)
    assert [*outside.iterdir()] == []


def test_a_blob_that_is_a_link_out_of_the_store_is_replaced_and_not_written_through(store, outside):
    (outside / "file").write_bytes(b"theirs")
    stage(store, FIRST)
    blob = store.blob(MODEL, records(FIRST)[0])
    blob.symlink_to(outside / "file")
    assert not store.holds(blob)
    publish(store, FIRST)
    assert (outside / "file").read_bytes() == b"theirs"
    assert not blob.is_symlink()
    assert as_the_client_sees_it(store) == FIRST


def test_a_link_within_the_store_is_one_of_ours(store):
    put(store)
    assert store.holds(store.snapshot(MODEL, COMMIT) / WEIGHTS)
    assert store.holds(store.blob(MODEL, records(FIRST)[0]))


def test_a_store_that_is_itself_a_link_serves(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to("disk")
    store = Store(tmp_path / "store")
    put(store)
    assert as_the_client_sees_it(store) == FIRST


def test_a_store_that_cannot_be_made_says_where_to_choose_another(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=os.strerror(errno.ENOTDIR)) as caught:
        Store(tmp_path / "file" / "store").prepare(MODEL)
    assert "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY" in caught.value.advice[0]


# --- observing ------------------------------------------------------------------------------------------


def test_an_absent_store_holds_nothing(store):
    assert [*store.models()] == []
    assert store.stored_bytes() == {}
    assert store.commit(MODEL) is None
    assert store.present(MODEL) == (frozenset(), frozenset())
    assert (*store.revisions(MODEL), *store.commits(MODEL), *store.snapshot_files(MODEL, COMMIT)) == ()


def test_what_is_in_the_store_is_told(store):
    put(store)
    put(store, SECOND, NEXT_COMMIT)
    assert [*store.models()] == [MODEL]
    assert [*store.commits(MODEL)] == [COMMIT, NEXT_COMMIT]
    assert store.snapshot_files(MODEL, NEXT_COMMIT) == tuple(sorted(SECOND))
    assert store.present(MODEL)[0] == {file.digest for file in records(FIRST | SECOND)} | {
        file.digest for file in records(FIRST)
    }


def test_only_folders_of_models_are_models(store):
    put(store)
    (store.root / "models--not--this").touch()
    (store.root / "datasets--org--other").mkdir()
    (store.root / "blobs").mkdir()
    assert [*store.models()] == [MODEL]


def test_models_come_in_the_order_of_their_names(store):
    for name in ("models--b--x", "models--a--y", "models--gpt2"):
        (store.root / name).mkdir(parents=True)
    assert [model.repo_id for model in store.models()] == ["a/y", "b/x", "gpt2"]


def test_a_signature_changes_with_the_content_and_follows_links(store):
    put(store)
    link = store.snapshot(MODEL, COMMIT) / CONFIG
    before = store.signature(link)
    assert before == store.signature(link.resolve())
    assert before.size == len(FIRST[CONFIG])
    link.resolve().write_bytes(b"x")
    assert store.signature(link) != before


def test_what_is_not_there_has_no_signature(store):
    put(store)
    snapshot = store.snapshot(MODEL, COMMIT)
    assert store.signature(snapshot / "nothing") is None
    assert store.signature(snapshot / CONFIG / "below") is None
    (snapshot / "dangling").symlink_to("nowhere")
    assert store.signature(snapshot / "dangling") is None

"""The store is a Hugging Face cache: the unmodified client agrees with us on every model, whoever fetched it."""

import logging
import shutil

import pytest
from huggingface_hub import HfApi, scan_cache_dir, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from availability import adopt, status
from availability.errors import IncompleteModelError
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, MIB, NESTED, WEIGHTS, flipped, stored_bytes, write_tiny_model
from tests.road.ground import FIRST_PAGE, LARGE, MODEL, SIZE, Ground, size_of

TOKEN = "hf_" + "s3cr3t" * 5


@pytest.fixture
def own(tmp_path):
    store = tmp_path / "published"
    write_tiny_model(store)
    return store


@pytest.fixture
def ground(own, tmp_path):
    with FaultyHub(own) as hub:
        yield Ground(hub, tmp_path)


def assert_verified(ground, **more):
    outcome = ground.ensure(**more)
    assert outcome.success, outcome.error
    ground.assert_honest()
    return outcome


def fetched_by_client(ground, **more):
    return snapshot_download(MODEL, cache_dir=ground.store, endpoint=ground.hub.url, **more)


# --- what we have fetched -------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1"])
def test_the_client_finds_it_offline_and_sees_nothing_wrong(ground, own, revision):
    write_tiny_model(own, revision=revision)
    outcome = assert_verified(ground, model=f"{MODEL}@{revision}")
    found = snapshot_download(MODEL, revision=revision, cache_dir=ground.store, local_files_only=True)
    assert found == str(outcome.path)
    (repo,) = scan_cache_dir(ground.store).repos
    assert repo.repo_id == MODEL
    (seen,) = repo.revisions
    assert (seen.commit_hash, set(seen.refs)) == (outcome.commit, {revision})
    assert seen.size_on_disk == outcome.bytes_total == size_of(ground.hub)


def test_the_client_verifies_it_against_the_hub(ground):
    outcome = assert_verified(ground)
    api = HfApi(endpoint=ground.hub.url)
    told = api.verify_repo_checksums(MODEL, cache_dir=ground.store, revision=outcome.commit)
    assert told.checked_count == 3
    assert [*told.mismatches, *told.missing_paths, *told.extra_paths] == []


def test_the_client_has_nothing_to_fetch_afterwards(ground):
    outcome = assert_verified(ground)
    ground.hub.reset_counters()
    assert fetched_by_client(ground) == str(outcome.path)
    assert ground.sent() == 0


def test_the_client_knows_a_selection_for_what_it_is(ground):
    outcome = assert_verified(ground, include=("*.json",))
    assert [path.name for path in outcome.path.iterdir()] == [CONFIG]
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download(MODEL, cache_dir=ground.store, local_files_only=True)


def test_a_wider_request_fetches_the_rest(ground):
    narrow = assert_verified(ground, include=("*.json", "tokenizer/*"))
    ground.hub.reset_counters()
    wide = assert_verified(ground)
    assert wide.path == narrow.path
    assert ground.sent() == wide.bytes_fetched == SIZE
    again = assert_verified(ground, include=("*.json", "tokenizer/*"))
    assert again.attempts == 0


def test_a_wider_request_that_fails_leaves_the_narrow_one_in_service(ground):
    narrow = assert_verified(ground, include=("*.json",))
    ground.hub.faults.append(Fault("status", LARGE))
    failed = ground.ensure()
    assert not failed.success
    ground.assert_honest()
    assert assert_verified(ground, include=("*.json",)).path == narrow.path


def test_two_revisions_share_what_is_the_same(ground, own):
    assert_verified(ground)
    files = {CONFIG: b'{"new": 1}\n', NESTED: b"a\nb\n", WEIGHTS: own_weights(own)}
    write_model(own, MODEL, files, revision="next")
    ground.hub.reset_counters()
    second = assert_verified(ground, model=f"{MODEL}@next")
    assert second.bytes_fetched == len(files[CONFIG])
    (repo,) = scan_cache_dir(ground.store).repos
    assert len(repo.revisions) == 2
    assert repo.size_on_disk == size_of(ground.hub) + len(files[CONFIG])


def own_weights(store):
    return (store / "weights.copy").write_bytes(stored_bytes(store)) and store / "weights.copy"


# --- what the client has fetched ------------------------------------------------------------------------


@pytest.mark.parametrize("xet", [False, True], ids=["plain", "shared blobs"])
def test_what_the_client_has_fetched_is_taken_over_without_a_download(own, ground, xet):
    if xet:
        shutil.copytree(own_with_xet(own), ground.store, symlinks=True)
    else:
        fetched_by_client(ground)
    before = status(MODEL, workspace=ground.workspace())
    assert (before.availability_status.is_available, len(before.unverified)) == (False, 3)
    ground.hub.reset_counters()
    outcome = assert_verified(ground)
    assert (outcome.bytes_fetched, ground.sent()) == (0, 0)
    assert ground.hub.count("/resolve/") == 0


def own_with_xet(store):
    other = store.with_name("xet")
    write_tiny_model(other, xet=True)
    return other


@pytest.mark.parametrize("xet", [False, True], ids=["plain", "shared blobs"])
def test_what_is_wrong_in_a_clients_cache_is_found_and_healed(own, ground, xet):
    if xet:
        shutil.copytree(own_with_xet(own), ground.store, symlinks=True)
    else:
        fetched_by_client(ground)
    (weights,) = (path.resolve() for path in ground.store.glob(f"models--*/snapshots/*/{WEIGHTS}"))
    weights.chmod(0o644)
    right = weights.read_bytes()
    weights.write_bytes(flipped(right, MIB + 5))
    outcome = assert_verified(ground)
    assert (outcome.path / WEIGHTS).read_bytes() == weights.read_bytes() == right


def test_what_the_client_has_fetched_in_part_is_completed(ground):
    fetched_by_client(ground, allow_patterns=["*.json"])
    ground.hub.reset_counters()
    outcome = assert_verified(ground)
    assert ground.sent() == outcome.bytes_fetched < size_of(ground.hub)


def test_a_cache_without_links_is_taken_over(ground, own):
    """As the client makes it where a file system has none: the files themselves are in the snapshot."""
    snapshot = next(own.glob("models--org--tiny/snapshots/*"))
    folder = ground.store / "models--org--tiny"
    shutil.copytree(snapshot, folder / "snapshots" / snapshot.name)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(snapshot.name)
    outcome = assert_verified(ground)
    assert (outcome.bytes_fetched, ground.sent()) == (0, 0)


def test_a_clients_cache_is_taken_over_with_no_hub_at_all(ground):
    fetched_by_client(ground)
    outcome = ground.ensure(hub__endpoint="http://127.0.0.1:9")
    assert outcome.success, outcome.error
    ground.assert_honest()


def test_a_cache_of_which_nobody_says_what_it_must_be_is_never_available(ground):
    fetched_by_client(ground)
    shutil.rmtree(ground.store / "models--org--tiny/trees")
    outcome = ground.ensure(hub__endpoint="http://127.0.0.1:9")
    assert type(outcome.error).__name__ in ("DownloadFailedError", "UnverifiableError")
    told = status(MODEL, workspace=ground.workspace())
    assert (told.availability_status.value, len(told.unverified)) == ("missing", 3)


# --- what was copied in by hand -------------------------------------------------------------------------


@pytest.fixture
def by_hand(own, tmp_path):
    folder = tmp_path / "by hand"
    shutil.copytree(next(own.glob("models--org--tiny/snapshots/*")), folder)
    return folder


def test_a_folder_is_adopted_without_a_download(ground, by_hand):
    outcome = adopt(by_hand, MODEL, workspace=ground.workspace())
    ground.assert_honest()
    assert (outcome.success, ground.sent()) == (True, 0)
    assert assert_verified(ground).attempts == 0


def test_a_wrong_file_is_not_adopted_and_the_rest_need_not_be_fetched(ground, by_hand):
    weights = (by_hand / WEIGHTS).read_bytes()
    (by_hand / CONFIG).write_bytes(b"{}")
    with pytest.raises(IncompleteModelError):
        adopt(by_hand, MODEL, workspace=ground.workspace())
    ground.assert_honest()
    assert (by_hand / WEIGHTS).read_bytes() == weights
    outcome = assert_verified(ground)
    assert outcome.bytes_fetched < MIB


# --- what is kept from strangers ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["private", "gated"])
@pytest.mark.parametrize(("token", "verified"), [(TOKEN, True), ("hf_wrong", False), (None, False)])
def test_a_model_that_is_not_for_everybody_needs_the_right_token(own, tmp_path, kind, token, verified):
    with FaultyHub(own, token=TOKEN, **{kind: [MODEL]}) as hub:
        ground = Ground(hub, tmp_path, token=token)
        outcome = ground.ensure()
        assert outcome.success == verified
        ground.assert_honest()
        if not verified:
            assert type(outcome.error).__name__ in ("GatedModelError", "ModelNotFoundError", "AccessDeniedError")
            assert any("HF_TOKEN" in line for line in outcome.error.advice)


def test_the_token_reaches_no_other_origin_no_log_and_no_file(own, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with FaultyHub(own, token=TOKEN, private=[MODEL], cdn=True, relative_redirects=True) as hub:
        ground = Ground(hub, tmp_path, token=TOKEN)
        hub.faults.append(Fault("status", r"^GET /repos/", times=1, status=403))
        outcome = assert_verified(ground, download__max_retries=1)
        asked = hub.requests
    told = [record.getMessage() for record in caplog.records] + [*capfd.readouterr(), str(outcome.as_dict())]
    assert {request.authorized for request in asked if request.origin == "cdn"} == {False}
    assert {request.authorized for request in asked if request.origin == "hub"} == {True}
    assert TOKEN not in "".join(told)
    assert "signature=" not in "".join(told), "a signed URL is a secret too"
    kept = [path for folder in (ground.store, ground.state) for path in folder.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "route", [r"/revision/", FIRST_PAGE, LARGE, CONFIG], ids=["revision", "tree", "large", "small"]
)
def test_a_redirect_to_another_origin_takes_no_token_along(own, tmp_path, route):
    with FaultyHub(own, token=TOKEN, private=[MODEL]) as hub, FaultyHub(own) as other:
        elsewhere = Fault("status", route, status=307, headers={"Location": f"{other.url}/api/models/{MODEL}"})
        hub.faults.append(elsewhere)
        ground = Ground(hub, tmp_path, token=TOKEN)
        ground.ensure()
        ground.assert_honest()
        assert {request.authorized for request in other.requests} == {False}


def test_the_token_is_in_no_error(own, tmp_path):
    with FaultyHub(own, token=TOKEN, private=[MODEL]) as hub:
        hub.faults.append(Fault("status", LARGE, headers={"X-Error-Message": "no"}))
        outcome = Ground(hub, tmp_path, token=TOKEN).ensure()
    assert outcome.error is not None
    assert TOKEN not in str(outcome.as_dict())


# --- Xet ------------------------------------------------------------------------------------------------


def test_files_kept_in_xet_storage_come_over_http(ground):
    hashed = "ab" * 32

    def with_xet(page):
        return [entry | ({"xetHash": hashed} if "lfs" in entry else {}) for entry in page]

    ground.hub.faults.append(Fault("rewrite_listing", r"/tree/", rewrite=with_xet))
    outcome = assert_verified(ground)
    record = ground.workspace().records.read(status(MODEL, workspace=ground.workspace()).model, outcome.commit)
    assert {file.path: file.xet_hash for file in record.listing.files}[WEIGHTS] == hashed
    assert fetched_by_client(ground, local_files_only=True) == str(outcome.path)

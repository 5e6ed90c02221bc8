"""The law of twins: the same content elsewhere on this machine serves, and nothing is ever its own source."""

import json
import shutil

import pytest

from availability.errors import FileNotServedError, SourceUnavailableError
from availability.model import FileRecord, ModelId
from availability.sources.twins import TwinSource
from service.snapshots import find_snapshot
from tests.builders import MIB, WEIGHTS, Clock, listing_of, stored_bytes, write_tiny_model

OTHER = ModelId("org/other")


@pytest.fixture
def store(tmp_path):
    store = tmp_path / "store"
    write_tiny_model(store)
    return store


@pytest.fixture
def file(store):
    return find_snapshot(str(store), "org/tiny", "main").files[WEIGHTS]


def listing(model="org/other"):
    return listing_of(model=model)


def taken(source, file, start=0, stop=None, model="org/other"):
    body = source.open(listing(model), file, start, file.size if stop is None else stop)
    content = b""
    while data := body.read(MIB):
        content += data
    body.close()
    return content


def blob(store, file):
    return store / "models--org--tiny/blobs" / file.digest


def test_a_blob_of_another_model_serves_any_range(store, file):
    source, content = TwinSource(store), stored_bytes(store)
    assert taken(source, file) == content
    assert taken(source, file, 5, MIB + 7) == content[5 : MIB + 7]


def test_a_blob_of_another_cache_serves(store, file, tmp_path):
    empty = tmp_path / "empty"
    assert taken(TwinSource(empty, [tmp_path / "absent", store]), file) == stored_bytes(store)


def test_what_newer_clients_share_serves_by_its_xet_hash(tmp_path):
    store, alone = tmp_path / "shared", tmp_path / "alone"
    write_tiny_model(store, xet=True)
    alone.mkdir()
    shutil.move(store / "blobs", alone)
    told = json.loads(next(store.glob("models--org--tiny/trees/*.json")).read_text())["files"][WEIGHTS]
    file = FileRecord(WEIGHTS, told["size"], told["blob_id"], told["lfs_sha256"], told["xet_hash"])
    (shared,) = alone.glob(f"blobs/*/{file.xet_hash}")
    assert taken(TwinSource(alone), file) == shared.read_bytes()


def test_a_file_is_never_its_own_source(store, file):
    with pytest.raises(FileNotServedError):
        taken(TwinSource(store), file, model="org/tiny")


@pytest.mark.parametrize("link", ["hardlink_to", "symlink_to"])
def test_neither_by_another_name_of_the_same_content(store, file, link):
    other = store / OTHER.folder / "blobs" / file.digest
    other.parent.mkdir(parents=True)
    getattr(other, link)(blob(store, file))
    with pytest.raises(FileNotServedError):
        taken(TwinSource(store), file)


def test_a_blob_of_another_size_is_no_twin(store, file):
    blob(store, file).write_bytes(b"short")
    with pytest.raises(FileNotServedError, match="No other model"):
        taken(TwinSource(store), file)


def test_the_names_are_looked_at_again_after_a_while(store, file, tmp_path):
    clock = Clock()
    source = TwinSource(tmp_path / "empty", [tmp_path / "later"], clock=clock)
    with pytest.raises(FileNotServedError):
        taken(source, file)
    shutil.copytree(store, tmp_path / "later", symlinks=True)
    with pytest.raises(FileNotServedError):
        taken(source, file)
    clock.now += 31
    assert taken(source, file) == stored_bytes(store)


def test_a_twin_that_goes_away_is_no_twin(store, file):
    source = TwinSource(store)
    taken(source, file)
    blob(store, file).unlink()
    with pytest.raises(FileNotServedError):
        taken(source, file)


def test_it_says_nothing_about_what_bytes_must_be(store):
    with pytest.raises(SourceUnavailableError):
        TwinSource(store).listing(OTHER)

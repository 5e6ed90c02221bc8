"""The law of replicas: what was put there comes back by range, to put it again costs a look, nothing half is found."""

import json

import pytest

from availability.errors import (
    AccessDeniedError,
    DownloadIntegrityError,
    FileNotServedError,
    ModelNotFoundError,
    SourceUnavailableError,
)
from availability.model import Commit, ModelId
from availability.sources.replica import BLOCK_BYTES, ReplicaSource
from tests.builders import MIB, file_record, flipped, listing_of, random_bytes

LARGE = random_bytes(BLOCK_BYTES + MIB + 3)
SMALL = b"{}\n"
FILES = (file_record(LARGE, "model.safetensors"), file_record(SMALL, "config.json", lfs=False))
LISTING = listing_of(*FILES)
MODEL = ModelId("org/tiny")
PINNED = ModelId("org/tiny", LISTING.commit)


@pytest.fixture
def places(tmp_path):
    folder = tmp_path / "blobs"
    folder.mkdir()
    for file, content in zip(FILES, (LARGE, SMALL), strict=True):
        (folder / file.digest).write_bytes(content)
    return {file.digest: folder / file.digest for file in FILES}


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def make(request, tmp_path):
    """Return what makes replicas of one place, by a kind of file system."""
    if request.param == "s3":
        url, options = f"s3://history/replica-{tmp_path.name}", request.getfixturevalue("s3")
    elif request.param == "memory":
        url, options = f"memory://{tmp_path.name}", {}
    else:
        url, options = str(tmp_path / "replica"), {}
    return lambda **more: ReplicaSource(url, {**options, **more})


def taken(source, file=FILES[0], start=0, stop=None, most=300_000):
    body = source.open(LISTING, file, start, file.size if stop is None else stop)
    content = b""
    while data := body.read(most):
        content += data
    body.close()
    return content


def test_what_was_put_comes_back_whole_and_by_range(make, places):
    assert make().put(LISTING, places) == len(LARGE) + len(SMALL)
    source = make()
    assert taken(source) == LARGE
    assert taken(source, FILES[1]) == SMALL
    for start, stop in ((0, 1), (5, 2 * MIB), (BLOCK_BYTES - 1, BLOCK_BYTES + 1), (len(LARGE) - 1, len(LARGE))):
        assert taken(source, FILES[0], start, stop) == LARGE[start:stop]


def test_to_put_it_again_writes_no_content(make, places):
    make().put(LISTING, places)
    assert make().put(LISTING, places) == 0
    assert taken(make()) == LARGE


def test_it_knows_the_commit_that_was_copied_last_and_what_it_consists_of(make, places):
    make().put(LISTING, places)
    newer = listing_of(*FILES, commit="d" * 40)
    make().put(newer, places)
    assert make().commit(MODEL) == Commit("d" * 40)
    assert make().listing(MODEL).files == LISTING.files
    assert make().listing(PINNED).commit == LISTING.commit


def test_what_is_not_there_is_absent_and_nothing_else(make, places):
    source = make()
    with pytest.raises(FileNotServedError):
        taken(source)
    with pytest.raises(ModelNotFoundError):
        source.commit(MODEL)
    source.put(LISTING, places)
    with pytest.raises(ModelNotFoundError):
        source.listing(ModelId("org/tiny", "e" * 40))


def test_wrong_content_is_not_copied_and_no_listing_names_it(make, places):
    places[FILES[0].digest].write_bytes(flipped(LARGE, 7))
    with pytest.raises(DownloadIntegrityError):
        make().put(LISTING, places)
    with pytest.raises(ModelNotFoundError):
        make().listing(PINNED)


def test_a_body_that_is_left_ends(make, places):
    make().put(LISTING, places)
    body = make().open(LISTING, FILES[0], 0, FILES[0].size)
    body.read(BLOCK_BYTES)
    body.abort()
    with pytest.raises(SourceUnavailableError):
        body.read(1)


def test_a_content_that_became_shorter_is_no_content(tmp_path, places):
    source = ReplicaSource(str(tmp_path / "replica"))
    source.put(LISTING, places)
    (path,) = (tmp_path / "replica").glob(f"blobs/*/{FILES[0].digest}")
    path.write_bytes(LARGE[: BLOCK_BYTES + 5])
    with pytest.raises(SourceUnavailableError, match="expected"):
        taken(source)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": [[1]]}', b"\xff"], ids=repr)
def test_a_listing_that_is_none_is_told(tmp_path, places, content):
    source = ReplicaSource(str(tmp_path / "replica"))
    source.put(LISTING, places)
    (path,) = (tmp_path / "replica").glob("listings/*/*.json")
    path.write_bytes(content)
    with pytest.raises(SourceUnavailableError, match="no listing"):
        source.listing(PINNED)


def test_a_copy_that_ends_in_the_middle_has_no_listing_and_no_half_name(tmp_path, places):
    folder = tmp_path / "replica"
    places[FILES[0].digest].unlink()
    with pytest.raises(FileNotFoundError):
        ReplicaSource(str(folder)).put(LISTING, places)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [FILES[1].digest]


def test_the_layout_is_the_one_that_is_documented(tmp_path, places):
    ReplicaSource(str(tmp_path / "replica")).put(LISTING, places)
    digest = FILES[0].digest
    found = {path.relative_to(tmp_path / "replica").as_posix() for path in (tmp_path / "replica").rglob("*.*")}
    assert f"listings/models--org--tiny/{LISTING.commit}.json" in found
    assert (tmp_path / f"replica/blobs/{digest[:2]}/{digest}").read_bytes() == LARGE
    assert (tmp_path / "replica/refs/models--org--tiny/main").read_text() == LISTING.commit
    told = json.loads((tmp_path / f"replica/listings/models--org--tiny/{LISTING.commit}.json").read_text())
    assert (told["model"], told["commit"]) == ("org/tiny", LISTING.commit)


def test_a_file_system_that_is_not_installed_is_told_with_what_to_do():
    with pytest.raises(SourceUnavailableError) as caught:
        taken(ReplicaSource("gs://bucket/models"))
    assert any("Install" in line for line in caught.value.advice)


def test_an_unknown_file_system_is_told():
    with pytest.raises(SourceUnavailableError, match="nonsense://x"):
        taken(ReplicaSource("nonsense://x"))


def test_a_folder_that_may_not_be_read_is_told(readable_by_all):
    from tests.builders import run_program  # noqa: PLC0415  this test alone needs another user

    folder = readable_by_all / "replica"
    (folder / "blobs/ab").mkdir(parents=True)
    (folder / "blobs/ab" / ("ab" * 32)).write_bytes(b"x")
    (folder / "blobs/ab").chmod(0o700)
    program = """
import sys
import fsspec.implementations.local, encodings.idna
from availability.sources.replica import ReplicaSource
from availability.errors import AccessDeniedError
from availability.model import FileRecord
become_nobody()
try:
    ReplicaSource(sys.argv[1]).open(None, FileRecord("a", 1, "0" * 40, "ab" * 32), 0, 1)
except AccessDeniedError as error:
    print("denied", error.advice[0])
"""
    assert run_program(program, folder).startswith("denied Give this user")


@pytest.mark.slow
def test_a_wrong_key_is_told_without_it(s3, places):
    source = ReplicaSource("s3://history/denied", {**s3, "secret": "WRONG-SECRET"})
    with pytest.raises((AccessDeniedError, SourceUnavailableError)) as caught:
        source.put(LISTING, places)
    assert "WRONG-SECRET" not in str(caught.value)
    assert "s3://history/denied" in str(caught.value)


@pytest.mark.slow
def test_a_server_that_says_nothing_is_not_waited_for_without_end(s3):
    from tests.road.ground import silent_server  # noqa: PLC0415  this test alone needs it

    with silent_server() as endpoint:
        options = {**s3, "endpoint_url": endpoint}
        source = ReplicaSource("s3://history/silent", options, timeout_seconds=1)
        with pytest.raises(SourceUnavailableError) as caught:
            taken(source)
    assert caught.value.kind == "stalled"

"""The law of the record: it remembers a commit exactly, and one that cannot be understood is no memory at all."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.model import Commit, FileRecord, Listing, ModelId
from availability.record import Defect, Proof, Records, Signature, SnapshotRecord
from availability.selection import Selection
from tests.builders import CONFIG, WEIGHTS, file_record, listing_of, no_deadline, random_bytes

FILES = file_record(b"{}", CONFIG, lfs=False), file_record(b"weights")
LISTING = listing_of(*FILES)
MODEL, COMMIT = LISTING.model, LISTING.commit
FULL = SnapshotRecord(
    listing=replace(LISTING, files=(*LISTING.files, FileRecord("x", 10**15, "a" * 40, "b" * 64, "c" * 64))),
    selections=(Selection(), Selection(("*.json",), ("a/*", "b/*"), "fp16", "scan")),
    wanted=frozenset({CONFIG, WEIGHTS}),
    proofs={CONFIG: Proof(Signature(2, 1234567890123456789), 1700000000.25)},
    defects={WEIGHTS: Defect(Signature(7, 5), "flipped_range", ((0, 3), (4, 7)), 1.5)},
)


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "records")


def path_of(records):
    return records.root / MODEL.folder / f"{COMMIT}.json"


@pytest.mark.parametrize("record", [SnapshotRecord(LISTING), FULL], ids=["bare", "full"])
def test_what_is_read_is_what_was_written(records, record):
    records.write(record)
    assert records.read(MODEL, COMMIT) == record


signatures = st.builds(Signature, st.integers(0, 10**15), st.integers(-(2**63), 2**63 - 1))
times = st.floats(0, 4e9)
texts = st.text(st.characters(codec="utf-8"), max_size=10)
patterns = st.lists(texts, max_size=2).map(tuple)


@no_deadline
@given(
    proofs=st.dictionaries(texts, st.builds(Proof, signatures, times), max_size=3),
    selections=st.lists(
        st.builds(Selection, patterns, patterns, st.none() | texts, st.sampled_from(["refuse", "scan", "allow"])),
        max_size=2,
    ).map(tuple),
)
def test_any_record_comes_back(tmp_path_factory, proofs, selections):
    records = Records(tmp_path_factory.getbasetemp() / "any")
    record = SnapshotRecord(LISTING, selections, frozenset(proofs), proofs)
    records.write(record)
    assert records.read(MODEL, COMMIT) == record


def test_there_is_none_before_one_was_written(records):
    assert records.read(MODEL, COMMIT) is None
    assert records.read_all(MODEL) == ()


def test_every_commit_has_its_own(records):
    other = SnapshotRecord(listing_of(*FILES, commit="d" * 40))
    for record in (FULL, other):
        records.write(record)
    assert {record.listing.commit for record in records.read_all(MODEL)} == {"c" * 40, "d" * 40}
    assert records.read(MODEL, Commit("d" * 40)) == other
    assert records.read_all(ModelId("org/other")) == ()


def test_a_later_record_replaces_the_earlier_one_and_leaves_nothing_else(records):
    records.write(FULL)
    records.write(SnapshotRecord(LISTING))
    assert records.read(MODEL, COMMIT) == SnapshotRecord(LISTING)
    assert [path.name for path in path_of(records).parent.iterdir()] == [f"{COMMIT}.json"]


def test_a_commit_is_recorded_once_for_all_revisions_that_point_to_it(records):
    records.write(SnapshotRecord(LISTING))
    read = records.read(ModelId("org/tiny", "v1"), COMMIT)
    assert read.listing == Listing(ModelId("org/tiny", "v1"), COMMIT, LISTING.files, "test")


def damaged(content, change):
    return json.dumps({**json.loads(content), **change}).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"files": None},
        {"files": [["only a path"]]},
        {"proofs": []},
        {"proofs": {"a": [1]}},
        {"defects": {"a": 5}},
        {"selections": [{}]},
        {"wanted": 7},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_none(records, change):
    records.write(FULL)
    path_of(records).write_bytes(damaged(path_of(records).read_bytes(), change))
    assert records.read(MODEL, COMMIT) is None
    assert records.read_all(MODEL) == ()


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'"x"', b"{}", b"\xff\xfe", random_bytes(100)], ids=repr)
def test_what_never_was_a_record_is_none(records, content):
    path_of(records).parent.mkdir(parents=True)
    path_of(records).write_bytes(content)
    assert records.read(MODEL, COMMIT) is None


@no_deadline
@given(st.floats(0, 1, exclude_max=True))
def test_a_record_that_is_cut_off_is_none(tmp_path_factory, share):
    records = Records(tmp_path_factory.getbasetemp() / "cut")
    records.write(FULL)
    content = path_of(records).read_bytes()
    path_of(records).write_bytes(content[: int(share * len(content))])
    assert records.read(MODEL, COMMIT) is None


def test_the_files_that_were_asked_for_are_those_of_all_selections():
    assert SnapshotRecord(LISTING).wanted_files() == ()
    assert SnapshotRecord(LISTING, wanted=frozenset({CONFIG})).wanted_files() == (LISTING.files[0],)
    assert SnapshotRecord(LISTING, wanted=frozenset({CONFIG, WEIGHTS})).wanted_files() == LISTING.files

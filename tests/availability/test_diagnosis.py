"""The law of diagnosis: what was seen names the kind and the cause, the more telling before the less telling."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.diagnosis import Observation, diagnose, joined, zero_runs
from availability.findings import SEVERITIES, Finding, FindingKind, Severity
from availability.model import FileRecord
from service.snapshots import lfs_pointer
from tests.builders import MIB, no_deadline, random_bytes

FILE = FileRecord("model.safetensors", 3 * MIB, "a" * 40, "b" * 64)
SOME = ((0, MIB),)
POINTER = lfs_pointer("c" * 64, 5)
PAGES = [b"<!DOCTYPE html><html>", b"\n  <HTML lang='en'>", b'<?xml version="1.0"?>\n<html xmlns="x">', b"<html>"]


def kind(file=FILE, **seen):
    finding = diagnose(file, Observation(**{"size": file.size, "damaged": SOME, **seen}))
    return finding and finding.kind


def test_a_file_of_its_size_without_damage_has_no_finding():
    assert kind(damaged=()) is None


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, FindingKind.FLIPPED_RANGE),
        ({"zeroed": ((512, 1024),)}, FindingKind.ZEROED_RANGE),
        ({"size": 5}, FindingKind.TRUNCATED),
        ({"size": 9 * MIB}, FindingKind.OVERSIZED),
        ({"size": 5, "zeroed": ((0, 512),)}, FindingKind.TRUNCATED),
        ({"content_of": "b"}, FindingKind.FOREIGN_FILE),
        ({"content_of": "b", "size": 5}, FindingKind.FOREIGN_FILE),
        ({"head": POINTER, "size": len(POINTER)}, FindingKind.LFS_POINTER),
        ({"head": POINTER}, FindingKind.LFS_POINTER),
        ({"head": b"not <html> at the beginning"}, FindingKind.FLIPPED_RANGE),
        *(({"head": page, "size": len(page)}, FindingKind.HTML_PAGE) for page in PAGES),
    ],
)
def test_the_kind_follows_from_what_was_seen(seen, expected):
    assert kind(**seen) is expected


@pytest.mark.parametrize("path", ["README.html", "docs/INDEX.HTM"])
def test_a_page_that_ought_to_be_one_is_not_called_one(path):
    assert kind(FileRecord(path, 3 * MIB, "a" * 40), head=PAGES[0]) is FindingKind.FLIPPED_RANGE


def test_the_cause_of_zeros_says_where_they_are():
    tail = diagnose(FILE, Observation(FILE.size, SOME, zeroed=((MIB, FILE.size),)))
    assert f"from byte {MIB} on it is all zeros" in tail.cause
    hole = diagnose(FILE, Observation(FILE.size, SOME, zeroed=((512, 1024), (4096, 4608))))
    assert hole.cause.startswith("1024 bytes from byte 512")


@no_deadline
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=9), st.integers(0, 5000))
def test_every_run_of_a_sector_of_zeros_is_seen_and_nothing_shorter(runs, offset):
    content = bytearray(b"\x01" * 40960)
    for place, length in runs:
        content[place * 512 : place * 512 + length * 300] = bytes(length * 300)
    zeros = bytes(content).split(b"\x01")
    seen = list(zero_runs(bytes(content), offset))
    assert [stop - start for start, stop in seen] == [len(run) for run in zeros if len(run) >= 512]
    assert all(not any(content[start - offset : stop - offset]) for start, stop in seen)


def test_random_bytes_have_no_such_run():
    assert list(zero_runs(random_bytes(MIB), 0)) == []


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)).map(lambda pair: (pair[0], sum(pair)))))
def test_joined_ranges_cover_the_same_and_do_not_touch(ranges):
    made = joined(ranges)
    assert {n for start, stop in made for n in range(start, stop)} == {n for a, b in ranges for n in range(a, b)}
    assert all(one[1] < other[0] for one, other in pairwise(made))


def test_every_kind_has_its_severity_in_one_table():
    assert set(SEVERITIES) == set(FindingKind)
    stray = Finding(FindingKind.FOREIGN_FILE, FILE, (), "mine", is_listed=False)
    assert stray.severity is Severity.INFO
    assert stray.damaged_bytes == 0


def test_unknown_ranges_mean_all_of_the_file():
    assert Finding(FindingKind.UNREADABLE, FILE, (), "").damaged_bytes == FILE.size
    assert Finding(FindingKind.FLIPPED_RANGE, FILE, SOME, "").damaged_bytes == MIB

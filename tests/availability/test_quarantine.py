"""The law of evidence: the damaged bytes are kept, once, and never more than the bounds allow."""

import pytest

from availability.findings import Finding, FindingKind
from availability.model import parse_model_id
from availability.quarantine import Quarantine
from tests.builders import KIB, MIB, file_record, random_bytes

MODEL = parse_model_id("org/tiny")
CONTENT = random_bytes(3 * MIB)
FILE = file_record(CONTENT)


def finding(*ranges, cause="rot"):
    return Finding(FindingKind.FLIPPED_RANGE, FILE, ranges, cause)


@pytest.fixture
def blob(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


def sizes(quarantine):
    return [evidence.content.stat().st_size for evidence in quarantine.all()]


def test_the_bytes_of_the_ranges_and_what_was_found_are_kept(tmp_path, blob):
    quarantine = Quarantine(tmp_path / "q", 64 * MIB, 10)
    kept = quarantine.keep(MODEL, finding((0, KIB), (2 * MIB, 3 * MIB)), blob, now=1e9)
    (evidence,) = quarantine.all()
    assert evidence.path == kept
    assert evidence.content.read_bytes() == CONTENT[:KIB] + CONTENT[2 * MIB :]
    assert evidence.told["finding"] == finding((0, KIB), (2 * MIB, 3 * MIB)).as_dict() | {
        "ranges": [[0, KIB], [2 * MIB, 3 * MIB]]
    }
    assert evidence.told["at"] == "2001-09-09T01:46:40+00:00"
    assert evidence.told["digest"] == FILE.digest


def test_the_same_damage_is_kept_once_however_often_a_repair_is_tried(tmp_path, blob):
    quarantine = Quarantine(tmp_path / "q", 64 * MIB, 10)
    places = {quarantine.keep(MODEL, finding((0, KIB)), blob, now=now) for now in (1e9, 2e9)}
    assert len(places) == len(quarantine.all()) == 1


def test_the_oldest_are_dropped_first_when_there_are_too_many(tmp_path, blob):
    quarantine = Quarantine(tmp_path / "q", 64 * MIB, 3)
    for number in range(6):
        quarantine.keep(MODEL, finding((number * KIB, number * KIB + 10)), blob, now=1e9 + number)
    assert [evidence.told["kept_ranges"][0][0] for evidence in quarantine.all()] == [3 * KIB, 4 * KIB, 5 * KIB]
    assert len(list((tmp_path / "q").iterdir())) == 6


def test_all_together_never_take_more_than_the_bound(tmp_path, blob):
    quarantine = Quarantine(tmp_path / "q", MIB, 1000)
    for number in range(20):
        quarantine.keep(MODEL, finding((0, 100 * KIB), cause=str(number)), blob, now=1e9 + number)
        assert sum(path.stat().st_size for path in (tmp_path / "q").iterdir()) <= MIB
    assert 5 <= len(quarantine.all()) < 20


def test_of_a_large_damage_the_beginning_is_kept(tmp_path, blob):
    quarantine = Quarantine(tmp_path / "q", 8 * MIB, 10)
    quarantine.keep(MODEL, finding(), blob, now=1e9)
    assert sizes(quarantine) == [MIB]
    assert quarantine.all()[0].content.read_bytes() == CONTENT[:MIB]


def test_what_cannot_be_read_is_left_and_stops_nobody(tmp_path):
    quarantine = Quarantine(tmp_path / "q", 8 * MIB, 10)
    assert quarantine.keep(MODEL, finding(), tmp_path / "nowhere", now=1e9) is None
    assert quarantine.keep(MODEL, finding(), tmp_path, now=1e9) is None
    assert quarantine.all() == ()


def test_without_room_nothing_is_kept(tmp_path, blob):
    quarantine = Quarantine(tmp_path / "q", 0, 10)
    assert quarantine.keep(MODEL, finding(), blob, now=1e9) is None
    assert not (tmp_path / "q").exists()

"""The law of repair: the least work that mends, and nothing in place that a ledger cannot judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.integrity import Finding, FindingKind
from availability.model import FileRecord
from availability.repair import plan_repair
from tests.builders import MIB, no_deadline

FILE = FileRecord("model.safetensors", 10 * MIB + 5, "a" * 40, "b" * 64)
OTHER = FileRecord("other.safetensors", 7, "c" * 40, "d" * 64)
WHOLE = ((0, FILE.size),)
SOME = ((MIB, 2 * MIB), (10 * MIB, 10 * MIB + 5))


def plan(kind, ranges, *, in_place):
    (action,) = plan_repair([Finding(kind, FILE, ranges, "rot")], {FILE.path: in_place})
    return action


@pytest.mark.parametrize("kind", [FindingKind.FLIPPED_RANGE, FindingKind.TRUNCATED])
def test_known_ranges_of_a_file_with_a_ledger_are_fetched_and_no_more(kind):
    action = plan(kind, SOME, in_place=True)
    assert (action.action, action.file, action.ranges) == ("refetch_ranges", FILE, SOME)
    assert action.bytes_needed == MIB + 5


@pytest.mark.parametrize(
    ("kind", "ranges", "in_place"),
    [
        (FindingKind.FLIPPED_RANGE, SOME, False),
        (FindingKind.TRUNCATED, SOME, False),
        (FindingKind.FLIPPED_RANGE, (), True),
        (FindingKind.OVERSIZED, SOME, True),
        (FindingKind.OVERSIZED, (), True),
        (FindingKind.MISSING_FILE, (), True),
        (FindingKind.UNREADABLE, (), True),
    ],
)
def test_everything_else_is_fetched_whole_and_swapped_in(kind, ranges, in_place):
    action = plan(kind, ranges, in_place=in_place)
    assert (action.action, action.ranges, action.bytes_needed) == ("refetch_file", WHOLE, FILE.size)


def test_every_finding_has_one_action_in_the_same_order():
    findings = [Finding(FindingKind.UNREADABLE, OTHER, (), "rot"), Finding(FindingKind.FLIPPED_RANGE, FILE, SOME, "")]
    actions = plan_repair(findings, {FILE.path: True, OTHER.path: True})
    assert [action.file for action in actions] == [OTHER, FILE]


def test_no_findings_no_work():
    assert plan_repair([], {}) == ()


@no_deadline
@given(st.sampled_from(FindingKind), st.sampled_from([(), SOME, WHOLE]), st.booleans())
def test_what_is_fetched_covers_what_is_wrong_and_never_exceeds_the_file(kind, ranges, in_place):
    action = plan(kind, ranges, in_place=in_place)
    assert sum(stop - start for start, stop in ranges) <= action.bytes_needed <= FILE.size
    assert all(any(a <= start and stop <= b for a, b in action.ranges) for start, stop in ranges)

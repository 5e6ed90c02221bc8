"""The law of the plan: it says what will be done, byte for byte, and content that files share is fetched once."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.model import FileRecord
from availability.plan import Plan, PlannedFile, Presence
from availability.selection import Choice, Selection
from tests.builders import listing_of, no_deadline


def record(path, size, digest):
    return FileRecord(path, size, f"{digest:040x}")


def plan_of(*items, left_out=()):
    files = tuple(item.file for item in items)
    return Plan(listing_of(*files), Selection(), Choice(files, left_out), items)


KEPT = PlannedFile(record("a", 10, 1), Presence.PROVEN, Path("blob"))
READ = PlannedFile(record("b", 20, 2), Presence.UNPROVEN, Path("blob"))
FETCHED = PlannedFile(record("c", 30, 3), Presence.ABSENT)
BEGUN = PlannedFile(record("d", 40, 4), Presence.ABSENT, received=15)
TWIN = PlannedFile(record("e", 30, 3), Presence.ABSENT)


def test_each_file_is_kept_verified_or_fetched():
    plan = plan_of(KEPT, READ, FETCHED, BEGUN)
    assert plan.absent == (FETCHED.file, BEGUN.file)
    assert plan.unproven == (READ,)
    assert plan.bytes_total == 100
    assert plan.bytes_to_fetch == 30 + 25


def test_content_that_two_files_share_is_fetched_once():
    plan = plan_of(FETCHED, TWIN)
    assert len(plan.absent) == 1
    assert plan.bytes_to_fetch == 30


def test_an_empty_plan_does_nothing():
    plan = plan_of()
    assert (plan.absent, plan.unproven, plan.bytes_total, plan.bytes_to_fetch) == ((), (), 0, 0)


def test_a_plan_is_data():
    told = json.loads(json.dumps(plan_of(KEPT, READ, BEGUN, left_out=(("x.bin", "a pickle"),)).as_dict()))
    assert told == {
        "model_id": "org/tiny",
        "revision": "main",
        "commit": "c" * 40,
        "bytes_total": 70,
        "bytes_to_fetch": 25,
        "files": [
            {"path": "a", "size": 10, "action": "keep", "bytes_to_fetch": 0},
            {"path": "b", "size": 20, "action": "verify", "bytes_to_fetch": 0},
            {"path": "d", "size": 40, "action": "fetch", "bytes_to_fetch": 25},
        ],
        "left_out": [{"path": "x.bin", "reason": "a pickle"}],
        "error": None,
    }


@pytest.mark.parametrize("presence", Presence)
def test_every_presence_has_an_action(presence):
    (file,) = plan_of(PlannedFile(record("a", 1, 1), presence, Path("blob"))).as_dict()["files"]
    assert file["action"] in ("keep", "verify", "fetch")


items = st.builds(
    PlannedFile,
    st.integers(0, 4).map(lambda digest: record(f"f{digest}", digest * 10, digest)),
    st.sampled_from(Presence),
    received=st.just(0),
)


@no_deadline
@given(st.lists(items, max_size=10))
def test_the_parts_add_up(items):
    plan = plan_of(*items)
    contents = {item.file.digest: item.file.size for item in items if item.presence is Presence.ABSENT}
    assert plan.bytes_to_fetch == sum(contents.values()) <= plan.bytes_total
    assert {file.digest for file in plan.absent} == set(contents)

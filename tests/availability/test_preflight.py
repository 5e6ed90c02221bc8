"""The law of room: the whole plan fits or nothing is started, and then it is said what to delete."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.errors import InsufficientStorageError
from availability.model import ModelId
from availability.preflight import Removable, Room, check_room

GB = 10**9
MODEL = ModelId("org/new")
QUOTA_ADVICE = "Raise ENHANCED_MODEL_STORAGE_MAX_STORAGE_GB."


def room(*, disk_free=100 * GB, keep_free=0, reserved=0, stored=0, quota=None):
    return Room(disk_free, keep_free, reserved, stored, quota)


def refusal(needed, given, removable=()):
    with pytest.raises(InsufficientStorageError) as caught:
        check_room(MODEL, needed, given, removable)
    return caught.value


@pytest.mark.parametrize(
    ("given", "available"),
    [
        (room(disk_free=10), 10),
        (room(disk_free=10, keep_free=3), 7),
        (room(disk_free=10, reserved=4), 6),
        (room(disk_free=10, quota=6, stored=1), 5),
        (room(disk_free=10, quota=6, stored=1, reserved=2), 3),
        (room(disk_free=10, keep_free=8, quota=100), 2),
        (room(disk_free=0, quota=100), 0),
    ],
)
def test_what_fits_exactly_fits_and_one_byte_more_does_not(given, available):
    check_room(MODEL, available, given, ())
    error = refusal(available + 1, given)
    assert (error.needed_bytes, error.available_bytes) == (available + 1, available)


sizes = st.integers(0, 100)


@given(st.integers(1, 100), st.builds(Room, sizes, sizes, sizes, sizes, st.none() | sizes))
def test_a_plan_that_fits_leaves_what_must_be_left(needed, given):
    taken = given.reserved + needed
    if taken + given.keep_free <= given.disk_free and (given.quota is None or taken + given.stored <= given.quota):
        check_room(MODEL, needed, given, ())
    else:
        refusal(needed, given)


def test_a_disk_that_is_over_its_margin_already_takes_nothing():
    assert "leaves 0.00 GB" in refusal(1, room(disk_free=1, keep_free=5)).message


def test_the_sentence_says_which_limit_it_was():
    by_disk = refusal(20 * GB, room(disk_free=11 * GB, keep_free=GB, reserved=3 * GB))
    assert "org/new needs 20.00 GB more" in by_disk.message
    assert "the disk, of which 1.00 GB stay free leaves 7.00 GB (3.00 GB are reserved" in by_disk.message
    assert by_disk.advice == ("Make the store a larger disk.",)
    by_quota = refusal(20 * GB, room(quota=15 * GB, stored=5 * GB))
    assert "the quota of 15.00 GB leaves 10.00 GB" in by_quota.message
    assert by_quota.advice == (QUOTA_ADVICE,)


def test_the_advice_names_the_largest_things_first_and_the_command_that_deletes_them():
    things = [Removable(f"org/m{size}", "unused", size * GB, f"rm m{size}") for size in (1, 7, 3, 6, 2, 5, 4)]
    advice = refusal(20 * GB, room(quota=GB), things).advice
    assert advice[0] == "Delete org/m7 (7.00 GB, unused): rm m7"
    assert [line.split()[1] for line in advice[:-1]] == ["org/m7", "org/m6", "org/m5", "org/m4", "org/m3"]
    assert advice[-1] == QUOTA_ADVICE

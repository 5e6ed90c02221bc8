"""The law of the five words: each combination has one, and these rules say which."""

from itertools import product

import pytest

from availability.status import _TABLE, Availability, Disk, Wanted, Work, availability_of

EVERY = list(product(Disk, Work, Wanted))


def words(disks=Disk, works=Work, wanted=Wanted):
    return {availability_of(*combination) for combination in product(disks, works, wanted)}


def test_there_are_five_words():
    assert [*Availability] == ["available", "downloading", "missing", "corrupted", "updating"]


def test_every_combination_has_one_word():
    assert {*_TABLE} == {*EVERY}
    assert words() == {*Availability}


def test_known_wrong_bytes_are_corrupted_whatever_else():
    assert words(disks=[Disk.DAMAGED]) == {Availability.CORRUPTED}
    assert Availability.CORRUPTED not in words(disks={*Disk} - {Disk.DAMAGED})


def test_a_complete_snapshot_serves_and_is_updating_while_somebody_is_at_work():
    assert words([Disk.COMPLETE], [Work.RUNNING]) == {Availability.UPDATING}
    assert words([Disk.COMPLETE], [Work.IDLE]) == {Availability.AVAILABLE}


@pytest.mark.parametrize("disk", [Disk.NOTHING, Disk.PARTIAL, Disk.UNVERIFIED])
def test_what_is_not_proven_is_missing_and_downloading_while_somebody_is_at_work(disk):
    assert words([disk], [Work.IDLE]) == {Availability.MISSING}
    assert words([disk], [Work.RUNNING]) == {Availability.DOWNLOADING}


def test_nobody_at_work_is_never_downloading_nor_updating():
    assert not words(works=[Work.IDLE]) & {Availability.DOWNLOADING, Availability.UPDATING}


def test_only_a_complete_snapshot_is_available():
    assert {combination[0] for combination in EVERY if availability_of(*combination).is_available} == {Disk.COMPLETE}


@pytest.mark.parametrize(("disk", "work"), [*product(Disk, Work)])
def test_the_catalog_never_changes_the_word(disk, work):
    assert len(words([disk], [work])) == 1


def test_a_model_that_is_updated_can_be_used():
    assert [word.value for word in Availability if word.is_available] == ["available", "updating"]

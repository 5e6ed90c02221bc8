"""The law of rotation: no check ever gets older than the bound, and no run does more than its share."""

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES
from availability.rotation import Due, Portion, parse_share, share, whole, within
from tests.builders import KIB, MIB, no_deadline

HOUR, DAY = 3600.0, 86400.0
FILES, DAYS = 1000, 60

sizes = st.lists(st.integers(0, 20 * MIB), min_size=1, max_size=30)


class Store:
    """A thousand files of very different sizes that are read as the plan says, over simulated days."""

    def __init__(self, *, checked, divisible=True):
        random = Random(7)
        self.size = {f"f{number:04}": int(2 ** random.uniform(0, 34)) for number in range(FILES)}
        self.checked = {path: checked(random) for path in self.size}
        self.under_way = {}
        self.divisible = divisible
        self.total = sum(self.size.values())

    def files(self):
        return [
            Due(path, size, self.checked[path], self.under_way.get(path, (0, 0))[0], self.divisible)
            for path, size in self.size.items()
        ]

    def read(self, portions, now):
        for portion in portions:
            position, began = self.under_way.pop(portion.path, (0, now))
            assert portion.start == position
            if portion.stop == self.size[portion.path]:
                self.checked[portion.path] = began
            else:
                self.under_way[portion.path] = portion.stop, began
        return sum(portion.stop - portion.start for portion in portions)

    def oldest(self, now):
        return now - min(self.checked.values())


def simulate(store, *, within_days, hours, missed=()):
    """Run for sixty days; return the age of the oldest check just before each run, and the bytes of each run."""
    ages, loads = [], []
    for run in range(int(DAYS * 24 / hours)):
        now = run * hours * HOUR
        ages.append(store.oldest(now))
        if run not in missed:
            loads.append(store.read(within(store.files(), days=within_days, every_hours=hours, now=now), now))
    return ages, loads


@pytest.mark.parametrize("missed", [(), (9,), (5, 20, 40)], ids=["every run", "one missed", "three missed"])
@pytest.mark.parametrize(
    "checked", [lambda _: 0.0, lambda random: -random.uniform(0, 6) * DAY], ids=["at once", "scattered"]
)
@pytest.mark.parametrize(("within_days", "hours"), [(7, 24), (10, 12)])
def test_over_sixty_days_and_a_thousand_files_no_check_gets_older_than_the_bound(checked, within_days, hours, missed):
    store = Store(checked=checked)
    ages, _ = simulate(store, within_days=within_days, hours=hours, missed=missed)
    assert max(ages) <= within_days * DAY


def test_the_work_is_spread_evenly_also_after_a_missed_run():
    store = Store(checked=lambda _: 0.0)
    runs_in_bound = 10 * 24 / 12
    _, loads = simulate(store, within_days=10, hours=12, missed=(30,))
    even = store.total / runs_in_bound
    assert all(0.95 * even <= load <= 1.25 * even for load in loads[:30] + loads[31:])
    assert loads[30] <= 2 * even


def test_files_that_cannot_be_divided_are_in_time_too():
    store = Store(checked=lambda _: 0.0, divisible=False)
    ages, _ = simulate(store, within_days=7, hours=24, missed=(9,))
    assert max(ages) <= 7 * DAY


def test_what_was_never_checked_or_is_late_is_read_at_once():
    files = [Due("new", 5, None), Due("late", 7, -9 * DAY), Due("fresh", 10**9, 0.0)]
    planned = {portion.path for portion in within(files, days=7, every_hours=24, now=0.0)}
    assert {"new", "late"} <= planned


@no_deadline
@given(sizes, st.integers(1, 9))
def test_so_many_shares_read_every_byte(file_sizes, parts):
    files = {str(number): Due(str(number), size, None) for number, size in enumerate(file_sizes)}
    reached = dict.fromkeys(files, -1)
    for run in range(parts):
        for portion in share(list(files.values()), Fraction(1, parts)):
            file = files[portion.path]
            is_read = portion.stop == file.size
            reached[file.path] = max(reached[file.path], portion.stop)
            files[file.path] = replace(
                file, checked_at=float(run) if is_read else file.checked_at, position=0 if is_read else portion.stop
            )
    assert reached == {path: file.size for path, file in files.items()}


def test_a_share_ends_on_a_chunk_and_goes_on_there():
    (first,) = share([Due("a", 10 * MIB, None)], Fraction(1, 7))
    assert first == Portion("a", 0, 2 * CHUNK_BYTES)
    (second,) = share([Due("a", 10 * MIB, None, position=first.stop)], Fraction(1, 7))
    assert second.start == first.stop


def test_a_file_without_a_ledger_is_read_whole_or_not_at_all():
    assert share([Due("a", 10 * MIB, None, is_divisible=False)], Fraction(1, 7)) == (Portion("a", 0, 10 * MIB),)


def test_the_longest_unread_comes_first_and_what_is_under_way_before_its_equals():
    files = [Due("young", KIB, 9.0), Due("other", KIB, 5.0), Due("begun", 2 * MIB, 5.0, MIB), Due("never", KIB, None)]
    assert [portion.path for portion in whole(files)] == ["never", "begun", "other", "young"]


@pytest.mark.parametrize(
    ("text", "expected"), [("1/7", Fraction(1, 7)), ("0.25", Fraction(1, 4)), ("20%", Fraction(1, 5)), ("1", 1)]
)
def test_a_share_is_written_as_people_do(text, expected):
    assert parse_share(text) == expected


@pytest.mark.parametrize("text", ["", "0", "1/0", "2", "-1/7", "seven", "%"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="no share"):
        parse_share(text)

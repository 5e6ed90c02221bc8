"""The laws of availability: what is known of the time between observations, worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.histories import NOW, ask, history, line

DAY = datetime(2026, 3, 30, tzinfo=UTC)


def seen(status, at, model="org/a", run="r1", **fields):
    moment = DAY + timedelta(minutes=at) if isinstance(at, (int, float)) else at
    return line("status", moment, model_id=model, status=status, run_id=run, **fields)


def intervals(connection, max_gap_minutes=60, **parameters):
    columns = ("started_at", "ended_at", "status", "reason")
    rows = ask(connection, "availability_intervals", *columns, max_gap_minutes=max_gap_minutes, **parameters)
    return [
        ((start - DAY) / timedelta(minutes=1), (end - DAY) / timedelta(minutes=1), *rest) for start, end, *rest in rows
    ]


UNSEEN = (60, 2160, "unknown", "unseen since")
"""From an hour after DAY to NOW: where most of these little histories end."""

CASES = {
    "what was seen holds until the next look": (
        [("available", 0), ("available", 30), ("available", 60)],
        [(0, 60, "available", None), UNSEEN],
    ),
    "a change counts from when it was seen": (
        [("available", 0), ("missing", 20), ("available", 60)],
        [(0, 20, "available", None), (20, 60, "missing", None), UNSEEN],
    ),
    "a gap of exactly the bound is known": (
        [("available", 0), ("available", 60)],
        [(0, 60, "available", None), UNSEEN],
    ),
    "a longer gap is unknown, all of it": (
        [("available", -1), ("available", 60)],
        [(-1, 60, "unknown", "gap"), UNSEEN],
    ),
    "one look alone says nothing about any time": ([("available", 60)], [UNSEEN]),
    "two runs that agree at one moment are one look": (
        [("available", 0, "r1"), ("available", 0, "r2"), ("available", 60)],
        [(0, 60, "available", None), UNSEEN],
    ),
    "two runs that disagree at one moment leave it unknown": (
        [("available", 0), ("available", 20, "r1"), ("missing", 20, "r2"), ("available", 60)],
        [(0, 20, "available", None), (20, 60, "unknown", "contested"), UNSEEN],
    ),
    "a run that contradicts itself at one moment leaves it unknown": (
        [("available", 20, "r1"), ("missing", 20, "r1"), ("available", 60)],
        [(20, 60, "unknown", "contested"), UNSEEN],
    ),
    "two runs that disagree within two seconds leave it unknown": (
        [("available", 20, "r1"), ("missing", 20 + 2 / 60, "r2"), ("available", 60)],
        [(20, 60, "unknown", "contested"), UNSEEN],
    ),
    "the same run may see a change within a second": (
        [("missing", 0), ("available", 1 / 60), ("available", 60)],
        [(0, 1 / 60, "missing", None), (1 / 60, 60, "available", None), UNSEEN],
    ),
    "another run later than that has the last word": (
        [("missing", 0, "r1"), ("available", 3 / 60, "r2"), ("available", 60)],
        [(0, 3 / 60, "missing", None), (3 / 60, 60, "available", None), UNSEEN],
    ),
    "every status is a status": (
        [
            ("missing", 0),
            ("downloading", 10),
            ("available", 20),
            ("updating", 30),
            ("corrupted", 40),
            ("available", 60),
        ],
        [
            (0, 10, "missing", None),
            (10, 20, "downloading", None),
            (20, 30, "available", None),
            (30, 40, "updating", None),
            (40, 60, "corrupted", None),
            UNSEEN,
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_intervals_follow_the_rules(tmp_path, name):
    observations, expected = CASES[name]
    found = intervals(
        history(tmp_path, *(seen(status, at, run=(run or ["r1"])[0]) for status, at, *run in observations))
    )
    assert [rest for _, _, *rest in found] == [list(rest) for _, _, *rest in expected]
    assert [row[:2] for row in found] == [pytest.approx(row[:2]) for row in expected]


@pytest.mark.parametrize(
    ("minutes", "known"),
    [(61, True), (90, True), (91, False), (120, False)],
    ids=["a minute late", "half an hour late", "later", "one that did not come"],
)
def test_of_hourly_sweeps_one_may_be_late_and_none_may_be_missing(tmp_path, minutes, known):
    connection = history(tmp_path, seen("available", 0), seen("available", minutes))
    [(seconds,)] = ask(connection, "availability", "available_seconds")
    assert seconds == (minutes * 60 if known else 0)


def test_the_order_in_which_observations_arrive_does_not_matter(tmp_path):
    lines = [seen("available", 0), seen("missing", 20), seen("available", 60)]
    forward = intervals(history(tmp_path / "a", *lines))
    assert intervals(history(tmp_path / "b", *reversed(lines))) == forward


def test_models_revisions_and_stores_do_not_mix(tmp_path):
    connection = history(
        tmp_path,
        *[seen("available", at) for at in (0, 60)],
        *[seen("missing", at, revision="v2") for at in (10, 50)],
        *[seen("corrupted", at, store="s2") for at in (20, 40)],
        *[seen("downloading", at, model="org/b") for at in (5, 55)],
    )
    rows = ask(
        connection,
        "availability",
        "model_id",
        "revision",
        "store",
        "available_seconds",
        "missing_seconds",
        "corrupted_seconds",
        "downloading_seconds",
    )
    assert sorted(rows) == [
        ("org/a", "main", "", 3600, 0, 0, 0),
        ("org/a", "main", "s2", 0, 0, 1200, 0),
        ("org/a", "v2", "", 0, 2400, 0, 0),
        ("org/b", "main", "", 0, 0, 0, 3000),
    ]


def test_percentages_are_of_known_time_and_have_bounds(tmp_path):
    """Known: 0-60 available, 60-90 missing, 90-120 available; unknown: 120-200 and on. 90 of 120 minutes."""
    looks = [("available", 0), ("available", 60), ("missing", 60.5), ("missing", 90), ("available", 90.5)]
    connection = history(
        tmp_path,
        *[seen(status, at, target=0.75) for status, at in looks],
        seen("available", 120),
        seen("available", 200),
    )
    columns = ("percent_available", "at_least_percent", "at_most_percent", "target_percent", "meets_target")
    [(percent, at_least, at_most, target, meets)] = ask(connection, "availability", *columns, max_gap_minutes=60)
    assert percent == pytest.approx(100 * (60.5 + 29.5) / 120)
    assert at_least == pytest.approx(100 * (60 + 29.5) / 120)
    assert at_most == pytest.approx(100 * (60.5 + 0.5 + 29.5) / 120)
    assert (target, meets) == (75, True)
    [(coverage,)] = ask(connection, "availability", "coverage_percent", max_gap_minutes=60)
    assert coverage == pytest.approx(100 * 120 / 2160)


def test_without_known_time_there_is_no_percentage(tmp_path):
    connection = history(tmp_path, seen("available", 0, target=0.9))
    assert ask(connection, "availability", "percent_available", "coverage_percent", "meets_target") == [(None, 0, None)]


def test_updating_still_serves_and_downloading_does_not(tmp_path):
    connection = history(tmp_path, seen("updating", 0), seen("downloading", 30), seen("available", 60))
    assert ask(connection, "availability", "percent_available") == [(50,)]


def test_days_follow_the_zone_and_its_change_of_clocks(tmp_path):
    """On 2026-03-29 Berlin has 23 hours: its midnight is 23:00 UTC before and 22:00 UTC after."""
    start = datetime(2026, 3, 28, 22, tzinfo=UTC)
    looks = [seen("available", start + timedelta(minutes=30 * step)) for step in range(2 * 26 + 1)]
    connection = history(tmp_path, *looks)
    berlin = ask(connection, "availability_by_day", "day", "known_seconds", zone="Europe/Berlin")
    assert [(str(day), known / 3600) for day, known in berlin if known] == [
        ("2026-03-28", 1.0),
        ("2026-03-29", 23.0),
        ("2026-03-30", 2.0),
    ]
    utc = ask(connection, "availability_by_day", "day", "known_seconds")
    assert [(str(day), known / 3600) for day, known in utc if known] == [("2026-03-28", 2.0), ("2026-03-29", 24.0)]


def test_a_month_is_the_sum_of_its_days(tmp_path):
    start = datetime(2026, 2, 28, 23, tzinfo=UTC)
    looks = [("available", 0), ("available", 60), ("missing", 90), ("missing", 120)]
    connection = history(tmp_path, *(seen(status, start + timedelta(minutes=at)) for status, at in looks))
    rows = ask(connection, "availability_by_month", "month", "percent_available", "serving_seconds", "known_seconds")
    assert [(str(month), percent, serving, known) for month, percent, serving, known in rows] == [
        ("2026-02-01", 100, 3600, 3600),
        ("2026-03-01", 50, 1800, 3600),
    ]


def test_incidents_are_outages_of_what_had_been_available(tmp_path):
    looks = [
        ("missing", 0), ("downloading", 5), ("available", 10),
        ("corrupted", 40), ("missing", 50), ("downloading", 300), ("available", 310),
        ("missing", 330),
    ]  # fmt: skip
    connection = history(tmp_path, *(seen(status, at) for status, at in looks))
    rows = ask(
        connection,
        "incidents",
        "started_at",
        "seconds_to_detect",
        "seconds_to_repair",
        "was_corrupted",
        "statuses",
        "is_open",
    )
    assert rows == [
        (DAY + timedelta(minutes=330), 20 * 60, None, False, ["missing"], True),
        (DAY + timedelta(minutes=40), 30 * 60, 270 * 60, True, ["corrupted", "missing", "downloading"], False),
    ]
    columns = (
        "incidents",
        "open_incidents",
        "corruptions",
        "p50_seconds_to_detect",
        "p50_seconds_to_repair",
        "worst_seconds_to_repair",
        "seconds_to_first_ready",
    )
    assert ask(connection, "response_times", *columns) == [(2, 1, 1, 25 * 60, 270 * 60, 270 * 60, 600)]


def test_contested_observations_neither_begin_nor_end_an_incident(tmp_path):
    connection = history(
        tmp_path,
        seen("available", 0),
        seen("available", 20, run="r1"),
        seen("missing", 20, run="r2"),
        seen("available", 40),
    )
    assert ask(connection, "incidents", "started_at") == []


STATUSES = ("available", "downloading", "missing", "corrupted", "updating")


@settings(deadline=None, max_examples=15)
@given(
    looks=st.lists(
        st.tuples(st.integers(0, 2000), st.sampled_from(STATUSES), st.sampled_from(["r1", "r2"])),
        min_size=1,
        max_size=12,
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_no_time_is_lost_or_counted_twice(tmp_path_factory, looks, zone):
    connection = history(tmp_path_factory.mktemp("h"), *(seen(status, at, run=run) for at, status, run in looks))
    first = DAY + timedelta(minutes=min(at for at, _, _ in looks))
    whole = (NOW - first).total_seconds()
    found = intervals(connection)
    assert [start for start, *_ in found[1:]] == [end for _, end, *_ in found[:-1]], "neither overlap nor hole"
    assert sum(end - start for start, end, *_ in found) * 60 == pytest.approx(whole)
    days = ask(connection, "availability_by_day", "known_seconds", "unknown_seconds", "serving_seconds", zone=zone)
    assert sum(known + unknown for known, unknown, _ in days) == pytest.approx(whole)
    bounds = ask(connection, "availability", "at_least_percent", "percent_available", "at_most_percent", zone=zone)
    assert all(low <= percent <= high for low, percent, high in bounds if percent is not None)
    assert all(serving <= known for known, _, serving in days)

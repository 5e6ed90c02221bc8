"""The law of the whole: counts that add up, room with two limits, the worst first, and nothing made up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.catalog import Catalog, CatalogEntry
from availability.checkers import CheckResult
from availability.checkup import observe_system
from availability.health import assess
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.preflight import Disk
from availability.settings import load_settings
from availability.settings.groups import HealthSettings
from availability.status import Availability
from availability.system_health import StorageUse, SystemRecord, summarise
from availability.workspace import Workspace
from tests.builders import no_deadline

LIMITS = HealthSettings()
ROOM = StorageUse("/models", Disk(1000, 900), 100)
GROUPS = ("healthy", "degraded", "corrupted", "missing", "downloading")


def status(name, word=Availability.AVAILABLE, score=1.0):
    return ModelStatus(ModelId(name), word, None, None, 10, score, None, (), (), (), None, is_running=False)


def system(*statuses, reports=None, room=ROOM):
    return summarise(statuses, reports or {}, room, LIMITS, now=0.0)


def report(of, score):
    return assess(of, {"integrity": CheckResult(score)}, None, healthy_threshold=0.8, within_days=30, now=0.0)


STATUSES = st.lists(
    st.builds(
        status,
        st.from_regex(r"[a-z]{1,5}/[a-z]{1,5}", fullmatch=True),
        st.sampled_from(Availability),
        st.none() | st.floats(0, 1),
    )
)


@no_deadline
@given(statuses=STATUSES)
def test_every_model_is_counted_once_and_every_score_is_one(statuses):
    record = system(*statuses).as_dict()
    assert sum(record[group] for group in GROUPS) == record["models"] == len(statuses)
    assert len(record["worst_models"]) == len(statuses) - record["healthy"]
    assert record["overall_score"] is None or 0 <= record["overall_score"] <= 1


@pytest.mark.parametrize(
    ("one", "group"),
    [
        (status("a/a"), "healthy"),
        (status("a/a", Availability.UPDATING), "healthy"),
        (status("a/a", score=0.8), "healthy"),
        (status("a/a", score=0.7), "degraded"),
        (status("a/a", score=None), "degraded"),
        (status("a/a", Availability.CORRUPTED, 0.99), "corrupted"),
        (status("a/a", Availability.MISSING, 0.99), "missing"),
        (status("a/a", Availability.DOWNLOADING, 0.5), "downloading"),
    ],
    ids=["well", "updating", "at the threshold", "below it", "unknown", "corrupted", "missing", "downloading"],
)
def test_each_model_belongs_to_one_group(one, group):
    assert {name: count for name, count in system(one).counts.items() if count} == {group: 1}


def test_a_report_says_more_than_the_records():
    one = status("a/a")
    assert system(one, reports={"a/a": report(one, 0.3)}).counts["degraded"] == 1


def test_a_report_does_not_outlive_the_model():
    before = report(status("a/a"), 1.0)
    assert before.is_healthy
    assert system(status("a/a", Availability.MISSING), reports={"a/a": before}).counts["missing"] == 1


def test_the_worst_come_first():
    statuses = [
        status("a/well"),
        status("b/slow", score=0.7),
        status("c/unknown", score=None),
        status("d/coming", Availability.DOWNLOADING),
        status("e/gone", Availability.MISSING, None),
        status("f/rotten", Availability.CORRUPTED, 0.9),
        status("g/ruined", Availability.CORRUPTED, 0.1),
    ]
    worst = [model["model_id"] for model in system(*statuses).as_dict()["worst_models"]]
    assert worst == ["g/ruined", "f/rotten", "e/gone", "c/unknown", "b/slow", "d/coming"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], None),
        ([status("a/a", Availability.DOWNLOADING)], None),
        ([status("a/a")], 1.0),
        ([status("a/a"), status("b/b", Availability.MISSING, None)], 0.5),
        ([status("a/a"), status("b/b", Availability.CORRUPTED, 0.9)], 0.5),
        ([status("a/a"), status("b/b", score=0.6)], 0.8),
        ([status("a/a"), status("b/b", Availability.DOWNLOADING)], 1.0),
    ],
    ids=[
        "nothing",
        "on its way",
        "well",
        "missing",
        "corrupted counts nothing",
        "degraded",
        "what comes does not count",
    ],
)
def test_the_overall_score_is_the_mean_of_what_serves(statuses, expected):
    assert system(*statuses).overall_score == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("free", "level"), [(1000, "ok"), (201, "ok"), (200, "warning"), (51, "warning"), (50, "critical"), (0, "critical")]
)
def test_the_room_has_two_limits(free, level):
    made = system(room=replace(ROOM, disk=Disk(1000, free)))
    assert made.as_dict()["storage"]["level"] == level
    assert bool(made.recommendations) == (level != "ok")


def test_a_quota_may_be_the_nearer_end():
    made = system(room=replace(ROOM, quota_bytes=105))
    assert (made.as_dict()["storage"]["level"], made.as_dict()["storage"]["used_percent"]) == ("critical", 95.24)


def test_every_recommendation_names_what_to_type():
    statuses = [
        status("a/rotten", Availability.CORRUPTED),
        status("b/gone", Availability.MISSING, None),
        status("c/slow", score=0.5),
    ]
    told = system(*statuses, room=replace(ROOM, disk=Disk(1000, 10))).recommendations
    assert [
        any(words in sentence for sentence in told)
        for words in (
            "availability repair a/rotten",
            "availability ensure b/gone",
            "availability check c/slow",
            "hf cache ls",
        )
    ] == [True] * 4


def test_of_many_models_ten_are_named_and_the_rest_counted():
    (sentence,) = system(
        *(status(f"a/m{number:02}", Availability.MISSING, None) for number in range(15))
    ).recommendations
    assert sentence.count("a/m") == 10
    assert "and 5 more" in sentence


def test_a_healthy_system_needs_nothing():
    assert system(status("a/a")).recommendations == ()


def test_it_is_observed_on_the_disk(tmp_path):
    here = Workspace(load_settings({"storage.models_directory": tmp_path / "store"}, env={}, dotenv=None))
    record = observe_system(here, Catalog((CatalogEntry(ModelId("a/wanted")),))).as_dict()
    assert {*record} == {*SystemRecord.__annotations__}
    assert (record["models"], record["missing"], record["overall_score"]) == (1, 1, 0.0)
    assert record["storage"]["disk_total_bytes"] > 0

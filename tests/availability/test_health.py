"""The law of health: known scores by their weights, null without data, and what is corrupted is never healthy."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.catalog import Catalog
from availability.checkers import CheckResult, Issue
from availability.checks import CheckOutcome
from availability.checkup import observe_health
from availability.findings import Finding, FindingKind, Severity
from availability.health import ADDED_WEIGHT, WEIGHTS, HealthRecord, assess, overall_score
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.settings import load_settings
from availability.status import Availability
from availability.workspace import Workspace
from tests.builders import file_record, no_deadline

MODEL = ModelId("org/tiny", "v2")
NOW = 1_800_000_000.0
YESTERDAY = datetime.fromtimestamp(NOW - 86400, UTC)
STATUS = ModelStatus(MODEL, Availability.AVAILABLE, None, None, 10, 1.0, YESTERDAY, (), (), (), None, is_running=False)
FILE = file_record(b"0123456789")
SCORES = st.none() | st.floats(0, 1)


def report(results=None, status=STATUS, outcome=None, threshold=0.8):
    results = {"integrity": CheckResult(1.0)} if results is None else results
    return assess(status, results, outcome, healthy_threshold=threshold, within_days=30, now=NOW, seconds=0.5)


def finding(kind, ranges=((2, 4),)):
    return Finding(kind, FILE, ranges, "it rots")


# --- scores ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, None),
        ({"integrity": None, "storage": None}, None),
        ({"integrity": 1.0, "performance": None}, 1.0),
        ({"integrity": 0.0, "storage": 1.0}, 1 / 6),
        ({"integrity": 1.0, "format": 1.0, "performance": 0.0, "storage": 1.0}, 0.8),
        ({"integrity": 1.0, "mine": 0.0}, 5 / 6),
    ],
    ids=["none", "none known", "unknown weighs nothing", "two", "all", "an added one"],
)
def test_the_overall_score_is_the_mean_of_the_known_by_their_weights(scores, expected):
    assert overall_score(scores) == (None if expected is None else pytest.approx(expected))


@no_deadline
@given(scores=st.dictionaries(st.sampled_from([*WEIGHTS, "mine", "yours"]), SCORES))
def test_the_overall_score_lies_between_the_known_ones(scores):
    known = [score for score in scores.values() if score is not None]
    overall = overall_score(scores)
    assert (overall is None) == (not known)
    if overall is not None:
        assert min(known) - 1e-9 <= overall <= max(known) + 1e-9


def test_integrity_weighs_more_than_all_that_can_be_added_for_nothing():
    assert WEIGHTS["integrity"] >= sum(WEIGHTS.values()) / 2
    assert WEIGHTS["integrity"] > ADDED_WEIGHT


def test_without_data_a_score_is_null_and_never_one():
    record = report({"integrity": CheckResult(None), "performance": CheckResult(None)}).as_dict()
    assert [record[name] for name in ("integrity_score", "performance_score", "overall_score")] == [None] * 3
    assert not record["is_healthy"]


# --- the verdict -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "is_healthy"), [(1.0, True), (0.8, True), (0.79, False), (0.0, False)])
def test_a_model_is_healthy_from_the_threshold_on(score, is_healthy):
    assert report({"integrity": CheckResult(score)}).is_healthy == is_healthy


@no_deadline
@given(scores=st.dictionaries(st.sampled_from([*WEIGHTS]), SCORES), threshold=st.floats(0, 1))
def test_what_is_corrupted_is_never_healthy(scores, threshold):
    results = {name: CheckResult(score) for name, score in scores.items()}
    status = replace(STATUS, availability_status=Availability.CORRUPTED)
    assert not report(results, status, threshold=threshold).is_healthy


@pytest.mark.parametrize(
    "kind", [kind for kind in FindingKind if finding(kind).severity is Severity.CRITICAL], ids=lambda kind: kind.value
)
def test_one_critical_finding_is_enough(kind):
    results = {"integrity": CheckResult(0.999999, (finding(kind),)), "storage": CheckResult(1.0)}
    assert not report(results).is_healthy


def test_a_warning_costs_no_health():
    assert report({"integrity": CheckResult(1.0, (finding(FindingKind.MALFORMED_JSON),))}).is_healthy


@pytest.mark.parametrize(
    ("word", "is_healthy"),
    [
        (Availability.AVAILABLE, True),
        (Availability.UPDATING, True),
        (Availability.MISSING, False),
        (Availability.DOWNLOADING, False),
        (Availability.CORRUPTED, False),
    ],
)
def test_only_what_can_be_used_is_healthy(word, is_healthy):
    assert report(status=replace(STATUS, availability_status=word)).is_healthy == is_healthy


# --- the report --------------------------------------------------------------------------------------------------


def test_the_record_has_exactly_the_promised_keys():
    assert (
        {*report().as_dict()}
        == {*HealthRecord.__annotations__}
        == {
            *("model_id", "revision", "availability_status", "is_healthy", "checked_at", "checks_performed"),
            *("integrity_score", "performance_score", "overall_score", "findings", "recommendations"),
            *("bytes_read", "seconds", "coverage"),
        }
    )


def test_the_record_tells_what_the_check_of_the_content_did():
    outcome = CheckOutcome(
        MODEL, "full", NOW, ("links", "content"), bytes_read=10, bytes_total=10, seconds=2.0, coverage=1.0
    )
    record = report(outcome=outcome).as_dict()
    assert record["checks_performed"] == ["links", "content", "integrity"]
    assert (record["bytes_read"], record["seconds"], record["coverage"]) == (10, 2.5, 1.0)


def test_without_such_a_check_there_is_no_coverage():
    record = report().as_dict()
    assert (record["bytes_read"], record["coverage"]) == (0, None)


def test_the_gravest_comes_first_and_what_two_checkers_saw_is_told_once():
    grave, light = finding(FindingKind.BAD_HEADER), Issue("low_space", "it is full", Severity.INFO)
    again = Issue("bad_header", "the same seen by another", Severity.CRITICAL, FILE.path)
    made = report(
        {
            "storage": CheckResult(1.0, (light,)),
            "integrity": CheckResult(0.5, (grave,)),
            "format": CheckResult(0.0, (again,)),
        }
    )
    assert [told["kind"] for told in made.as_dict()["findings"]] == ["bad_header", "low_space"]


@pytest.mark.parametrize(
    ("status", "results", "command"),
    [
        ({"availability_status": Availability.CORRUPTED}, {}, "availability repair org/tiny@v2"),
        ({}, {"integrity": CheckResult(0.5, (finding(FindingKind.ZEROED_RANGE),))}, "availability repair org/tiny@v2"),
        ({"availability_status": Availability.MISSING}, {}, "availability ensure org/tiny@v2"),
        (
            {},
            {"format": CheckResult(0.5, (finding(FindingKind.BAD_HEADER),))},
            "availability check org/tiny@v2 --force",
        ),
        ({"oldest_check": None}, {}, "availability check org/tiny@v2"),
        ({"oldest_check": datetime.fromtimestamp(NOW - 31 * 86400, UTC)}, {}, "availability check org/tiny@v2"),
        ({}, {"storage": CheckResult(0.1, (Issue("low_space", "full", advice="Free space now."),))}, "Free space now."),
    ],
    ids=["corrupted", "wrong bytes", "missing", "bad at the publisher's", "never checked", "overdue", "an issue's own"],
)
def test_a_recommendation_names_the_command_to_type(status, results, command):
    (sentence,) = report(results, replace(STATUS, **status)).recommendations
    assert command in sentence


def test_a_healthy_model_needs_nothing():
    made = report()
    assert (made.is_healthy, made.recommendations) == (True, ())


def test_what_is_not_there_is_reported_and_nothing_of_it_made_up(tmp_path):
    here = Workspace(load_settings({"storage.models_directory": tmp_path / "store"}, env={}, dotenv=None))
    record = observe_health(here, MODEL, Catalog()).as_dict()
    assert (record["availability_status"], record["is_healthy"], record["overall_score"]) == ("missing", False, None)
    assert record["recommendations"] == ["Fetch it: availability ensure org/tiny@v2"]

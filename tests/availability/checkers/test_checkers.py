"""The law of the checkers: each judges one thing, without data it says nothing, and one that raises costs no other."""

import os
from dataclasses import replace

import pytest

from availability.checkers import CheckResult, HealthContext, Issue, run_checkers
from availability.checkers.storage import StorageFacts, judge
from availability.checks import CheckOutcome
from availability.errors import HealthCheckFailedError
from availability.findings import Finding, FindingKind, Severity
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.past import ModelPast
from availability.preflight import Disk
from availability.registry import health_checkers
from availability.settings import load_settings
from availability.settings.groups import HealthSettings
from availability.status import Availability
from tests.builders import file_record, run_program

MODEL = ModelId("org/tiny")
STATUS = ModelStatus(MODEL, Availability.AVAILABLE, None, None, 10**9, 1.0, None, (), (), (), None, is_running=False)
FILE = file_record(b"0123456789")
FLIPPED = Finding(FindingKind.FLIPPED_RANGE, FILE, ((2, 4),), "it rots")


def run(folder, configuration=None, **known):
    settings = load_settings({"storage.models_directory": folder}, env={}, dotenv=None)
    known = {"status": STATUS, **known}
    return run_checkers(HealthContext(settings, **known), MODEL, folder, configuration)


@pytest.fixture
def added():
    """Register checkers for one test."""
    names = []

    def add(name, check, priority=0):
        class Added:
            def __init__(self, context, settings):
                pass

            def check(self, model, path):
                return check(model, path)

        names.append(name)
        health_checkers.register(name, priority=priority)(Added)

    health_checkers.load()
    yield add
    for name in names:
        health_checkers.remove(name)


# --- running them ----------------------------------------------------------------------------------------------


def test_they_run_in_the_order_of_their_priority(tmp_path, added):
    added("mine", lambda *_: CheckResult(1.0), priority=50)
    assert list(run(tmp_path)) == ["integrity", "format", "mine", "storage", "performance"]


def test_one_that_raises_is_one_issue_and_the_others_speak(tmp_path, added):
    added("broken", lambda _, path: path / 0)
    results = run(tmp_path)
    (issue,) = results["broken"].issues
    assert (results["broken"].score, issue.kind, issue.severity) == (None, "check_failed", Severity.WARNING)
    assert "TypeError" in issue.cause
    assert results["integrity"].score == 1.0


@pytest.mark.parametrize("answer", [None, 1.0, (1.0, [])], ids=["nothing", "a number", "a tuple"])
def test_one_that_answers_otherwise_is_one_issue(tmp_path, added, answer):
    added("odd", lambda *_: answer)
    (issue,) = run(tmp_path)["odd"].issues
    assert "instead of a CheckResult" in issue.cause


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_out_of_its_bounds_is_refused(tmp_path, added, score):
    added("odd", lambda *_: CheckResult(score))
    (issue,) = run(tmp_path)["odd"].issues
    assert "a score is 0 to 1" in issue.cause


def test_a_configuration_that_cannot_be_used_is_one_issue(tmp_path):
    results = run(tmp_path, {"performance": {"expected_mb_per_second": 0}, "no_such": {}})
    assert [issue.kind for name in ("performance", "no_such") for issue in results[name].issues] == ["check_failed"] * 2


def test_one_that_is_switched_off_says_nothing(tmp_path):
    assert "storage" not in run(tmp_path, {"storage": {"enabled": False}})


# --- integrity -------------------------------------------------------------------------------------------------


def test_a_fresh_check_is_what_integrity_says(tmp_path):
    outcome = CheckOutcome(MODEL, "full", 1.0, findings=(FLIPPED,), bytes_total=10)
    result = run(tmp_path, outcome=outcome, is_fresh=True)["integrity"]
    assert (result.score, result.issues) == (pytest.approx(0.8), (FLIPPED,))


def test_an_older_check_is_only_believed_as_far_as_the_files_are_unchanged(tmp_path):
    outcome = CheckOutcome(MODEL, "full", 1.0, findings=(FLIPPED,), bytes_total=10)
    assert run(tmp_path, outcome=outcome)["integrity"].issues == ()
    damaged = replace(STATUS, integrity_score=0.0, damaged=({"file": FILE.path, "ranges": [(2, 4)]},))
    assert run(tmp_path, outcome=outcome, status=damaged)["integrity"].issues == (FLIPPED,)


def test_without_a_check_the_records_speak(tmp_path):
    status = replace(STATUS, integrity_score=0.5, missing=("a.json",), damaged=({"file": "b.bin", "ranges": [(0, 5)]},))
    result = run(tmp_path, status=status)["integrity"]
    told = {(issue.kind, issue.file, issue.ranges) for issue in result.issues}
    assert (result.score, told) == (0.5, {("flipped_range", "b.bin", ((0, 5),)), ("missing_file", "a.json", ())})


def test_what_could_not_be_checked_has_no_score(tmp_path):
    outcome = CheckOutcome(MODEL, "full", 1.0, error=HealthCheckFailedError("the disk is gone"))
    result = run(tmp_path, outcome=outcome, is_fresh=True)["integrity"]
    assert (result.score, [issue.cause for issue in result.issues]) == (None, ["the disk is gone"])


# --- performance -----------------------------------------------------------------------------------------------


def test_without_a_history_performance_is_not_known(tmp_path):
    assert run(tmp_path)["performance"] == CheckResult(None)


def performance(tmp_path, configuration=None, **figures):
    return run(tmp_path, configuration, status=replace(STATUS, past=ModelPast(**figures)))["performance"]


@pytest.mark.parametrize(
    ("seconds", "score"),
    [(6.0, 1.0), (1.0, 1.0), (12.0, 0.5), (60.0, 0.1), (0.0, None)],
    ids=["as expected", "faster", "half as fast", "slow", "no time at all is no report"],
)
def test_performance_is_the_expected_time_as_a_share_of_the_reported_one(tmp_path, seconds, score):
    """A gigabyte at 200 MB/s is five seconds, after one for what does not depend on size."""
    result = performance(tmp_path, loads=1, load_seconds=seconds)
    assert result.score == (None if score is None else pytest.approx(score))
    assert [issue.kind for issue in result.issues] == (["slow_load"] if score is not None and score < 0.5 else [])


@pytest.mark.parametrize(
    ("figures", "score", "kinds"),
    [
        ({"loads": 5, "load_seconds": 3.0, "baseline_loads": 5, "baseline_seconds": 2.4}, 0.8, ["slower_than_before"]),
        ({"loads": 5, "load_seconds": 3.0, "baseline_loads": 5, "baseline_seconds": 2.5}, 1 / 1.2, []),
        ({"loads": 4, "load_seconds": 3.0, "baseline_loads": 5, "baseline_seconds": 1.0}, 1.0, []),
        ({"loads": 5, "load_seconds": 3.0, "baseline_loads": 4, "baseline_seconds": 1.0}, 1.0, []),
        ({"loads": 5, "load_seconds": 3.0, "baseline_loads": 5, "baseline_seconds": 9.0}, 1.0, []),
        ({"loads": 9, "load_seconds": 60.0, "baseline_loads": 9, "baseline_seconds": 48.0}, 0.1,
         ["slow_load", "slower_than_before"]),
    ],
    ids=["a quarter slower", "a fifth is allowed", "too few now", "too few before", "faster", "the worse counts"],
)  # fmt: skip
def test_performance_is_held_against_the_models_own_past(tmp_path, figures, score, kinds):
    result = performance(tmp_path, **figures)
    assert result.score == pytest.approx(score)
    assert [issue.kind for issue in result.issues] == kinds


# --- storage ---------------------------------------------------------------------------------------------------

FACTS = StorageFacts(disk=Disk(1000, 500), is_read_only=False, is_writable=True)
LIMITS = HealthSettings()


@pytest.mark.parametrize(
    ("change", "score", "told"),
    [
        ({}, 1.0, []),
        ({"disk": Disk(1000, 201)}, 1.0, []),
        ({"disk": Disk(1000, 200)}, 1.0, [("low_space", "info")]),
        ({"disk": Disk(1000, 125)}, 0.75, [("low_space", "info")]),
        ({"disk": Disk(1000, 50)}, 0.5, [("low_space", "warning")]),
        ({"disk": Disk(1000, 0)}, 0.0, [("low_space", "warning")]),
        ({"is_writable": False}, 0.5, [("not_writable", "warning")]),
        ({"is_read_only": True, "is_writable": False}, 0.5, [("read_only_device", "warning")]),
        ({"unreadable": ["a.json"]}, 0.0, [("unreadable", "critical")]),
    ],
    ids=["well", "below the warning", "warning", "between", "critical", "full", "permission", "device", "unreadable"],
)
def test_storage_is_the_worst_of_space_permissions_and_device(change, score, told):
    result = judge(replace(FACTS, **change), LIMITS)
    assert result.score == pytest.approx(score)
    assert [(issue.kind, issue.severity.value) for issue in result.issues] == told


@pytest.mark.parametrize("used", [95, 99, 100])
def test_a_critical_limit_of_a_hundred_percent_can_be_judged(used):
    limits = HealthSettings(storage_critical_percent=100)
    assert 0 <= judge(replace(FACTS, disk=Disk(1000, 1000 - 10 * used)), limits).score <= 1


def test_storage_is_observed_on_the_disk_of_the_store(tmp_path):
    result = run(tmp_path)["storage"]
    usage = os.statvfs(tmp_path)
    assert result.details["free_bytes"] == pytest.approx(usage.f_bavail * usage.f_frsize, rel=0.1)


def test_whoever_may_not_read_or_write_is_told(open_folder):
    (open_folder / "a.json").write_text("{}")
    (open_folder / "a.json").chmod(0)
    program = """
import sys
from pathlib import Path
from availability.checkers.storage import observe
become_nobody()
facts = observe(Path(sys.argv[1]), Path(sys.argv[1]))
print(facts.is_writable, facts.unreadable)
"""
    assert run_program(program, open_folder) == "False ['a.json']\n"


def test_an_issue_has_the_shape_of_a_finding():
    assert Issue("low_space", "it is full").as_dict().keys() == FLIPPED.as_dict().keys()

"""The law of outcomes: one value for each model, from which tables, events, JSON and the exit code all follow."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.errors import (
    AccessDeniedError,
    DownloadFailedError,
    DownloadIntegrityError,
    ModelNotFoundError,
    OfflineError,
    SourceUnavailableError,
    UnsafeModelError,
    UnverifiableError,
)
from availability.outcome import EnsureOutcome, ExitCode, exit_code_of, refused_outcome, summarise
from availability.status import Availability
from tests.builders import no_deadline

READY = EnsureOutcome(
    model_id="org/tiny",
    revision="main",
    commit="c" * 40,
    path=Path("/store/snapshots/c"),
    availability_status=Availability.AVAILABLE,
    download_id="id-1",
    bytes_total=100,
    bytes_fetched=120,
    seconds=1.23456,
    attempts=3,
    sources={"mirror": 20, "hub": 100},
    step_seconds={"plan": 0.25, "fetch": 0.98765},
)
FAILED = replace(
    READY, path=None, availability_status=Availability.MISSING, error=UnsafeModelError("org/tiny", ["bad"])
)
UNKNOWN = replace(FAILED, commit=None, bytes_total=None, error=SourceUnavailableError("down"))


def test_an_outcome_without_an_error_is_a_success():
    assert READY.success
    assert not FAILED.success


@pytest.mark.parametrize(("attempts", "retries"), [(0, 0), (1, 0), (2, 1), (11, 10)])
def test_retries_are_the_attempts_after_the_first(attempts, retries):
    assert replace(READY, attempts=attempts).total_retries == retries


def test_an_outcome_is_data():
    assert json.loads(json.dumps(READY.as_dict())) == {
        "model_id": "org/tiny",
        "revision": "main",
        "commit": "c" * 40,
        "path": "/store/snapshots/c",
        "success": True,
        "availability_status": "available",
        "download_id": "id-1",
        "bytes_total": 100,
        "bytes_fetched": 120,
        "seconds": 1.235,
        "attempts": 3,
        "total_retries": 2,
        "sources": [{"source": "hub", "bytes_fetched": 100}, {"source": "mirror", "bytes_fetched": 20}],
        "substituted": False,
        "served_model": "org/tiny",
        "served_path": "/store/snapshots/c",
        "fallback_decision": None,
        "step_seconds": {"plan": 0.25, "fetch": 0.988},
        "error": None,
    }


def test_what_is_not_known_is_null_and_the_error_is_told_whole():
    told = json.loads(json.dumps(UNKNOWN.as_dict()))
    assert (told["commit"], told["path"], told["bytes_total"], told["success"]) == (None, None, None, False)
    assert told["error"] == {"type": "SourceUnavailableError", "message": "down", "tried": [], "advice": []}


@pytest.mark.parametrize(
    ("error", "is_unknown"),
    [
        (SourceUnavailableError("down"), True),
        (OfflineError("off"), True),
        (UnverifiableError("nobody knows"), True),
        (DownloadFailedError("org/tiny", "down", 3), True),
        (DownloadIntegrityError("wrong", path="a", expected="b", got="c"), True),
        (ModelNotFoundError("org/tiny"), False),
        (AccessDeniedError("no"), False),
        (UnsafeModelError("org/tiny", ["bad"]), False),
        (None, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_nobody_could_say_is_another_answer_than_no(error, is_unknown):
    assert replace(UNKNOWN, error=error).is_unknown is is_unknown
    # Once it is known what the model must be, not having it is a plain no.
    assert not replace(UNKNOWN, error=error, bytes_total=5).is_unknown


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], ExitCode.OK),
        ([READY], ExitCode.OK),
        ([READY, FAILED], ExitCode.NOT_VERIFIED),
        ([FAILED], ExitCode.NOT_VERIFIED),
        ([UNKNOWN], ExitCode.UNKNOWN),
        ([READY, UNKNOWN], ExitCode.UNKNOWN),
        ([UNKNOWN, FAILED], ExitCode.NOT_VERIFIED),
        ([READY, UNKNOWN, FAILED], ExitCode.NOT_VERIFIED),
    ],
    ids=lambda value: (
        " ".join({id(READY): "ready", id(FAILED): "failed"}.get(id(o), "unknown") for o in value)
        if isinstance(value, list)
        else ""
    ),
)
def test_the_exit_code_is_zero_only_when_all_is_verified(outcomes, code):
    assert summarise(outcomes)["exit_code"] == code


def test_the_codes_are_the_documented_ones():
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "NOT_VERIFIED": 1,
        "WRONG_USAGE": 2,
        "UNKNOWN": 3,
        "INTERRUPTED": 130,
    }


@no_deadline
@given(st.lists(st.sampled_from([READY, FAILED, UNKNOWN]), max_size=12))
def test_a_summary_counts_every_outcome_once(outcomes):
    summary = summarise(outcomes)
    assert summary["requested"] == summary["verified"] + summary["failed"] == len(outcomes)
    assert summary["unknown"] == outcomes.count(UNKNOWN) <= summary["failed"]
    assert summary["bytes_fetched"] == 120 * len(outcomes)
    assert summary["bytes_total"] == 100 * (len(outcomes) - outcomes.count(UNKNOWN))
    assert summary["attempts"] == 3 * len(outcomes)
    assert (summary["exit_code"] == 0) is (summary["failed"] == 0)


@no_deadline
@given(st.integers(0, 5), st.integers(0, 5))
def test_one_known_no_settles_the_question(no, unknown):
    code = exit_code_of(failed=no + unknown, unknown=unknown)
    assert code == (1 if no else 3 if unknown else 0)


@pytest.mark.parametrize(
    ("asked", "name", "revision"), [("org/nmae", "org/nmae", "main"), ("org/nmae@v1", "org/nmae", "v1")]
)
def test_a_name_that_nobody_knows_has_an_outcome_for_which_nothing_was_started(asked, name, revision):
    error = ModelNotFoundError(asked, near=["org/name"])
    outcome = refused_outcome(asked, error)
    assert (outcome.model_id, outcome.revision, outcome.error) == (name, revision, error)
    assert (outcome.attempts, outcome.bytes_fetched, outcome.download_id, outcome.success) == (0, 0, None, False)
    assert outcome.availability_status is Availability.MISSING

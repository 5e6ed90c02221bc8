"""The law of recoveries: every failure has its steps in words, and what happens by itself has an end."""

import inspect
import re
from pathlib import Path

import pytest

from availability import errors
from availability.errors import (
    DownloadFailedError,
    DownloadIntegrityError,
    EnhancedModelAvailabilityError,
    GatedModelError,
    InsufficientStorageError,
    ModelNotFoundError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceUnavailableError,
)
from availability.fallback.recovery import RECOVERIES, FailureKind, RecoveryStep, failure_kind
from tests.availability.fallback.shelf import tables

CORRUPT = DownloadIntegrityError("wrong", path="a", expected="b", got="c")
DOWN = SourceUnavailableError("down")
PERSONS = {
    RecoveryStep.PROPOSE_CLEAN_UP,
    RecoveryStep.ASK_FOR_ACCESS,
    RecoveryStep.CORRECT_NAME,
    RecoveryStep.CHANGE_POLICY,
    RecoveryStep.GO_ONLINE,
    RecoveryStep.LOOK_AT_DISK,
    RecoveryStep.SWITCH_ON,
    RecoveryStep.READ_LOG,
}
"""What does not happen by itself."""


def given_up(cause):
    return DownloadFailedError("org/x", cause.message, 3, cause=cause)


def test_every_kind_has_a_row_and_every_step_a_sentence():
    assert {*RECOVERIES} == {*FailureKind}
    assert all(recovery.steps for recovery in RECOVERIES.values())
    assert {step for recovery in RECOVERIES.values() for step in recovery.steps} == {*RecoveryStep}
    assert all(step.sentence.endswith(".") for step in RecoveryStep)


@pytest.mark.parametrize("recovery", RECOVERIES.values(), ids=lambda recovery: recovery.kind.value)
def test_what_is_tried_again_by_itself_is_said_and_bounded(recovery):
    is_retried = recovery.retry_after_seconds is not None
    assert (RecoveryStep.RETRY_LATER in recovery.steps) == is_retried
    assert is_retried == bool(recovery.max_attempts) == bool(recovery.within_seconds)
    tried, now = 0, 0.0
    while recovery.may_retry(tried, now):
        tried, now = tried + 1, now + recovery.retry_after_seconds
    assert tried == recovery.max_attempts
    assert not recovery.may_retry(0, recovery.within_seconds)


@pytest.mark.parametrize("recovery", RECOVERIES.values(), ids=lambda recovery: recovery.kind.value)
def test_what_does_not_pass_by_itself_names_a_persons_part(recovery):
    if recovery.retry_after_seconds is None and recovery.kind not in {FailureKind.VANISHED, FailureKind.CANCELLED}:
        assert PERSONS & {*recovery.steps}


def test_the_page_for_people_says_the_same():
    page = Path(__file__).parents[3] / "docs/fallback.md"
    rows = tables(page.read_text())["What is done about a failure"]
    told = {kind: row["By itself again"] for row in rows for kind in re.findall(r"`(\w+)`", row["Kind"])}
    assert {*told} == {*RECOVERIES}
    for kind, words in told.items():
        recovery = RECOVERIES[kind]
        numbers = tuple(map(int, re.findall(r"\d+", words)))
        bounds = ((recovery.retry_after_seconds or 0) / 60, recovery.max_attempts, recovery.within_seconds / 3600)
        assert numbers == (bounds if recovery.max_attempts else ()), kind


@pytest.mark.parametrize(
    ("error", "seen", "kind"),
    [
        (DOWN, {}, "network"),
        (given_up(DOWN), {}, "network"),
        (given_up(DOWN), {"has_begun": True}, "partial"),
        (given_up(CORRUPT), {"has_begun": True}, "corrupt"),
        (given_up(RateLimitedError("later", retry_after_seconds=9)), {}, "rate_limited"),
        (InsufficientStorageError("full", needed_bytes=2, available_bytes=1), {}, "disk_full"),
        (GatedModelError("gated"), {}, "gated"),
        (ModelNotFoundError("org/x"), {}, "not_found"),
        (ModelNotFoundError("org/x"), {"is_here": True}, "vanished"),
        (RevisionNotFoundError("org/x", "v1"), {"is_here": True}, "vanished"),
        (EnhancedModelAvailabilityError("who knows"), {}, "unforeseen"),
        (DownloadFailedError("org/x", "of an older writer", 1), {}, "network"),
    ],
)
def test_an_error_has_its_kind(error, seen, kind):
    assert failure_kind(error, **seen) == kind


def test_every_final_error_of_ours_has_a_kind_of_its_own():
    ours = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.FinalError)]
    made = [kind.__new__(kind) for kind in ours if kind not in {errors.FinalError, errors.DownloadFailedError}]
    left = {type(error).__name__ for error in made if failure_kind(error) is FailureKind.UNFORESEEN}
    assert left == {"HealthCheckFailedError", "NoDownloadError"}  # a check's and an order's, and no road ends with them

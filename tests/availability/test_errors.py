"""The law of errors: each is in one family, crosses processes whole, and is data for whoever shows it."""

import copy
import inspect
import json
import pickle

import pytest

from availability.errors import (
    BudgetSpentError,
    DownloadFailedError,
    DownloadIntegrityError,
    EnhancedModelAvailabilityError,
    FinalError,
    InsufficientStorageError,
    LeaseLostError,
    ModelNotFoundError,
    RateLimitedError,
    RevisionNotFoundError,
    TransientError,
    UnsafeModelError,
    UsageError,
)
from availability.retry import may_pass
from availability.sources.body import LeftError

FAMILIES = (UsageError, TransientError, FinalError)

SPECIAL = {
    RateLimitedError: RateLimitedError("slowly", retry_after_seconds=1.5, advice=["wait"]),
    LeftError: LeftError("slowly", is_at_fault=True),
    BudgetSpentError: BudgetSpentError("slowly", retry_after_seconds=1.5, advice=["wait"]),
    DownloadIntegrityError: DownloadIntegrityError("wrong", path="a/b", expected="e", got="g"),
    ModelNotFoundError: ModelNotFoundError("org/nmae", near=["org/name"], reason="the hub does not have it"),
    RevisionNotFoundError: RevisionNotFoundError("org/name", "v9"),
    UnsafeModelError: UnsafeModelError("org/name", ["a is bad", "b is bad"], advice=["do not"]),
    InsufficientStorageError: InsufficientStorageError("full", needed_bytes=2, available_bytes=1, advice=["delete"]),
    DownloadFailedError: DownloadFailedError("org/name", "no answer", 2, tried=["a", "b"], advice=["wait"]),
}


def descendants(kind):
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in descendants(child))]


KINDS = [kind for kind in descendants(EnhancedModelAvailabilityError) if kind.__module__.startswith("availability.")]


def example_of(kind):
    return SPECIAL.get(kind) or kind("what happened", tried=("this", "that"), advice=("do it",))


def state_of(error):
    return type(error), error.args, str(error), vars(error)


def test_errors_of_every_module_are_looked_at():
    assert {*SPECIAL, LeaseLostError} < {*KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_processes_with_all_it_knows(kind):
    error = example_of(kind)
    assert state_of(pickle.loads(pickle.dumps(error))) == state_of(error)
    assert state_of(copy.deepcopy(error)) == state_of(error)


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_of_an_error_is_an_attribute(kind):
    given = {*inspect.signature(kind.__init__).parameters} - {"self", "message", "near", "reason"}
    assert given <= {*vars(example_of(kind))}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_data(kind):
    error = example_of(kind)
    record = json.loads(json.dumps(error.as_dict()))
    assert record == {
        "type": kind.__name__,
        "message": str(error),
        "tried": [*error.tried],
        "advice": [*error.advice],
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not EnhancedModelAvailabilityError])
def test_every_error_belongs_to_one_family(kind):
    assert sum(issubclass(kind, family) for family in FAMILIES) == 1
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_transient_family_is_worth_another_attempt(kind):
    assert may_pass(example_of(kind)) is (issubclass(kind, TransientError) and kind is not LeaseLostError)


@pytest.mark.parametrize(
    ("retries", "told"), [(0, "after 1 attempt:"), (1, "after 2 attempts:"), (10, "after 11 attempts:")]
)
def test_retries_come_after_the_first_attempt(retries, told):
    error = DownloadFailedError("org/name", "no answer", retries)
    assert told in str(error)
    assert (error.model_id, error.reason, error.retry_count) == ("org/name", "no answer", retries)


def test_an_unknown_model_is_told_with_the_near_ones():
    assert str(ModelNotFoundError("x", near=["a/x", "b/x"])).endswith("Did you mean a/x, b/x?")
    assert "Did you mean" not in str(ModelNotFoundError("x"))


@pytest.mark.parametrize(("count", "more"), [(1, ""), (5, ""), (6, "; and 1 more"), (100, "; and 95 more")])
def test_a_long_list_of_reasons_is_kept_whole_and_shown_short(count, more):
    error = UnsafeModelError("org/name", [f"file{index} is bad" for index in range(count)])
    assert len(error.reasons) == count
    assert str(error).count(" is bad") == min(count, 5)
    assert str(error).endswith(f"is bad{more}.")


def test_lists_given_to_an_error_are_its_own():
    tried = ["first"]
    error = EnhancedModelAvailabilityError("what", tried=tried)
    tried.append("second")
    assert error.tried == ("first",)

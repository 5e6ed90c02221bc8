"""What the answers of several sources come to: which of them binds, and the one error that tells them all.

Pure: errors in, error out.
"""

from collections.abc import Sequence
from copy import copy

from availability.errors import (
    AccessDeniedError,
    DownloadIntegrityError,
    EnhancedModelAvailabilityError,
    FileNotServedError,
    FinalError,
    GatedModelError,
    ModelNotFoundError,
    OfflineError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceUnavailableError,
    TransientError,
)

BINDING = (FileNotServedError, RevisionNotFoundError)
"""An answer about the file or the revision: from a trusted source it is the truth, and nobody else is asked."""

Cause = tuple[str, EnhancedModelAvailabilityError]
"""A source's name, and how it failed."""


def told(path: str, model: str, causes: Sequence[Cause]) -> EnhancedModelAvailabilityError:
    """Return the error of a whole chain.

    One cause is told as it is. Several become one error that names every source with its cause; it is final when each
    of them is, and its advice begins with what a person can do. Wrong bytes say more than bytes that did not come.

    Args:
        path: the file that was asked for.
        model: of which model.
        causes: at least one, in the order in which the sources were asked.
    """
    if len(causes) == 1:
        return causes[0][1]
    listed = tuple(f"{name}: {error.message}" for name, error in causes)
    message = f"{path} of {model} could not be had from any of {len(causes)} sources. {'; '.join(listed)}"
    errors = sorted((error for _, error in causes), key=_urgency)
    advice = tuple(dict.fromkeys(line for error in errors for line in error.advice))
    waits = [error.retry_after_seconds for error in errors if isinstance(error, RateLimitedError)]
    if any(wait is not None for wait in waits):
        least = min(wait for wait in waits if wait is not None)
        return RateLimitedError(message, retry_after_seconds=least, tried=listed, advice=advice)
    wrong = next((error for error in errors if isinstance(error, DownloadIntegrityError)), None)
    if wrong is not None:
        return _retold(wrong, message, listed, advice)
    if any(isinstance(error, TransientError) for error in errors):
        return SourceUnavailableError(message, tried=listed, advice=advice)
    return _retold(errors[0], message, listed, advice)


def bound(error: FinalError, causes: Sequence[Cause]) -> FinalError:
    """Return an answer that binds, with what the sources before it said."""
    if not causes:
        return error
    listed = tuple(f"{name}: {cause.message}" for name, cause in causes)
    again = _retold(error, error.message, (*listed, *error.tried), error.advice)
    assert isinstance(again, FinalError)  # noqa: S101  a copy has the class of what it is a copy of
    return again


def _retold(
    error: EnhancedModelAvailabilityError, message: str, tried: tuple[str, ...], advice: tuple[str, ...]
) -> EnhancedModelAvailabilityError:
    again = copy(error)
    again.message, again.args, again.tried, again.advice = message, (message,), tried, advice
    return again


def _urgency(error: EnhancedModelAvailabilityError) -> int:
    """Order by what a person can do about it: log in, accept the licence, then the rest."""
    match error:
        case GatedModelError():
            return 1
        case AccessDeniedError():
            return 0
        case ModelNotFoundError():
            return 2
        case OfflineError():
            return 3
        case DownloadIntegrityError() | SourceUnavailableError():
            return 5
        case _:
            return 4

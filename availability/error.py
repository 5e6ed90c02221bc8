"""What every error of ours has: what happened, what was tried, and what a person can do.

Nothing here formats for a terminal: `as_dict` is the one shape that `--json`, events and artifacts show.
"""

from collections.abc import Sequence
from typing import TypedDict


class ErrorRecord(TypedDict):
    """An error as data: the `error` of an outcome.

    `tried` lists every attempt or source with its cause, in order; `advice` lists what a person can do.
    """

    type: str
    message: str
    tried: list[str]
    advice: list[str]


class EnhancedModelAvailabilityError(Exception):
    """Base of all errors raised on purpose by this project.

    Attributes:
        message: what happened, to which model, expected and got.
        tried: what was done about it, one sentence each.
        advice: what a person can do, one sentence each.
    """

    def __init__(self, message: str, *, tried: Sequence[str] = (), advice: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.tried = tuple(tried)
        self.advice = tuple(advice)

    def as_dict(self) -> ErrorRecord:
        """Return the error as plain data."""
        return ErrorRecord(
            type=type(self).__name__,
            message=self.message,
            tried=list(self.tried),
            advice=list(self.advice),
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses take other arguments than they hand to Exception, and Prefect pickles errors.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[EnhancedModelAvailabilityError], args: tuple[object, ...], state: dict[str, object]
) -> EnhancedModelAvailabilityError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error

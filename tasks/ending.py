"""How a run says that it did not reach its goal."""

from collections.abc import Callable
from typing import Any

from prefect import State
from prefect.states import Failed

from availability.errors import EnhancedModelAvailabilityError


class RunFailedError(EnhancedModelAvailabilityError):
    """A run did not reach its goal: raised where its flow was called from Python, and the last line of a run's log.

    Attributes:
        outcome: what the flow would have returned, had it reached it.
    """

    def __init__(self, message: str, outcome: object) -> None:
        super().__init__(message)
        self.outcome = outcome


def failed(message: str, outcome: object, state: Callable[..., State[Any]] = Failed) -> State[Any]:
    """Return the state of a run that did not reach its goal, `Failed` unless another is named."""
    return state(message=message, data=RunFailedError(message, outcome))

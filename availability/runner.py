"""Who starts what takes time, as far as a request needs to know: a run with an id that can be followed."""

from dataclasses import dataclass
from typing import Protocol

from availability.catalog import Priority
from availability.errors import NoRunsError
from availability.model import ModelId


@dataclass(frozen=True, slots=True)
class Started:
    """A run that was asked for.

    Attributes:
        run_id: its id.
        is_new: whether it was begun now; another may have asked for it before.
        queue_reason: why it does not run yet and will not soon, as a sentence; None when it runs or a worker takes it.
        queue_position: its place among those that wait, from 1; None when it runs.
    """

    run_id: str
    is_new: bool
    queue_reason: str | None = None
    queue_position: int | None = None


class Runner(Protocol):
    """Starts runs; one that is there already for the same model is returned instead of another."""

    def download(self, model: ModelId, priority: Priority, *, after_seconds: float = 0.0) -> Started:
        """Start the fetching of a model, or let it start later.

        Raises:
            NoRunsError: none can be started.
        """

    def repair(self, model: ModelId) -> Started:
        """Start the repair of a model, or let it start later where the one before it has just failed.

        Raises:
            NoRunsError: none can be started.
        """

    def current(self, model: ModelId) -> Started | None:
        """Return the run that fetches or repairs a model, or will; None when there is none. Starts nothing.

        Raises:
            NoRunsError: nobody could say.
        """


class NoRunner:
    """Starts nothing: for who asks without a server."""

    def download(self, model: ModelId, priority: Priority, *, after_seconds: float = 0.0) -> Started:  # noqa: ARG002
        """Refuse, and say who can."""
        raise NoRunsError(
            f"{model} is not here, and nothing was started.", advice=(f"Fetch it: availability ensure {model}",)
        )

    def repair(self, model: ModelId) -> Started:
        """Refuse, and say who can."""
        raise NoRunsError(
            f"{model} is damaged, and nothing was started.", advice=(f"Mend it: availability repair {model}",)
        )

    def current(self, model: ModelId) -> Started | None:  # noqa: ARG002  the protocol
        """Return None: there are no runs."""
        return None

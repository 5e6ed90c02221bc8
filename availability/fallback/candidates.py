"""A model that might stand in for another: what is known of it, and whether it can be had."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto

from availability.fallback.estimate import UNKNOWN_WAIT, WaitEstimate
from availability.fallback.facts import NOTHING_KNOWN, ModelFacts
from availability.fallback.requirements import NOTHING_REQUIRED, Requirements
from availability.model import DEFAULT_REVISION, ModelId


class Readiness(StrEnum):
    """Whether a model can be had."""

    READY = auto()
    """It is here, complete and verified."""
    FETCHABLE = auto()
    """A source lists it, the policy admits it, and it fits on the disk."""
    ABSENT = auto()
    """It is not here, and nobody has been asked whether it can be fetched."""
    BARRED = auto()
    """It can be neither used nor fetched."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that might stand in.

    Attributes:
        model: which.
        facts: what is known of it.
        readiness: whether it can be had.
        why: why it cannot be had, half a sentence; empty when it can.
        bytes_to_fetch: what has to be fetched of it, None when that is not known.
        wait: how long that will take.
    """

    model: ModelId
    facts: ModelFacts = NOTHING_KNOWN
    readiness: Readiness = Readiness.READY
    why: str = ""
    bytes_to_fetch: int | None = None
    wait: WaitEstimate = UNKNOWN_WAIT


@dataclass(frozen=True, slots=True)
class Wanted:
    """The model that was asked for, and what is asked of one that stands in for it.

    Attributes:
        model: which.
        facts: what is known of it.
        requirements: what is needed.
        compatible_with: by id, how well another can stand in, 0 to 1, as the model's owner judged it.
        attributes: what conditions of strategies look at, by name, such as `model_type` or `priority`.
    """

    model: ModelId
    facts: ModelFacts = NOTHING_KNOWN
    requirements: Requirements = NOTHING_REQUIRED
    compatible_with: Mapping[str, float] = field(default_factory=dict, hash=False)
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    def declared(self, other: ModelId) -> float | None:
        """Return how well another model can stand in for this one, as its owner judged it; None: he said nothing.

        An id without a revision speaks of every revision that is not named itself.
        """
        exact = self.compatible_with.get(f"{other.repo_id}@{other.revision}")
        if exact is None and other.revision == DEFAULT_REVISION:
            exact = self.compatible_with.get(other.repo_id)
        return self.compatible_with.get(other.repo_id) if exact is None else exact

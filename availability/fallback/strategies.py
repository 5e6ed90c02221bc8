"""Fallback strategies: who suggests the stand-in. Built in is one, the best score; others come before it.

A strategy gets only models that have passed every gate and reach the floor, the best first. It suggests one of them or
none. It decides which, not whether: the thresholds hold for its score, or for ours where it gives none. One that
raises, or suggests what it was not given, is reported and passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from availability.fallback.candidates import Candidate, Wanted
from availability.fallback.requirements import Requirements
from availability.model import ModelId
from availability.registry import Chosen, ExtensionSettings, fallback_strategies
from availability.settings import Settings

DEFAULT = "default"
_LAST = -1000


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a strategy suggests.

    Attributes:
        model: the stand-in, one of those that were available.
        reason: why, as a sentence; empty takes the one made from the terms.
        score: how well it stands in, 0 to 1; None takes ours.
    """

    model: ModelId
    reason: str = ""
    score: float | None = None

    def __post_init__(self) -> None:
        """Refuse a score that is none.

        Raises:
            ValueError: it is not within 0 and 1.
        """
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"a score is 0 to 1 or None, got {self.score}")


class FallbackStrategy(Protocol):
    """Suggests which of the models that may stand in does."""

    def suggest(
        self, requested: Wanted, requirements: Requirements, available: Sequence[Candidate]
    ) -> Suggestion | None:
        """Return a suggestion, None to leave it to the next strategy.

        Args:
            requested: the model that cannot be had, with all that is known of it.
            requirements: what is needed of a stand-in.
            available: the models that have passed the gates, the best first; never empty.
        """


@dataclass(frozen=True, slots=True)
class FallbackContext:
    """What a strategy is made with: the settings in force, and the model that cannot be had."""

    settings: Settings
    wanted: Wanted


@fallback_strategies.register(DEFAULT, priority=_LAST)
class BestScore:
    """Suggests the best by score."""

    def __init__(self, context: FallbackContext, settings: ExtensionSettings) -> None:
        """Need nothing."""

    def suggest(
        self,
        requested: Wanted,  # noqa: ARG002  the protocol
        requirements: Requirements,  # noqa: ARG002  the protocol
        available: Sequence[Candidate],
    ) -> Suggestion | None:
        """Return the first."""
        return Suggestion(available[0].model)


def strategies_for(
    context: FallbackContext, configuration: Mapping[str, Mapping[str, object]] | None = None
) -> Chosen[FallbackStrategy]:
    """Return the strategies whose conditions hold for a model, the one of the highest priority first.

    A condition is `name:value`. It holds when the model has that value under that name among the attributes of its
    catalog entry, or as its `task`, `modality`, `licence`, `format`, `priority` or `substitution`.
    """
    return fallback_strategies.choose(context, configuration, holds=lambda condition: _holds(context.wanted, condition))


def _holds(wanted: Wanted, condition: str) -> bool:
    name, _, value = condition.partition(":")
    return value.strip().lower() in wanted.attributes.get(name.strip(), frozenset())

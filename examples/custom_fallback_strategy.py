"""A fallback strategy of your own: of the models that may stand in, take the one whose publisher you know.

    python examples/custom_fallback_strategy.py org/name

It says what would stand in for a model, and starts nothing. Whether anything may is said in the catalog
(`substitution`); the same class works as an entry point of an installed package; docs/extending.md says how.
"""

import sys
from collections.abc import Sequence

from availability import request
from availability.fallback.candidates import Candidate, Wanted
from availability.fallback.requirements import Requirements
from availability.fallback.strategies import FallbackContext, Suggestion
from availability.registry import ExtensionSettings, fallback_strategies


class PublisherSettings(ExtensionSettings):
    """What may be configured; anything else is refused."""

    trusted: tuple[str, ...] = ("HuggingFaceTB",)


@fallback_strategies.register("publisher", priority=10, settings=PublisherSettings)
class TrustedPublisher:
    """Suggests the best model of a trusted publisher, and leaves it to the next strategy where there is none."""

    def __init__(self, context: FallbackContext, settings: PublisherSettings) -> None:  # noqa: ARG002  what it is made with
        """Take the settings; `context` tells what is known already."""
        self._trusted = settings.trusted

    def suggest(
        self,
        requested: Wanted,  # noqa: ARG002  the protocol
        requirements: Requirements,  # noqa: ARG002  the protocol
        available: Sequence[Candidate],
    ) -> Suggestion | None:
        """Return a suggestion; what is available has passed every gate, and comes the best first."""
        for candidate in available:
            publisher = candidate.model.repo_id.partition("/")[0]
            if publisher in self._trusted:
                return Suggestion(candidate.model, f"{publisher} is a publisher that we trust.")
        return None


def main(text: str) -> None:
    """Say whether a model can be had, and what would stand in for it."""
    answer = request(text)
    print(f"{answer.model}: {answer.action_taken.value}. {answer.message}")
    if answer.resolution is not None:
        for option in answer.resolution.decision.options:
            score = "" if option.score is None else f" ({option.score:.2f})"
            print(f"- {option.kind.value}: {option.model or ''}{score} {option.reason}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

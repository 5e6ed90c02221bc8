"""What was decided about a model that cannot be had, as values: the options, their terms, the reason, what is lost.

A flow's artifact, an event, a form, `--json` and the command line are views of it. Nothing is decided here.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypedDict

from availability.catalog import Substitution
from availability.fallback.candidates import Readiness
from availability.fallback.estimate import WaitEstimate
from availability.fallback.recovery import Recovery, RecoveryRecord
from availability.fallback.score import Terms, TermsRecord
from availability.model import ModelId

_MOST_EXCLUDED = 50
"""So many exclusions are in the plain data; the counts are of all."""


class FallbackKind(StrEnum):
    """What may be done when a model cannot be had."""

    ALTERNATIVE_MODEL = auto()
    """Another model stands in for it."""
    QUEUE_AND_WAIT = auto()
    """It is being fetched: wait for it."""
    DOWNLOAD_AND_RETRY = auto()
    """Fetch it, or try again to, and ask then."""
    REDUCE_REQUIREMENTS = auto()
    """Others could stand in if less were asked for."""
    UNAVAILABLE = auto()
    """Nothing of that is possible."""


class OptionRecord(TypedDict):
    """An `Option` as plain data; null where it does not apply or is not known."""

    kind: str
    model_id: str | None
    revision: str | None
    score: float | None
    terms: TermsRecord | None
    readiness: str | None
    estimated_wait_seconds: float | None
    confidence: float | None
    requirement: str | None
    reason: str
    lost: list[str]


class ExclusionRecord(TypedDict):
    """An `Exclusion` as plain data."""

    model_id: str
    revision: str
    gates: list[str]
    reason: str


class GateRecord(TypedDict):
    """How many models one gate excludes, as plain data."""

    gate: str
    models: int


class FallbackRecord(TypedDict):
    """A `FallbackDecision` as plain data."""

    kind: str
    model_id: str
    revision: str
    substitution: str
    reason: str
    lost: list[str]
    options: list[OptionRecord]
    excluded: list[ExclusionRecord]
    excluded_by: list[GateRecord]
    recovery: RecoveryRecord | None
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Option:
    """One way on.

    Attributes:
        kind: which way.
        reason: why it is one, as a sentence.
        model: the stand-in, None for the other ways.
        score: how well it stands in, 0 to 1.
        terms: what the score is made of; None when a strategy of one's own gave the score.
        readiness: whether the stand-in is here or has to be fetched.
        wait: how long it takes until there is a model to use; None where that is not the question.
        requirement: what should be asked for less, None for the other ways.
        lost: what is lost on this way, as sentences.
    """

    kind: FallbackKind
    reason: str
    model: ModelId | None = None
    score: float | None = None
    terms: Terms | None = None
    readiness: Readiness | None = None
    wait: WaitEstimate | None = None
    requirement: str | None = None
    lost: tuple[str, ...] = ()

    def as_dict(self) -> OptionRecord:
        """Return the option as plain data."""
        seconds = self.wait.seconds if self.wait else None
        return OptionRecord(
            kind=self.kind.value,
            model_id=self.model.repo_id if self.model else None,
            revision=self.model.revision if self.model else None,
            score=self.score,
            terms=self.terms.as_dict() if self.terms else None,
            readiness=self.readiness.value if self.readiness else None,
            estimated_wait_seconds=None if seconds is None else round(seconds, 1),
            confidence=round(self.wait.confidence, 3) if self.wait else None,
            requirement=self.requirement,
            reason=self.reason,
            lost=list(self.lost),
        )


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why a model does not stand in.

    Attributes:
        model: which.
        gates: the gates that it failed, in their order, or `score`; never empty.
        reason: why it failed the first of them, as half a sentence.
    """

    model: ModelId
    gates: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FallbackDecision:
    """What is to be done about a model that cannot be had.

    Attributes:
        wanted: the model.
        substitution: whether another may stand in for it, as its catalog entry says.
        options: the ways on, the chosen one first; never empty.
        excluded: the models that cannot stand in, in the order of their names.
        recovery: what is done about the failure itself, None when nothing has failed.
        problems: what went wrong with strategies, as sentences.
    """

    wanted: ModelId
    substitution: Substitution
    options: tuple[Option, ...]
    excluded: tuple[Exclusion, ...] = ()
    recovery: Recovery | None = None
    problems: tuple[str, ...] = ()

    @property
    def chosen(self) -> Option:
        """The way that was chosen."""
        return self.options[0]

    @property
    def kind(self) -> FallbackKind:
        """Which way was chosen."""
        return self.chosen.kind

    @property
    def alternatives(self) -> tuple[Option, ...]:
        """The models that are offered, the best first."""
        return tuple(option for option in self.options if option.kind is FallbackKind.ALTERNATIVE_MODEL)

    def excluded_by(self) -> dict[str, int]:
        """Return how many models each gate excludes; one that fails at several counts at each."""
        return dict(Counter(gate for exclusion in self.excluded for gate in exclusion.gates))

    def as_dict(self) -> FallbackRecord:
        """Return the decision as plain data."""
        return FallbackRecord(
            kind=self.kind.value,
            model_id=self.wanted.repo_id,
            revision=self.wanted.revision,
            substitution=self.substitution,
            reason=self.chosen.reason,
            lost=list(self.chosen.lost),
            options=[option.as_dict() for option in self.options],
            excluded=[
                ExclusionRecord(
                    model_id=one.model.repo_id, revision=one.model.revision, gates=list(one.gates), reason=one.reason
                )
                for one in self.excluded[:_MOST_EXCLUDED]
            ],
            excluded_by=[GateRecord(gate=gate, models=count) for gate, count in self.excluded_by().items()],
            recovery=self.recovery.as_dict() if self.recovery else None,
            problems=list(self.problems),
        )

"""How well a model can stand in for another: three terms in 0..1, weighed into one score, each shown.

Only what has passed the gates is scored. What is not known counts as nothing. The score is the mean of the terms by
their weights, rounded so that a threshold is met by what is written like it.
"""

from dataclasses import dataclass
from typing import TypedDict

from availability.catalog import AttributeValue
from availability.fallback.candidates import Candidate, Wanted
from availability.fallback.facts import GIGABYTE, ModelFacts, normal
from availability.fallback.gates import Needs
from availability.fallback.requirements import Wish
from availability.settings import FallbackSettings

_DIGITS = 6


class TermsRecord(TypedDict):
    """What a score is made of, each 0 to 1."""

    compatibility: float
    capability: float
    requirement: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What a score is made of, each 0 to 1.

    Attributes:
        compatibility: as the wanted model's owner judged it in the catalog; 0 where he said nothing.
        capability: the share of the wanted model's capabilities that the other has too; 0 where either is not known.
        requirement: the share of what was asked for that is met; 1 where nothing was.
    """

    compatibility: float
    capability: float
    requirement: float

    def score(self, settings: FallbackSettings) -> float:
        """Return the terms weighed into one score."""
        first, second = settings.compatibility_weight, settings.capability_weight
        third = settings.requirement_weight
        weighed = first * self.compatibility + second * self.capability + third * self.requirement
        return round(weighed / (first + second + third), _DIGITS)

    def as_dict(self) -> TermsRecord:
        """Return the terms as plain data."""
        return TermsRecord(
            compatibility=round(self.compatibility, _DIGITS),
            capability=round(self.capability, _DIGITS),
            requirement=round(self.requirement, _DIGITS),
        )


def terms_of(needs: Needs, candidate: Candidate) -> Terms:
    """Return the terms for a candidate that has passed the gates."""
    return Terms(
        compatibility=needs.wanted.declared(candidate.model) or 0.0,
        capability=_overlap(needs.wanted.facts.capabilities, candidate.facts.capabilities),
        requirement=_met(needs, candidate.facts),
    )


def _overlap(wanted: frozenset[str] | None, other: frozenset[str] | None) -> float:
    if wanted is None or other is None:
        return 0.0
    return len(wanted & other) / len(wanted) if wanted else 1.0


def _met(needs: Needs, facts: ModelFacts) -> float:
    """Return the share of what was asked for that is met: the hard part by whoever passed, the wishes one by one."""
    attributes = needs.wanted.requirements.attributes
    total = needs.stated + len(needs.wishes) + len(attributes)
    if not total:
        return 1.0
    able = facts.capabilities or ()
    met = needs.stated + len([wish for wish in needs.wishes if wish in able])
    return (met + sum(_has(facts.others.get(name), value) for name, value in attributes.items())) / total


def _has(said: AttributeValue | None, wish: Wish) -> bool:
    """Say whether an attribute is what is wished, or holds it where it is a list."""
    told = said if isinstance(said, tuple) else (said,)
    return any(type(one) is type(wish) and _same(one, wish) for one in told)


def _same(one: object, other: object) -> bool:
    return normal(one) == normal(other) if isinstance(one, str) and isinstance(other, str) else one == other


def losses(wanted: Wanted, candidate: Candidate) -> tuple[str, ...]:
    """Return what is lost when a candidate stands in, as sentences; what is not known is said to be so."""
    told: list[str] = []
    have, get = wanted.facts, candidate.facts
    if have.capabilities is None or get.capabilities is None:
        told.append("What it can do in comparison is not known.")
    elif missing := sorted(have.capabilities - get.capabilities):
        told.append(f"It lacks {', '.join(missing)}.")
    asked = [wish for wish in wanted.requirements.capabilities if normal(wish) not in (get.capabilities or ())]
    if asked:
        told.append(f"It is not known to have what was asked for: {', '.join(asked)}.")
    for name, value in wanted.requirements.attributes.items():
        if not _has(get.others.get(name), value):
            told.append(f"It is not known to have {name} {value}.")
    if have.context_length and (get.context_length or 0) < have.context_length:
        length = get.context_length or "not known"
        told.append(f"Its context length is {length}, not {have.context_length}.")
    if have.parameters and (get.parameters or 0) < have.parameters:
        count = f"{get.parameters / GIGABYTE:.2g} billion" if get.parameters else "not known"
        told.append(f"Its number of parameters is {count}, not {have.parameters / GIGABYTE:.2g} billion.")
    if have.licence and get.licence != have.licence:
        told.append(f"Its licence is {get.licence}, not {have.licence}.")
    if wanted.declared(candidate.model) is None:
        told.append("Nobody has judged how well it stands in: the catalog declares no compatibility.")
    return tuple(told)

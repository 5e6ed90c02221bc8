"""The decision itself: what was observed goes in, a `FallbackDecision` comes out. No disk, no network, no clock.

The same observations give the same decision, in whatever order the candidates come.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from availability.catalog import Substitution
from availability.fallback.candidates import Candidate, Readiness, Wanted
from availability.fallback.decision import Exclusion, FallbackDecision, FallbackKind, Option
from availability.fallback.estimate import UNKNOWN_WAIT, WaitEstimate
from availability.fallback.gates import REDUCIBLE, Gate, Needs, closed_gates, could_pass, needs_of
from availability.fallback.recovery import Recovery
from availability.fallback.score import Terms, losses, terms_of
from availability.fallback.strategies import FallbackStrategy, Suggestion
from availability.settings import FallbackSettings

_MOST_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Situation:
    """How it stands with the wanted model itself.

    Attributes:
        reason: why it cannot be had now, as a sentence.
        substitution: whether another may stand in, as its catalog entry says.
        is_running: whether it is being fetched.
        can_fetch: whether fetching it, or trying again, can end well without anybody's help.
        wait: how long it takes until it is here, waited for or fetched.
        recovery: what is done about the failure, None when nothing has failed.
    """

    reason: str
    substitution: Substitution = "never"
    is_running: bool = False
    can_fetch: bool = False
    wait: WaitEstimate = UNKNOWN_WAIT
    recovery: Recovery | None = None


@dataclass(frozen=True, slots=True)
class _Scored:
    """A candidate that has passed the gates, or would if less were asked for."""

    candidate: Candidate
    terms: Terms
    score: float

    @property
    def order(self) -> tuple[float, bool, bool, float, str, str]:
        """The best first: by score, then what is here, then what is here soonest, then by name."""
        seconds = self.candidate.wait.seconds
        fetched = self.candidate.readiness is not Readiness.READY
        model = self.candidate.model
        return (-self.score, fetched, seconds is None, seconds or 0.0, model.repo_id, model.revision)


def decide(
    wanted: Wanted,
    situation: Situation,
    candidates: Iterable[Candidate],
    settings: FallbackSettings,
    strategies: Mapping[str, FallbackStrategy],
    *,
    blocked: tuple[str, ...] = (),
    problems: Sequence[str] = (),
) -> FallbackDecision:
    """Decide what is to be done about a model that cannot be had.

    Args:
        wanted: the model.
        situation: how it stands with it.
        candidates: the models that might stand in, in any order.
        settings: weights and thresholds.
        strategies: who suggests, by name, the one of the highest priority first.
        blocked: patterns of ids that may not stand in.
        problems: what is wrong with strategies that could not be made, as sentences.
    """
    needs = needs_of(wanted, settings.accepted_licences, blocked)
    scored: list[_Scored] = []
    closed: list[tuple[Candidate, dict[Gate, str]]] = []
    excluded: list[Exclusion] = []
    for candidate in candidates:
        if candidate.model == wanted.model:
            continue
        gates = closed_gates(needs, candidate)
        if gates:
            closed.append((candidate, gates))
            excluded.append(Exclusion(candidate.model, tuple(gates), next(iter(gates.values()))))
            continue
        one = _score(needs, candidate, settings)
        if one.score >= settings.floor_score:
            scored.append(one)
        if one.score < settings.offer_score:
            excluded.append(Exclusion(candidate.model, ("score",), _too_low(one, settings)))
    scored.sort(key=lambda one: one.order)
    alternatives, found = _alternatives(wanted, scored, settings, strategies)
    offered = () if situation.substitution == "never" else alternatives
    reduced = None if situation.substitution == "never" else _reduced(needs, closed, settings)
    return FallbackDecision(
        wanted=wanted.model,
        substitution=situation.substitution,
        options=_ordered(situation, settings, offered, reduced, withheld=len(alternatives) - len(offered)),
        excluded=tuple(sorted(excluded, key=lambda one: (one.model.repo_id, one.model.revision))),
        recovery=situation.recovery,
        problems=(*problems, *found),
    )


def _ordered(
    situation: Situation,
    settings: FallbackSettings,
    alternatives: tuple[Option, ...],
    reduced: Option | None,
    *,
    withheld: int,
) -> tuple[Option, ...]:
    """Return all ways on, the one to take first.

    Waiting and fetching come first while they are known to be short; then a model that is preferred, then waiting and
    fetching however long they take, then a model that is merely offered, then asking for less.
    """
    own = _own_ways(situation)
    is_soon = situation.wait.is_within(settings.fetch_first_minutes * 60)
    is_first = bool(alternatives) and not is_soon and _comes_first(alternatives[0], situation, settings)
    ways = [*alternatives, *own] if is_first else [*own, *alternatives]
    if reduced is not None:
        ways.append(reduced)
    return tuple(ways) or (_unavailable(situation, withheld),)


def _comes_first(option: Option, situation: Situation, settings: FallbackSettings) -> bool:
    """Say whether a stand-in comes before a wait that is not short: it is preferred, and it is here sooner.

    What has to be fetched itself is worth it where the wanted model has failed, else only if it is known to be faster.
    """
    if (option.score or 0.0) < settings.prefer_score:
        return False
    own, seconds = situation.wait.seconds, option.wait.seconds if option.wait else None
    is_faster = seconds is not None and (own is None or seconds < own)
    return option.readiness is Readiness.READY or situation.recovery is not None or is_faster


def _own_ways(situation: Situation) -> list[Option]:
    """Return the ways on that end with the wanted model itself."""
    if situation.is_running:
        told = f"{situation.reason} {_in_words(situation.wait)}"
        return [Option(FallbackKind.QUEUE_AND_WAIT, told, wait=situation.wait)]
    if situation.can_fetch:
        told = f"{situation.reason} {_in_words(situation.wait)}"
        return [Option(FallbackKind.DOWNLOAD_AND_RETRY, told, wait=situation.wait)]
    return []


def _in_words(wait: WaitEstimate) -> str:
    if wait.seconds is None:
        return f"How long it takes is not known: {wait.basis}."
    minutes = wait.seconds / 60
    length = f"{minutes:.0f} minutes" if minutes >= 2 else f"{wait.seconds:.0f} s"
    return f"It takes about {length} at {wait.basis} (confidence {wait.confidence:.2f})."


def _unavailable(situation: Situation, withheld: int) -> Option:
    told = f"{situation.reason} Nothing can stand in for it."
    if withheld:
        told = (
            f"{situation.reason} {withheld} models could stand in for it, and its catalog entry forbids it "
            "(`substitution: never`)."
        )
    elif situation.substitution == "never":
        told = f"{situation.reason} No other model may stand in for it (`substitution: never`)."
    return Option(FallbackKind.UNAVAILABLE, told)


# --- alternatives ---------------------------------------------------------------------------------------


def _score(needs: Needs, candidate: Candidate, settings: FallbackSettings) -> _Scored:
    terms = terms_of(needs, candidate)
    return _Scored(candidate, terms, terms.score(settings))


def _too_low(one: _Scored, settings: FallbackSettings) -> str:
    if one.score < settings.floor_score:
        return f"its score of {one.score:.2f} is below the floor of {settings.floor_score:g}"
    return f"its score of {one.score:.2f} is below {settings.offer_score:g}, from which on a model is offered"


def _alternatives(
    wanted: Wanted, scored: Sequence[_Scored], settings: FallbackSettings, strategies: Mapping[str, FallbackStrategy]
) -> tuple[tuple[Option, ...], list[str]]:
    """Return the models that are offered, the suggested one first, and what went wrong with strategies."""
    problems: list[str] = []
    first = _suggested(wanted, scored, settings, strategies, problems)
    rest = (
        _option(wanted, one, one.score, one.terms, "")
        for one in scored
        if one.score >= settings.offer_score and (first is None or one.candidate.model != first.model)
    )
    options = [*([first] if first else []), *rest]
    return tuple(options[:_MOST_ALTERNATIVES]), problems


def _suggested(
    wanted: Wanted,
    scored: Sequence[_Scored],
    settings: FallbackSettings,
    strategies: Mapping[str, FallbackStrategy],
    problems: list[str],
) -> Option | None:
    available = tuple(one.candidate for one in scored)
    by_model = {one.candidate.model: one for one in scored}
    for name, strategy in strategies.items() if available else ():
        try:
            suggestion = strategy.suggest(wanted, wanted.requirements, available)
        except Exception as error:  # noqa: BLE001  a strategy may be anybody's code
            problems.append(f"The strategy {name!r} was passed over: it raised {type(error).__name__}: {error}.")
            continue
        if suggestion is None:
            continue
        # A protocol is not checked when it is called, and a model that failed a gate must not come in by this door.
        one = by_model.get(suggestion.model) if isinstance(suggestion, Suggestion) else None
        if one is None:
            problems.append(f"The strategy {name!r} was passed over: it suggested what may not stand in.")
            continue
        score = one.score if suggestion.score is None else suggestion.score
        if score >= settings.offer_score:
            terms = one.terms if suggestion.score is None else None
            return _option(wanted, one, score, terms, suggestion.reason)
    return None


def _option(wanted: Wanted, one: _Scored, score: float, terms: Terms | None, reason: str) -> Option:
    candidate = one.candidate
    return Option(
        kind=FallbackKind.ALTERNATIVE_MODEL,
        reason=reason or _why(wanted, one),
        model=candidate.model,
        score=score,
        terms=terms,
        readiness=candidate.readiness,
        wait=None if candidate.readiness is Readiness.READY else candidate.wait,
        lost=losses(wanted, candidate),
    )


def _why(wanted: Wanted, one: _Scored) -> str:
    declared = wanted.declared(one.candidate.model)
    judged = "nobody has declared how compatible it is" if declared is None else f"declared {declared:.2f} compatible"
    here = "is here" if one.candidate.readiness is Readiness.READY else "can be fetched"
    return (
        f"{one.candidate.model} {here} and scores {one.score:.2f} for {wanted.model}: {judged}, "
        f"{one.terms.capability:.0%} of its capabilities, {one.terms.requirement:.0%} of what is required."
    )


# --- asking for less ------------------------------------------------------------------------------------


def _reduced(
    needs: Needs, closed: Sequence[tuple[Candidate, dict[Gate, str]]], settings: FallbackSettings
) -> Option | None:
    """Return which requirement excludes most of the models that would be offered without it.

    Those that it alone excludes count first, because asking for less of it is enough to have them.
    """
    near = [
        (one, gates.keys())
        for candidate, gates in closed
        if could_pass(needs, candidate, gates)
        and (one := _score(needs, candidate, settings)).score >= settings.offer_score
    ]
    if not near:
        return None
    order = list(REDUCIBLE)
    alone = {gate: [one for one, gates in near if gates == {gate}] for gate in order}
    total = {gate: sum(gate in gates for _, gates in near) for gate in order}
    gate = max(order, key=lambda gate: (len(alone[gate]), total[gate], -order.index(gate)))
    name = REDUCIBLE[gate]
    if not alone[gate]:
        told = f"What excludes most is {name}: {total[gate]} of {len(near)} models that come near, and others as well."
    else:
        best = min(alone[gate], key=lambda one: one.order)
        many = f"{len(alone[gate])} models" if len(alone[gate]) > 1 else "one model"
        told = (
            f"What excludes most is {name}: with less asked for, {many} could stand in, "
            f"the best of them {best.candidate.model}."
        )
    return Option(FallbackKind.REDUCE_REQUIREMENTS, told, requirement=gate.value, lost=(f"Less of {name}.",))

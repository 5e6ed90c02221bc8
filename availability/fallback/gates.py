"""The hard gates: what a stand-in must satisfy, whatever speaks for it. An unknown fact fails its gate.

They are asked in the order of `Gate`; each gives half a sentence about the candidate when it stays closed.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from fnmatch import translate

from availability.fallback.candidates import Candidate, Readiness, Wanted
from availability.fallback.facts import GIGABYTE, normal
from availability.fallback.requirements import Requirements

_WhyNot = Callable[["Needs", Candidate], str | None]
"""How a gate asks: why a candidate fails it as half a sentence, None when it passes."""


class Gate(StrEnum):
    """What is asked, in this order."""

    TASK = auto()
    MODALITY = auto()
    LICENCE = auto()
    FORMAT = auto()
    SIZE = auto()
    VRAM = auto()
    CONTEXT = auto()
    BLOCKED = auto()
    READINESS = auto()


@dataclass(frozen=True, slots=True)
class Needs:
    """What is needed of every stand-in for one model, ready to be compared; None or empty is not known or not asked.

    Attributes:
        wanted: whose place it takes.
        task: what it must be for.
        modality: what it must read and write.
        licences: those that will do.
        formats: those that will do.
        size_bytes: the most its files may take.
        vram_bytes: the most memory of the accelerator it may need.
        context_length: the least tokens of input.
        blocked: patterns of ids that may not stand in.
        stated: how many hard requirements somebody stated; whoever passes the gates meets all of them.
        wishes: capabilities that should be there, and count.
        asked: the gates that have something to ask, in their order, and how they ask it.
    """

    wanted: Wanted
    task: str | None
    modality: str | None
    licences: frozenset[str]
    formats: frozenset[str]
    size_bytes: int | None
    vram_bytes: int | None
    context_length: int | None
    blocked: tuple[tuple[str, re.Pattern[str]], ...]
    stated: int
    wishes: tuple[str, ...]
    asked: tuple[tuple[Gate, "_WhyNot"], ...] = ()


def needs_of(wanted: Wanted, accepted_licences: tuple[str, ...], blocked: tuple[str, ...]) -> Needs:
    """Return what is needed of a stand-in: what was asked for, else what the wanted model itself is."""
    asked, facts = wanted.requirements, wanted.facts
    own_licence = (facts.licence,) if facts.licence else ()
    needs = Needs(
        wanted=wanted,
        task=normal(asked.task) if asked.task else facts.task,
        modality=normal(asked.modality) if asked.modality else facts.modality,
        licences=frozenset(map(normal, asked.licences or (*own_licence, *accepted_licences))),
        formats=frozenset(map(normal, asked.formats)) or facts.formats or frozenset(),
        size_bytes=_bytes(asked.max_size_gb),
        vram_bytes=_bytes(asked.max_vram_gb),
        context_length=asked.min_context_length,
        blocked=tuple((pattern, re.compile(translate(pattern.lower()))) for pattern in blocked),
        stated=_stated(asked),
        wishes=tuple(map(normal, asked.capabilities)),
    )
    limits = {
        Gate.MODALITY: needs.modality,
        Gate.SIZE: needs.size_bytes,
        Gate.VRAM: needs.vram_bytes,
        Gate.CONTEXT: needs.context_length,
    }
    idle = [gate for gate, limit in limits.items() if limit is None]
    return replace(needs, asked=tuple((gate, ask) for gate, ask in _GATES.items() if gate not in idle))


def _stated(asked: Requirements) -> int:
    limits = (asked.max_size_gb, asked.max_vram_gb, asked.min_context_length)
    words = (asked.task, asked.modality, asked.licences, asked.formats)
    return sum(limit is not None for limit in limits) + sum(map(bool, words))


def closed_gates(needs: Needs, candidate: Candidate) -> dict[Gate, str]:
    """Return the gates at which a candidate fails, in their order, each with the reason; empty when it passes."""
    found = {}
    for gate, why_not in needs.asked:
        why = why_not(needs, candidate)
        if why is not None:
            found[gate] = why
    return found


def _task(needs: Needs, candidate: Candidate) -> str | None:
    task = candidate.facts.task
    if needs.task is None:
        return f"what {needs.wanted.model} is for is not known; say `task` in its catalog entry or in the requirements"
    if task is None:
        return f"what it is for is not known, expected {needs.task}"
    return None if task == needs.task else f"it is for {task}, expected {needs.task}"


def _modality(needs: Needs, candidate: Candidate) -> str | None:
    modality = candidate.facts.modality
    if modality == needs.modality:
        return None
    return f"its modality is {modality or 'not known'}, expected {needs.modality}"


def _licence(needs: Needs, candidate: Candidate) -> str | None:
    licence = candidate.facts.licence
    if licence is not None and licence in needs.licences:
        return None
    return f"its licence is {licence or 'not known'}, expected {_one_of(needs.licences)}"


def _format(needs: Needs, candidate: Candidate) -> str | None:
    formats = candidate.facts.formats
    if not needs.formats:
        model = needs.wanted.model
        return f"the format of {model} is not known; say `format` in its catalog entry or `formats` in the requirements"
    if formats is None:
        return f"its format is not known, expected {_one_of(needs.formats)}"
    if formats & needs.formats:
        return None
    return f"it comes as {_one_of(formats)}, expected {_one_of(needs.formats)}"


def _size(needs: Needs, candidate: Candidate) -> str | None:
    return _above(needs.size_bytes, candidate.facts.size_bytes, "its size", "at most {:.1f} GB")


def _vram(needs: Needs, candidate: Candidate) -> str | None:
    return _above(needs.vram_bytes, candidate.facts.vram_bytes, "the VRAM it needs", "at most {:.1f} GB")


def _above(limit: int | None, value: int | None, what: str, expected: str) -> str | None:
    if limit is None or (value is not None and value <= limit):
        return None
    told = "not known" if value is None else f"{value / GIGABYTE:.1f} GB"
    return f"{what} is {told}, expected {expected.format(limit / GIGABYTE)}"


def _context(needs: Needs, candidate: Candidate) -> str | None:
    least, length = needs.context_length, candidate.facts.context_length
    if least is None or (length is not None and length >= least):
        return None
    return f"its context length is {'not known' if length is None else length}, expected at least {least}"


def _blocked(needs: Needs, candidate: Candidate) -> str | None:
    repo_id = candidate.model.repo_id.lower()
    for pattern, compiled in needs.blocked:
        if compiled.match(repo_id):
            return f"the pattern {pattern!r} of ENHANCED_MODEL_ADMISSION_BLOCKED_MODELS blocks it"
    if needs.wanted.declared(candidate.model) == 0:
        return f"the catalog says that it cannot stand in for {needs.wanted.model} (`compatible_with` is 0)"
    return None


def _readiness(_needs: Needs, candidate: Candidate) -> str | None:
    match candidate.readiness:
        case Readiness.READY | Readiness.FETCHABLE:
            return None
        case Readiness.ABSENT:
            return candidate.why or "it is not here, and nobody has been asked whether it can be fetched"
        case Readiness.BARRED:
            return candidate.why or "it can be neither used nor fetched"


_GATES: Mapping[Gate, _WhyNot] = {
    Gate.TASK: _task,
    Gate.MODALITY: _modality,
    Gate.LICENCE: _licence,
    Gate.FORMAT: _format,
    Gate.SIZE: _size,
    Gate.VRAM: _vram,
    Gate.CONTEXT: _context,
    Gate.BLOCKED: _blocked,
    Gate.READINESS: _readiness,
}


# --- what could be asked for less of --------------------------------------------------------------------

REDUCIBLE: Mapping[Gate, str] = {
    Gate.LICENCE: "the licences",
    Gate.FORMAT: "the formats",
    Gate.SIZE: "the size limit",
    Gate.VRAM: "the VRAM limit",
    Gate.CONTEXT: "the context length",
}
"""Gates that a person may open by asking for less, and what to call that."""


def could_pass(needs: Needs, candidate: Candidate, closed: Collection[Gate]) -> bool:
    """Say whether a candidate would pass if less were asked for.

    A limit can be dropped. Of licences and formats more can be accepted, but none that is not known.
    """
    facts = candidate.facts
    return (
        all(gate in REDUCIBLE for gate in closed)
        and (Gate.LICENCE not in closed or facts.licence is not None)
        and (Gate.FORMAT not in closed or bool(facts.formats and needs.formats))
    )


def _one_of(words: frozenset[str]) -> str:
    return " or ".join(sorted(words)) or "none"


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else round(gigabytes * GIGABYTE)

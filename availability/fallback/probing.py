"""Asking a source about the few models that might be fetched as stand-ins; nothing is written.

Only of a model that would pass every gate but that it is not here, as far as anything is known of it; and not of more
than a few, because somebody waits for the answer.
"""

from collections.abc import Sequence
from dataclasses import replace

from availability.catalog import Catalog
from availability.ensure import plan_one
from availability.errors import EnhancedModelAvailabilityError
from availability.fallback.candidates import Candidate, Readiness
from availability.fallback.estimate import wait_for_bytes
from availability.fallback.facts import ModelFacts
from availability.fallback.gates import Gate, Needs, closed_gates
from availability.fallback.metadata import published_facts
from availability.fallback.observing import measured_speeds
from availability.model import FileRecord
from availability.plan import Plan
from availability.preflight import check_room
from availability.requests import request_for
from availability.storage import observe_room
from availability.transfer.small import fetch_whole
from availability.workspace import Workspace

_MOST_PROBED = 3

_FACT = {
    Gate.TASK: "task",
    Gate.MODALITY: "modality",
    Gate.LICENCE: "licence",
    Gate.FORMAT: "formats",
    Gate.SIZE: "size_bytes",
    Gate.VRAM: "vram_bytes",
    Gate.CONTEXT: "context_length",
}


def impatient(workspace: Workspace) -> Workspace:
    """Return a workspace whose sources may keep nobody waiting for long: somebody waits for an answer."""
    settings = workspace.settings
    patience = settings.fallback.answer_seconds
    quick = settings.download.model_copy(
        update={"stall_seconds": min(patience, settings.download.stall_seconds), "max_server_wait_seconds": 0.0}
    )
    return workspace.with_settings(settings.model_copy(update={"download": quick}))


def probe(workspace: Workspace, catalog: Catalog, needs: Needs, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, with what sources say of the most promising ones that are not here."""
    promising = sorted(
        (candidate for candidate in candidates if _is_promising(needs, candidate)),
        key=lambda one: (-(needs.wanted.declared(one.model) or 0.0), one.model),
    )[:_MOST_PROBED]
    if not promising:
        return [*candidates]
    here = impatient(workspace)
    speeds = measured_speeds(workspace)
    asked = {candidate.model: _ask(here, catalog, candidate, speeds) for candidate in promising}
    return [asked.get(candidate.model, candidate) for candidate in candidates]


def _is_promising(needs: Needs, candidate: Candidate) -> bool:
    """Say whether a model would pass, as far as anything is known of it."""
    if candidate.readiness is not Readiness.ABSENT:
        return False
    unknown = {gate for gate, fact in _FACT.items() if getattr(candidate.facts, fact) is None}
    return closed_gates(needs, candidate).keys() <= {Gate.READINESS} | unknown


def _ask(workspace: Workspace, catalog: Catalog, candidate: Candidate, speeds: Sequence[float]) -> Candidate:
    answer = plan_one(workspace, request_for(workspace, catalog, candidate.model))
    if not isinstance(answer, Plan):
        return replace(candidate, readiness=Readiness.BARRED, why=f"it is not here, and {_told(answer)}")
    facts = candidate.facts.over(_facts_of(workspace, answer))
    try:
        check_room(candidate.model, answer.bytes_to_fetch, observe_room(workspace, candidate.model), ())
    except EnhancedModelAvailabilityError as error:
        return replace(candidate, facts=facts, readiness=Readiness.BARRED, why=_told(error))
    return Candidate(
        candidate.model,
        facts,
        Readiness.FETCHABLE,
        bytes_to_fetch=answer.bytes_to_fetch,
        wait=wait_for_bytes(answer.bytes_to_fetch, speeds),
    )


def _facts_of(workspace: Workspace, plan: Plan) -> ModelFacts:
    def read(file: FileRecord) -> bytes | None:
        try:
            return fetch_whole(workspace.source, plan.listing, file)
        except EnhancedModelAvailabilityError:
            return None

    return published_facts(plan.choice.files, read)


def _told(error: EnhancedModelAvailabilityError) -> str:
    return f"it cannot be fetched: {error.message.rstrip('.')}"

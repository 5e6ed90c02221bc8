"""The way through the room: look, ask where it is worth it, decide."""

from collections.abc import Mapping, Sequence

from availability.catalog import Catalog, Substitution
from availability.fallback.candidates import Candidate, Readiness
from availability.fallback.decide import Situation, decide
from availability.fallback.decision import FallbackDecision
from availability.fallback.gates import Needs, closed_gates, needs_of
from availability.fallback.observing import observe_wanted
from availability.fallback.probing import probe
from availability.fallback.requirements import NOTHING_REQUIRED, Requirements
from availability.fallback.score import terms_of
from availability.fallback.strategies import FallbackContext, strategies_for
from availability.model import ModelId
from availability.workspace import Workspace


def consider(
    workspace: Workspace,
    catalog: Catalog,
    model: ModelId,
    situation: Situation,
    candidates: Sequence[Candidate],
    *,
    requirements: Requirements = NOTHING_REQUIRED,
    may_probe: bool = True,
    configuration: Mapping[str, Mapping[str, object]] | None = None,
) -> FallbackDecision:
    """Decide what is to be done about a model that cannot be had.

    Where another may not stand in, no source is asked about one.

    Args:
        workspace: where.
        catalog: what may stand in, and what its owners say.
        model: the model.
        situation: how it stands with it.
        candidates: the models that might stand in; see `observing.observe_candidates`.
        requirements: what is asked of a stand-in; they hold before those of the catalog.
        may_probe: whether sources may be asked about models that are not here.
        configuration: of strategies, by name.
    """
    wanted = observe_wanted(workspace, catalog, model, requirements)
    settings, blocked = workspace.settings.fallback, workspace.settings.admission.blocked_models
    if may_probe and situation.substitution != "never":
        needs = needs_of(wanted, settings.accepted_licences, blocked)
        if not _has_preferred(workspace, needs, candidates):
            candidates = probe(workspace, catalog, needs, candidates)
    chosen = strategies_for(FallbackContext(workspace.settings, wanted), configuration)
    problems = [f"The strategy {one.name!r} is not used. {one.sentence}" for one in chosen.problems]
    return decide(wanted, situation, candidates, settings, chosen.items, blocked=blocked, problems=problems)


def _has_preferred(workspace: Workspace, needs: Needs, candidates: Sequence[Candidate]) -> bool:
    """Say whether a model that is here will do, so that nobody need be asked about others."""
    settings = workspace.settings.fallback
    return any(
        candidate.readiness is Readiness.READY
        and terms_of(needs, candidate).score(settings) >= settings.prefer_score
        and not closed_gates(needs, candidate)
        for candidate in candidates
    )


def substitution_of(catalog: Catalog, model: ModelId) -> Substitution:
    """Return whether another model may stand in for one; what is in no catalog has no owner who could allow it."""
    entry = catalog.entry(model)
    return entry.substitution if entry else "never"

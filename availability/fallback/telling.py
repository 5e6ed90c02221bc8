"""What is decided about models that cannot be had, as facts for the history.

Reasons are left out: they may quote what a source has said.
"""

from time import time

from availability.fallback.decision import FallbackKind
from availability.fallback.resolving import Resolution
from availability.fallback.standing import Standing
from availability.history import Fact


def of_decision(resolution: Resolution) -> Fact:
    """Tell a decision as it stands."""
    decision, standing = resolution.decision, resolution.standing
    return _about(
        standing,
        "fallback",
        action=standing.action,
        substitute=standing.substitute,
        score=standing.score,
        error_kind=decision.recovery.kind.value if decision.recovery else None,
        details={"decided_by": standing.decided_by, "options": [option.kind.value for option in decision.options]},
    )


def of_outcome(standing: Standing, *, success: bool, error_kind: str | None = None) -> Fact:
    """Tell how a decision ended: its model is back, or another had to be made."""
    return _about(
        standing,
        "fallback_outcome",
        action=standing.action,
        substitute=standing.substitute,
        success=success,
        seconds=round(max(0.0, time() - standing.decided_at), 3),
        error_kind=error_kind,
    )


def of_approval(standing: Standing, seconds: float) -> Fact:
    """Tell what came of asking a person who stands in for a model."""
    details = {"decision_id": standing.decision_id, "substitute": standing.substitute}
    return Fact(
        "approval",
        {
            "model_id": standing.repo_id,
            "revision": standing.revision,
            "action": FallbackKind.ALTERNATIVE_MODEL.value,
            "success": standing.is_substitution,
            "actor": standing.decided_by,
            "seconds": seconds,
            "details": details,
        },
        about=standing.decision_id,
    )


def _about(standing: Standing, kind: str, **fields: object) -> Fact:
    about = {"model_id": standing.repo_id, "revision": standing.revision, "decision_id": standing.decision_id}
    return Fact(kind, {**about, **fields}, about=standing.decision_id)

"""What happens to models, to the store and to sources, told on Prefect's event stream: names, resources, payloads.

An event is only told here; who reacts to it is the matter of `deployments/automations/`. So that an automation can tell
without reading a payload, labels of the resource say what it asks for. A lost event loses nothing but time: the next
look finds the same. How far a download is, is told by `tasks.progress`; every event is in docs/events.md.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.events import emit_event

from analytics.kinds import KINDS
from availability.answer import ActionTaken, RequestAnswer
from availability.checks import CheckOutcome
from availability.download import Download
from availability.errors import (
    DownloadCancelledError,
    DownloadPausedError,
    EnhancedModelAvailabilityError,
    FeatureOffError,
)
from availability.fallback.decision import FallbackKind
from availability.fallback.resolving import Resolution
from availability.fallback.standing import Standing
from availability.findings import Severity
from availability.history import Fact
from availability.model import ModelId
from availability.orders import Order
from availability.outages import Outage
from availability.outcome import Ensured, EnsureOutcome
from availability.repairs import RepairOutcome
from availability.settings import Settings
from availability.sources.account import BreakerChange
from availability.system_health import SystemHealth

AVAILABLE, CONTROLLED, CORRUPTED = KINDS["available"].event, KINDS["control"].event, KINDS["finding"].event
REPAIRED, STORAGE_LOW = KINDS["repair"].event, KINDS["storage_low"].event
REQUESTED, APPROVAL = KINDS["request"].event, KINDS["approval"].event
FALLBACK, FALLBACK_OUTCOME = KINDS["fallback"].event, KINDS["fallback_outcome"].event
DOWNLOADED, UNAVAILABLE = KINDS["download"].event, KINDS["unavailable"].event
DOWNLOADS_FAILING, SLOWER = KINDS["downloads_failing"].event, KINDS["slower_load"].event
BREAKER = KINDS["breaker"].event

REPAIR_BY = "availability.repair"
"""The label of a corrupted model that says who starts its repair: `off`, `ask` or `auto`."""
OUTCOME = "availability.outcome"
"""The label of a finished download: `succeeded` or `failed`."""
BREAKER_IS = "availability.breaker"
"""The label of a source that says what its breaker is now, such as `open`."""

_MOST_FINDINGS = 50


def resource_of(model: ModelId) -> dict[str, str]:
    """Return a model as the resource of an event."""
    return {
        "prefect.resource.id": f"model.{model.repo_id}",
        "prefect.resource.name": str(model),
        "availability.revision": model.revision,
    }


def tell_available(model: ModelId, outcome: Ensured) -> None:
    """Tell that a model has become available."""
    payload = {
        "commit_hash": outcome.commit,
        "size_bytes": outcome.bytes_total,
        "bytes_fetched": outcome.bytes_fetched,
        "seconds": round(outcome.seconds, 3),
    }
    _tell_of(AVAILABLE, model, payload)


def is_corrupted(outcome: CheckOutcome) -> bool:
    """Say whether a check found something because of which the model cannot be relied on."""
    return any(finding.severity is Severity.CRITICAL for finding in outcome.findings)


def tell_corrupted(outcome: CheckOutcome, settings: Settings) -> None:
    """Tell that a check found a model corrupted, and who may start the repair."""
    critical = [finding for finding in outcome.findings if finding.severity is Severity.CRITICAL]
    repair_by = settings.health.auto_repair_enabled
    payload = {
        # An event has bounds, and so has what people read; the whole list is in the check's table.
        "findings": [finding.as_dict() for finding in critical[:_MOST_FINDINGS]],
        "findings_total": len(critical),
        "error_kind": critical[0].kind.value,
        "auto_repair_enabled": repair_by,
    }
    _tell_of(CORRUPTED, outcome.model, payload, {REPAIR_BY: repair_by})


def tell_repaired(outcome: RepairOutcome) -> None:
    """Tell that a model was repaired; nothing may start a repair because of it."""
    payload = {
        "success": outcome.success,
        "repair_id": outcome.repair_id,
        "actions": [step.action for step in outcome.actions],
        "bytes_fetched": outcome.bytes_fetched,
        "health_improvement": outcome.health_improvement,
        "seconds": round(outcome.seconds, 3),
    }
    _tell_of(REPAIRED, outcome.model, payload)


def tell_order(order: Order) -> None:
    """Tell what somebody ordered for a download; told by who takes the order and by who follows it, it is one event."""
    payload = {
        "action": order.kind.value,
        "actor": order.by,
        "success": True,
        "details": {"value": order.value, "ordered_at": order.at},
    }
    _tell_of(CONTROLLED, order.model, payload, event_id=UUID(order.order_id))


def tell_orders_followed(download: Download) -> None:
    """Tell which orders a download has followed since this was last told."""
    for order in download.steering.new_orders():
        tell_order(order)


def tell_controlled(action: str, model: ModelId, actor: str, error: EnhancedModelAvailabilityError | None) -> None:
    """Tell what somebody ordered that no order stands for: a start, a resumption, or what was refused."""
    payload = {
        "action": action,
        "actor": actor,
        "success": error is None,
        "error_kind": type(error).__name__ if error else None,
    }
    _tell_of(CONTROLLED, model, payload)


def tell_storage_low(system: SystemHealth) -> None:
    """Tell that the store has little room left."""
    told = system.as_dict()["storage"]
    resource = {"prefect.resource.id": f"storage.{told['store']}", "prefect.resource.name": told["store"]}
    payload = {**told, "size_bytes": told["models_bytes"], "advice": list(system.recommendations)}
    emit_event(event=STORAGE_LOW, resource=resource, payload=payload)


def tell_finished(outcome: EnsureOutcome) -> None:
    """Tell that a download has ended for good: the model is here, or could not be had in any of its attempts.

    Nothing is told where nothing had to be fetched, and of what a person has ordered.
    """
    error = outcome.error
    if isinstance(error, DownloadCancelledError | DownloadPausedError | FeatureOffError) or (
        error is None and outcome.download_id is None
    ):
        return
    payload = {
        "success": outcome.success,
        "download_id": outcome.download_id,
        "source": ", ".join(sorted(outcome.sources)) or None,
        "commit_hash": outcome.commit,
        "bytes_fetched": outcome.bytes_fetched,
        "seconds": round(outcome.seconds, 3),
        "attempts": outcome.attempts,
        "error_kind": type(error).__name__ if error else None,
        "message": error.message if error else None,
        "tried": [*error.tried] if error else [],
        "advice": " ".join(error.advice) if error else None,
    }
    label = {OUTCOME: "succeeded" if outcome.success else "failed"}
    _tell_of(DOWNLOADED, ModelId(outcome.model_id, outcome.revision), payload, label)


def tell_unavailable(outage: Outage) -> None:
    """Tell that a model of the catalog has not been usable for long."""
    payload = {
        "status": outage.status.availability_status.value,
        "since": datetime.fromtimestamp(outage.since, UTC).isoformat(timespec="seconds"),
        "minutes": int(outage.seconds / 60),
        "advice": " ".join(outage.status.next_steps()),
    }
    _tell_of(UNAVAILABLE, outage.status.model, payload)


def tell_downloads_failing(rate: Mapping[str, Any], window_hours: float, history: str) -> None:
    """Tell that too many downloads of late have failed.

    Args:
        rate: the row of the query `failure_rate`.
        window_hours: over which time it was counted.
        history: where the history lies.
    """
    counted = ("downloads", "failures", "failure_percent", "models")
    payload = {**{name: rate[name] for name in counted}, "window_hours": window_hours}
    emit_event(event=DOWNLOADS_FAILING, resource={"prefect.resource.id": f"history.{history}"}, payload=payload)


def tell_slower(regression: Mapping[str, Any]) -> None:
    """Tell that a model loads more slowly than it used to.

    Args:
        regression: a row of the query `regressions`.
    """
    payload = {name: value for name, value in regression.items() if name != "model_id"}
    _tell_of(SLOWER, ModelId(regression["model_id"]), payload)


def tell_requested(answer: RequestAnswer, seconds: float) -> None:
    """Tell that a model was asked for, and what was answered."""
    payload = {
        "success": answer.action_taken is not ActionTaken.ERROR,
        "action": answer.action_taken.value,
        "seconds": round(seconds, 3),
        "substitute": str(answer.served) if answer.is_substituted else None,
        "error_kind": type(answer.error).__name__ if answer.error else None,
    }
    _tell_of(REQUESTED, answer.model, payload)


def tell_fallback(resolution: Resolution) -> None:
    """Tell what was decided about a model that cannot be had, as it stands now."""
    decision, standing = resolution.decision, resolution.standing
    payload = {
        "decision_id": standing.decision_id,
        "action": standing.action,
        "substitute": standing.substitute,
        "score": standing.score,
        "decided_by": standing.decided_by,
        "reason": standing.reason,
        "error_kind": decision.recovery.kind.value if decision.recovery else None,
        "options": [option.as_dict() for option in decision.options],
        "recovery": [step.sentence for step in decision.recovery.steps] if decision.recovery else [],
    }
    _tell_of(FALLBACK, decision.wanted, payload)


def tell_fallback_outcome(standing: Standing, fact: Fact) -> None:
    """Tell how a decision ended, with the fields that the history has of it."""
    _tell_of(FALLBACK_OUTCOME, standing.model, fact.fields)


def tell_approval(resolution: Resolution, seconds: float) -> None:
    """Tell what came of asking a person who stands in for a model."""
    standing = resolution.standing
    payload = {
        "action": FallbackKind.ALTERNATIVE_MODEL.value,
        "decision_id": standing.decision_id,
        "success": standing.is_substitution,
        "substitute": standing.substitute,
        "decided_by": standing.decided_by,
        "seconds": round(seconds, 3),
    }
    _tell_of(APPROVAL, standing.model, payload)


def tell_breaker(change: BreakerChange) -> None:
    """Tell that a source is left alone from now on, or is asked again."""
    resource = {
        "prefect.resource.id": f"source.{change.source}",
        "prefect.resource.name": change.source,
        BREAKER_IS: change.state,
    }
    emit_event(event=BREAKER, resource=resource, payload=change.as_fields())


def _tell_of(
    event: str,
    model: ModelId,
    payload: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    event_id: UUID | None = None,
) -> None:
    about = {"model_id": model.repo_id, "revision": model.revision}
    resource = {**resource_of(model), **(labels or {})}
    emit_event(event=event, resource=resource, payload={**about, **payload}, id=event_id)

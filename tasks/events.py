"""What happens to models and to the store, told on Prefect's event stream: names, resources and payloads of our events.

An event is only told here; who reacts to it is a trigger's matter (`prefect.yaml`). So that a trigger can tell without
reading a payload, the resource of `model.corrupted` says who may start the repair. A lost event loses nothing but
time: the next check finds the same. How far a download is, is told by `tasks.progress`.
"""

from collections.abc import Mapping
from typing import Any

from prefect.events import emit_event

from availability.checks import CheckOutcome
from availability.findings import Severity
from availability.model import ModelId
from availability.outcome import Ensured
from availability.repairs import RepairOutcome
from availability.settings import Settings
from availability.system_health import SystemHealth

AVAILABLE = "model.available"
CORRUPTED = "model.corrupted"
REPAIRED = "model.repaired"
STORAGE_LOW = "storage.low"

REPAIR_BY = "availability.repair"
"""The label of a corrupted model that says who starts its repair: `off`, `ask` or `auto`."""

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


def tell_storage_low(system: SystemHealth) -> None:
    """Tell that the store has little room left."""
    told = system.as_dict()["storage"]
    resource = {"prefect.resource.id": f"storage.{told['store']}", "prefect.resource.name": told["store"]}
    payload = {**told, "size_bytes": told["models_bytes"], "advice": list(system.recommendations)}
    emit_event(event=STORAGE_LOW, resource=resource, payload=payload)


def _tell_of(event: str, model: ModelId, payload: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> None:
    about = {"model_id": model.repo_id, "revision": model.revision}
    emit_event(event=event, resource={**resource_of(model), **(labels or {})}, payload={**about, **payload})

"""What happened, as facts for the history: outcomes go in, facts with the fields of an event come out.

Pure. The kinds and what each must carry are listed in docs/events.md; `availability.history` gives a fact its id and
writes it. No text of an error is taken over, only its kind: what others said may hold what must not be kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from availability.catalog import Catalog, CatalogEntry
from availability.checks import CheckOutcome
from availability.controls import current_user
from availability.download import Download
from availability.errors import DownloadFailedError, EnhancedModelAvailabilityError, ModelNotFoundError
from availability.findings import Finding, Severity
from availability.history import Fact
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.outcome import EnsureOutcome
from availability.overview import Overview
from availability.repairs import RepairOutcome
from availability.system_health import Level, StorageUse

_MOST_FINDINGS = 100
"""How many findings of one check are told: a folder that was overwritten has thousands."""


def of_ensured(download: Download, outcome: EnsureOutcome) -> Iterator[Fact]:
    """Tell how the road of one model ended: what was asked for, what each source gave, what was healed, what is now.

    A model that the catalog asks for was asked for by nobody, so that is no request.
    """
    if download.asked:
        yield _request(download, outcome)
    if not download.begun:
        return
    yield from _repair_on_the_road(download, outcome)
    yield from _downloads(download, outcome)
    if outcome.success:
        fields = {"commit_hash": outcome.commit, "size_bytes": outcome.bytes_total}
        yield _about(download.model, "available", fields)
    if not isinstance(outcome.error, ModelNotFoundError):  # of what does not exist there is nothing to observe
        yield _observed(download.model, outcome)


def of_refusal(outcome: EnsureOutcome) -> Fact:
    """Tell that a name was asked for that nobody knows."""
    fields = {"success": False, "action": "error", "seconds": outcome.seconds, "error_kind": _kind(outcome.error)}
    return _about(ModelId(outcome.model_id, outcome.revision), "request", fields, user=current_user())


def of_ready(outcomes: Iterable[EnsureOutcome], catalog: Catalog) -> Iterator[Fact]:
    """Tell of models of the catalog that they were ready, as those saw who wanted them ready."""
    for outcome in outcomes:
        model = ModelId(outcome.model_id, outcome.revision)
        entry = catalog.entry(model)
        yield _observed(model, outcome, entry)


def of_check(
    outcome: CheckOutcome, commit: str | None, known: Sequence[Finding], status: ModelStatus | None
) -> Iterator[Fact]:
    """Tell what a check saw.

    Args:
        outcome: of the check.
        commit: what the revision points to.
        known: what an earlier check has told already.
        status: the model's after the check, None where it is not worth telling.
    """
    wrong = [finding for finding in outcome.findings if finding.severity is not Severity.INFO]
    fields = {
        "commit_hash": commit,
        "success": outcome.error is None and outcome.is_intact,
        "seconds": outcome.seconds,
        "size_bytes": outcome.bytes_read,
        "score": outcome.intact_share,
        "error_kind": _kind(outcome.error) or next((finding.kind.value for finding in wrong), None),
        "details": {"mode": outcome.mode, "coverage": outcome.coverage, "is_complete": outcome.is_complete},
    }
    yield _about(outcome.model, "check", fields)
    yield from _findings(outcome.model, commit, (finding for finding in wrong if finding not in known))
    if status is not None:
        yield of_status(status)


def of_repair(
    outcome: RepairOutcome, bytes_by_source: Iterable[str], status: Callable[[], ModelStatus]
) -> Iterator[Fact]:
    """Tell what a repair did; one that found nothing to do tells nothing but its checks.

    Args:
        outcome: of the repair.
        bytes_by_source: the sources that gave something.
        status: looks how the model is now.
    """
    if outcome.dry_run or not (outcome.actions or outcome.error):
        return
    fields = {
        "success": outcome.success,
        "action": ",".join(dict.fromkeys(step.action for step in outcome.actions)) or None,
        "seconds": outcome.seconds,
        "bytes_needed": sum(step.bytes_needed for step in outcome.actions),
        "bytes_fetched": outcome.bytes_fetched,
        "source": ",".join(sorted(bytes_by_source)) or None,
        "error_kind": _kind(outcome.error),
        "score": outcome.after.intact_share if outcome.after else None,
    }
    yield _about(outcome.model, "repair", fields)
    yield of_status(status())


def of_status(status: ModelStatus, entry: CatalogEntry | None = None, at: float | None = None) -> Fact:
    """Tell what was observed of a model.

    Args:
        status: what was observed.
        entry: of the catalog, where it is listed.
        at: when it was observed; None means now.
    """
    fields = {
        "commit_hash": status.commit,
        "status": status.availability_status.value,
        "size_bytes": status.size_bytes,
        "score": status.integrity_score,
        **_wishes(entry),
    }
    return _about(status.model, "status", fields, at=at)


def of_inventory(overview: Overview, catalog: Catalog, room: StorageUse, level: Level, at: float) -> Iterator[Fact]:
    """Tell what a sweep saw of every model, the room they take, and that it runs out if it does."""
    for status in overview.statuses:
        yield of_status(status, catalog.entry(status.model), at)
    details = {
        "used_percent": round(room.used_percent, 2),
        "level": level,
        "disk_total_bytes": room.disk.total_bytes,
        "disk_free_bytes": room.disk.free_bytes,
        "quota_bytes": room.quota_bytes,
    }
    for kind in ("storage",) if level == "ok" else ("storage", "storage_low"):
        yield Fact(kind, {"size_bytes": room.models_bytes, "details": details}, at=at)


def of_control(
    action: str, model: ModelId | None, *, actor: str, success: bool = True, error_kind: str | None = None
) -> Fact:
    """Tell who ordered what; the name is kept, because an order must be answerable."""
    fields = {"action": action, "success": success, "actor": actor, "error_kind": error_kind}
    return Fact("control", fields, about=action) if model is None else _about(model, "control", fields, what=action)


def _request(download: Download, outcome: EnsureOutcome) -> Fact:
    fields = {
        "commit_hash": outcome.commit,
        "success": outcome.success,
        "action": _action(download, outcome),
        "seconds": outcome.seconds,
        "error_kind": _kind(outcome.error),
    }
    return _about(download.model, "request", fields, at=download.started_at, user=current_user())


def _action(download: Download, outcome: EnsureOutcome) -> str:
    """Return what was done about a request, in the words in which it is answered."""
    if not outcome.success:
        return "error"
    if not download.begun:
        return "download_in_progress" if download.was_held else "model_ready"
    return "repair_attempted" if download.damage else "download_started"


def _downloads(download: Download, outcome: EnsureOutcome) -> Iterator[Fact]:
    """Tell what each source gave; a failure before the first byte is told of the one that was asked."""
    fetched = download.damage.bytes_before if download.damage else dict(outcome.sources)
    if outcome.success and not fetched:
        return
    for source in sorted(fetched) or [_whom_it_asked(download)]:
        fields = {
            "commit_hash": outcome.commit,
            "success": outcome.success,
            "source": source,
            # What a source was to give, where there are several, is known to none of them.
            "bytes_needed": download.meter.bytes_needed if len(fetched) <= 1 else None,
            "bytes_fetched": fetched.get(source, 0),
            "seconds": download.seconds_at_work,
            "attempts": download.attempts,
            "error_kind": _cause(download, outcome.error),
            "details": {"failed_attempts": list(download.failures)} if download.failures else None,
        }
        yield _about(download.model, "download", fields, what=source)


def _whom_it_asked(download: Download) -> str:
    """Return who was asked for the model: whoever says what it consists of."""
    members = download.workspace.assembly.members(download.model)
    return next(member.name for member in members if member.is_trusted)


def _repair_on_the_road(download: Download, outcome: EnsureOutcome) -> Iterator[Fact]:
    damage = download.damage
    if damage is None:
        return
    yield from _findings(download.model, outcome.commit, damage.unknown)
    healing = {name: count - damage.bytes_before.get(name, 0) for name, count in outcome.sources.items()}
    fields = {
        "commit_hash": outcome.commit,
        "success": outcome.success,
        "action": "ensure",
        "seconds": download.seconds - damage.began_seconds,
        "bytes_needed": damage.bytes_needed,
        "bytes_fetched": sum(healing.values()),
        "source": ",".join(sorted(name for name, count in healing.items() if count)) or None,
        "attempts": download.attempts,
        "error_kind": _cause(download, outcome.error),
    }
    yield _about(download.model, "repair", fields)


def _findings(model: ModelId, commit: str | None, findings: Iterable[Finding]) -> Iterator[Fact]:
    for finding in islice(findings, _MOST_FINDINGS):
        told = finding.as_dict()
        fields = {
            "commit_hash": commit,
            "error_kind": finding.kind.value,
            "size_bytes": finding.damaged_bytes,
            "details": {**told, "ranges": told["ranges"][:_MOST_FINDINGS], "ranges_total": len(told["ranges"])},
        }
        yield _about(model, "finding", fields, what=f"{finding.file.path}:{finding.kind.value}")


def _observed(model: ModelId, outcome: EnsureOutcome, entry: CatalogEntry | None = None) -> Fact:
    fields = {
        "commit_hash": outcome.commit,
        "status": outcome.availability_status.value,
        "size_bytes": outcome.bytes_total,
        **_wishes(entry),
    }
    return _about(model, "status", fields)


def _wishes(entry: CatalogEntry | None) -> dict[str, object]:
    """Return what the catalog wants of a model: the share of time it should be available, and whether it must stay."""
    if entry is None:
        return {}
    return {"pinned": entry.pinned, "target": None if entry.target is None else entry.target / 100}


def _about(
    model: ModelId,
    kind: str,
    fields: Mapping[str, object],
    *,
    what: str = "",
    at: float | None = None,
    user: str | None = None,
) -> Fact:
    about = f"{model} {what}" if what else str(model)
    return Fact(kind, {"model_id": model.repo_id, "revision": model.revision, **fields}, about, at, user)


def _kind(error: EnhancedModelAvailabilityError | None) -> str | None:
    return type(error).__name__ if error else None


def _cause(download: Download, error: EnhancedModelAvailabilityError | None) -> str | None:
    """Return what kind of failure made a download end, not that it was given up."""
    return download.failures[-1] if isinstance(error, DownloadFailedError) and download.failures else _kind(error)

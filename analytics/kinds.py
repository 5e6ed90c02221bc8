"""The one table of every kind of event: its name on Prefect's event stream, its sentence, and what it must carry.

The page docs/events.md, the validation of one event and the validation of a batch are all made from it. A kind that is
not here may still arrive from a newer writer; it is kept, and nothing is asked of it.
"""

from dataclasses import dataclass

STATUSES = ("available", "downloading", "missing", "corrupted", "updating")
"""The five words of availability."""
SERVING = ("available", "updating")
"""Those in which the model can be used; while it is updated, the version before still serves."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event.

    Attributes:
        name: the value of the column `kind`.
        event: how Prefect's event stream names it.
        sentence: what it says, with the event's fields in braces.
        failure: what it says when `success` is false; empty when it cannot fail.
        required: the fields it must carry.
        usual: the fields it carries when they are known.
        announced: what the announcement on the stream carries besides.
        kept: whether it is history; what is not is only announced.
    """

    name: str
    event: str
    sentence: str
    failure: str = ""
    required: tuple[str, ...] = ("model_id",)
    usual: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    kept: bool = True


_TABLE = (
    Kind(
        "request",
        "model.requested",
        "{model_id} was asked for: {action}.",
        "{model_id} was asked for and could not be had: {error_kind}.",
        ("model_id", "success"),
        ("revision", "action", "seconds", "error_kind", "user_hash", "details"),
    ),
    Kind(
        "download",
        "model.download.finished",
        "{model_id} was fetched from {source}: {bytes_fetched} of {bytes_needed} bytes in {seconds} s.",
        "{model_id} could not be fetched from {source}: {error_kind}, after {attempts} attempts.",
        ("model_id", "success", "source"),
        ("revision", "commit_hash", "bytes_needed", "bytes_fetched", "seconds", "attempts", "error_kind"),
        ("download_id", "message", "tried", "advice"),
    ),
    Kind(
        "progress",
        "model.download.progress",
        "{model_id}: {bytes_fetched} of {bytes_needed} bytes.",
        usual=("revision", "bytes_needed", "bytes_fetched"),
        announced=(
            "download_id",
            "phase",
            "percent",
            "bytes_done",
            "bytes_total",
            "bytes_per_second",
            "seconds_left",
            "retries",
            "waiting",
        ),
        kept=False,
    ),
    Kind(
        "available",
        "model.available",
        "{model_id} is available.",
        usual=("revision", "commit_hash", "size_bytes"),
        announced=("bytes_fetched", "seconds"),
    ),
    Kind(
        "check",
        "model.checked",
        "{model_id} was checked and is intact.",
        "{model_id} was checked and is not intact: {error_kind}.",
        ("model_id", "success"),
        ("revision", "commit_hash", "seconds", "size_bytes", "score", "error_kind", "details"),
    ),
    Kind(
        "finding",
        "model.corrupted",
        "{model_id} has a defect: {error_kind}.",
        required=("model_id", "error_kind"),
        usual=("revision", "commit_hash", "size_bytes", "details"),
        announced=("findings", "findings_total", "auto_repair_enabled"),
    ),
    Kind(
        "repair",
        "model.repaired",
        "{model_id} was repaired in {seconds} s with {bytes_fetched} bytes from {source}.",
        "{model_id} could not be repaired: {error_kind}.",
        ("model_id", "success"),
        ("revision", "action", "seconds", "bytes_needed", "bytes_fetched", "source", "attempts", "error_kind"),
        ("repair_id", "actions", "health_improvement"),
    ),
    Kind(
        "status",
        "model.observed",
        "{model_id} is {status}.",
        required=("model_id", "status"),
        usual=("revision", "commit_hash", "store", "size_bytes", "pinned", "target", "score"),
    ),
    Kind(
        "update_found",
        "model.update.available",
        "{model_id} has moved to {commit_hash}.",
        required=("model_id",),
        usual=("revision", "commit_hash", "action", "details"),
    ),
    Kind(
        "update",
        "model.updated",
        "{model_id} now serves {commit_hash}.",
        "{model_id} could not be updated: {error_kind}.",
        ("model_id", "success"),
        ("revision", "commit_hash", "action", "seconds", "bytes_fetched", "error_kind"),
    ),
    Kind(
        "cleanup",
        "model.cleaned",
        "{bytes_freed} bytes of {model_id} were freed: {action}.",
        "{model_id} could not be cleaned up: {error_kind}.",
        ("model_id", "success"),
        ("revision", "store", "action", "bytes_freed", "size_bytes", "user_hash", "error_kind", "details"),
    ),
    Kind(
        "fallback",
        "model.fallback",
        "For {model_id} the decision is {action}.",
        required=("model_id", "action"),
        usual=("decision_id", "substitute", "score", "error_kind", "details"),
    ),
    Kind(
        "fallback_outcome",
        "model.fallback.outcome",
        "The decision {action} for {model_id} served its purpose.",
        "The decision {action} for {model_id} did not help: {error_kind}.",
        ("model_id", "success"),
        ("decision_id", "action", "substitute", "seconds", "error_kind"),
    ),
    Kind(
        "control",
        "model.controlled",
        "{action} was ordered for {model_id}.",
        "{action} was ordered for {model_id} and refused: {error_kind}.",
        ("action",),
        ("model_id", "success", "user_hash", "actor", "error_kind", "details"),
    ),
    Kind(
        "approval",
        "model.approval",
        "{action} for {model_id} was approved.",
        "{action} for {model_id} was not approved.",
        ("action", "success"),
        ("model_id", "user_hash", "actor", "seconds", "details"),
    ),
    Kind(
        "breaker",
        "source.breaker",
        "The breaker of {source} is now {action}.",
        required=("source", "action"),
        usual=("error_kind", "details"),
    ),
    Kind(
        "replica",
        "model.replicated",
        "{model_id} was copied to {source}.",
        "{model_id} could not be copied to {source}: {error_kind}.",
        ("model_id", "success"),
        ("revision", "source", "action", "size_bytes", "seconds", "error_kind"),
    ),
    Kind(
        "storage",
        "storage.observed",
        "The store holds {size_bytes} bytes.",
        required=("size_bytes",),
        usual=("store", "details"),
    ),
    Kind(
        "storage_low",
        "storage.low",
        "The store is nearly full: {size_bytes} bytes.",
        required=(),
        usual=("store", "size_bytes", "details"),
        announced=(
            "used_percent",
            "level",
            "disk_total_bytes",
            "disk_free_bytes",
            "models_bytes",
            "quota_bytes",
            "advice",
        ),
    ),
    Kind(
        "unavailable",
        "model.unavailable",
        "{model_id} has not been available for some time: it is {status}.",
        required=("model_id", "status"),
        usual=("revision",),
        announced=("since", "minutes", "advice"),
        kept=False,
    ),
    Kind(
        "downloads_failing",
        "downloads.failing",
        "Too large a share of the downloads of late has failed.",
        required=(),
        announced=("downloads", "failures", "failure_percent", "models", "window_hours"),
        kept=False,
    ),
    Kind(
        "slower_load",
        "model.load.slower",
        "{model_id} loads more slowly than it used to.",
        announced=("recent_p50_seconds", "baseline_p50_seconds", "slower_by", "reason"),
        kept=False,
    ),
    Kind(
        "load",
        "model.loaded",
        "{model_id} was loaded in {seconds} s.",
        "{model_id} could not be loaded: {error_kind}.",
        ("model_id", "success"),
        ("revision", "seconds", "size_bytes", "user_hash", "error_kind", "details"),
    ),
    Kind(
        "inference",
        "model.inference",
        "{model_id} answered in {seconds} s.",
        "{model_id} gave no answer: {error_kind}.",
        ("model_id", "success"),
        ("revision", "seconds", "user_hash", "error_kind", "details"),
    ),
)

KINDS = {kind.name: kind for kind in _TABLE}
"""Every kind by its name, as written."""

"""Health of everything in the store: counts, scores, room, and which models to look at first.

Pure: `availability.checkup` observes. A model is `healthy` when it is available and its score reaches the threshold,
`degraded` when it is available and its score is lower or not known; the other counts are the words of its status.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypedDict

from availability.health import HealthReport
from availability.inventory import ModelStatus
from availability.preflight import Disk
from availability.settings import HealthSettings
from availability.status import Availability

Level = Literal["ok", "warning", "critical"]

_MOST_NAMED = 10
_TOLERANCE = 0.2


class StorageRecord(TypedDict):
    """The room of the store as plain data."""

    store: str
    used_percent: float
    level: str
    disk_total_bytes: int
    disk_free_bytes: int
    models_bytes: int
    quota_bytes: int | None


class ModelRecord(TypedDict):
    """One model of the system as plain data."""

    model_id: str
    revision: str
    availability_status: str
    overall_score: float | None
    is_healthy: bool


class SystemRecord(TypedDict):
    """A `SystemHealth` as plain data; `worst_models` are those that are not healthy, the worst first."""

    checked_at: str
    overall_score: float | None
    models: int
    healthy: int
    degraded: int
    corrupted: int
    missing: int
    downloading: int
    storage: StorageRecord
    worst_models: list[ModelRecord]
    recommendations: list[str]
    age_seconds: float


@dataclass(frozen=True, slots=True)
class StorageUse:
    """The room that the store has.

    Attributes:
        store: its folder.
        disk: the room of its disk.
        models_bytes: what the models take.
        quota_bytes: what they may take, None for no limit.
    """

    store: str
    disk: Disk
    models_bytes: int
    quota_bytes: int | None = None

    @property
    def used_percent(self) -> float:
        """How much of the disk or of the quota is used, whichever is the nearer end."""
        quota = 100 * self.models_bytes / self.quota_bytes if self.quota_bytes else 0.0
        return max(self.disk.used_percent, quota)

    def level(self, limits: HealthSettings) -> Level:
        """Return how near the end is."""
        if self.used_percent >= limits.storage_critical_percent:
            return "critical"
        return "warning" if self.used_percent >= limits.storage_warning_percent else "ok"


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """One model of the system: its status's word, its score, None when nothing is known, and the verdict."""

    status: ModelStatus
    score: float | None
    is_healthy: bool

    @property
    def is_degraded(self) -> bool:
        """Whether it serves and does not do well."""
        return self.status.availability_status.is_available and not self.is_healthy

    def as_dict(self) -> ModelRecord:
        """Return it as plain data."""
        return ModelRecord(
            model_id=self.status.model.repo_id,
            revision=self.status.model.revision,
            availability_status=self.status.availability_status.value,
            overall_score=None if self.score is None else round(self.score, 4),
            is_healthy=self.is_healthy,
        )


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """How healthy everything is.

    Attributes:
        checked_at: seconds since the epoch.
        overall_score: the mean of the models' scores, where what is missing or corrupted counts 0 and what is being
            downloaded counts nothing; None without models.
        models: all of them, the worst first.
        storage: the room.
        storage_level: how near its end is.
        recommendations: what to do, as sentences with the command to type.
        age_seconds: how old the observation is.
    """

    checked_at: float
    overall_score: float | None
    models: Sequence[ModelHealth]
    storage: StorageUse
    storage_level: Level
    recommendations: tuple[str, ...]
    age_seconds: float = 0.0

    @property
    def counts(self) -> Mapping[str, int]:
        """How many models are healthy, degraded, corrupted, missing and downloading."""
        words = Counter(_group(model) for model in self.models)
        return {group: words[group] for group in ("healthy", "degraded", "corrupted", "missing", "downloading")}

    def as_dict(self) -> SystemRecord:
        """Return it as plain data."""
        counts, room = self.counts, self.storage
        return SystemRecord(
            checked_at=datetime.fromtimestamp(self.checked_at, UTC).isoformat(),
            overall_score=None if self.overall_score is None else round(self.overall_score, 4),
            models=len(self.models),
            healthy=counts["healthy"],
            degraded=counts["degraded"],
            corrupted=counts["corrupted"],
            missing=counts["missing"],
            downloading=counts["downloading"],
            storage=StorageRecord(
                store=room.store,
                used_percent=round(room.used_percent, 2),
                level=self.storage_level,
                disk_total_bytes=room.disk.total_bytes,
                disk_free_bytes=room.disk.free_bytes,
                models_bytes=room.models_bytes,
                quota_bytes=room.quota_bytes,
            ),
            worst_models=[model.as_dict() for model in self.models if not model.is_healthy],
            recommendations=list(self.recommendations),
            age_seconds=round(self.age_seconds, 3),
        )


def summarise(
    statuses: Iterable[ModelStatus],
    reports: Mapping[str, HealthReport],
    storage: StorageUse,
    limits: HealthSettings,
    *,
    now: float,
    age_seconds: float = 0.0,
) -> SystemHealth:
    """Judge the whole.

    Args:
        statuses: of all models.
        reports: by the model as people type it (`org/name@revision`), where one was made; else a model's score is the
            share of its bytes that is proven.
        storage: the room.
        limits: the thresholds.
        now: seconds since the epoch.
        age_seconds: how old the statuses are.
    """
    models = sorted((_judge(status, reports, limits) for status in statuses), key=_worst_first)
    counted = [model for model in models if model.status.availability_status is not Availability.DOWNLOADING]
    level = storage.level(limits)
    return SystemHealth(
        checked_at=now,
        overall_score=sum(_counted_score(model) for model in counted) / len(counted) if counted else None,
        models=models,
        storage=storage,
        storage_level=level,
        recommendations=(*_about_storage(storage, level), *_about_models(models)),
        age_seconds=age_seconds,
    )


def _judge(status: ModelStatus, reports: Mapping[str, HealthReport], limits: HealthSettings) -> ModelHealth:
    report = reports.get(str(status.model))
    # A report is older than the status: what is not available now is not healthy, whatever it says.
    is_available = status.availability_status.is_available
    if report is not None:
        return ModelHealth(status, report.overall_score, report.is_healthy and is_available)
    score = status.integrity_score
    return ModelHealth(status, score, is_available and score is not None and score >= limits.healthy_threshold)


_GRAVITY = {
    Availability.CORRUPTED: 0,
    Availability.MISSING: 1,
    Availability.AVAILABLE: 2,
    Availability.UPDATING: 2,
    Availability.DOWNLOADING: 3,
}


def _worst_first(model: ModelHealth) -> tuple[int, bool, float, str]:
    gravity = 4 if model.is_healthy else _GRAVITY[model.status.availability_status]
    return gravity, model.score is not None, model.score or 0.0, str(model.status.model)


def _counted_score(model: ModelHealth) -> float:
    return (model.score or 0.0) if model.status.availability_status.is_available else 0.0


def _group(model: ModelHealth) -> str:
    if model.is_healthy:
        return "healthy"
    return "degraded" if model.is_degraded else model.status.availability_status.value


def _about_storage(storage: StorageUse, level: Level) -> Iterable[str]:
    if level != "ok":
        left = f"{storage.disk.free_bytes / 1e9:.1f} GB"
        when = "now" if level == "critical" else "soon"
        yield (
            f"{storage.used_percent:.0f} % of the room for {storage.store} is used, {left} of the disk are free: "
            f"make room {when}. `hf cache ls --cache-dir {storage.store}` lists what is there."
        )


def _about_models(models: Sequence[ModelHealth]) -> Iterable[str]:
    corrupted = _named(models, Availability.CORRUPTED)
    missing = _named(models, Availability.MISSING)
    slower = [str(model.status.model) for model in models if (model.status.past.slower_by or 0) > _TOLERANCE]
    degraded = [str(model.status.model) for model in models if model.is_degraded]
    if corrupted:
        yield f"Repair what is corrupted: {_one_each('availability repair', corrupted)}"
    if missing:
        yield f"Fetch what is missing: availability ensure {_some(missing)}"
    if slower:
        yield f"See why they load slower than before: {_some(slower)} (availability usage run regressions)"
    if degraded:
        yield f"Look at what does not do well: availability check {_some(degraded)}"


def _named(models: Sequence[ModelHealth], word: Availability) -> list[str]:
    return [str(model.status.model) for model in models if model.status.availability_status is word]


def _some(names: Sequence[str]) -> str:
    more = f" (and {len(names) - _MOST_NAMED} more)" if len(names) > _MOST_NAMED else ""
    return " ".join(names[:_MOST_NAMED]) + more


def _one_each(command: str, names: Sequence[str]) -> str:
    more = f" (and {len(names) - _MOST_NAMED} more)" if len(names) > _MOST_NAMED else ""
    return "; ".join(f"{command} {name}" for name in names[:_MOST_NAMED]) + more

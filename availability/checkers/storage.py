"""Storage: whether the model can be read, and the disk it is on can take its repair and its update.

What is observed (`StorageFacts`) and what it means (`judge`) are kept apart: a full disk and a read-only device are
hard to have at hand.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from availability.checkers.base import CheckResult, HealthContext, Issue
from availability.findings import Severity
from availability.model import ModelId
from availability.preflight import Disk
from availability.registry import ExtensionSettings, health_checkers
from availability.settings import HealthSettings
from availability.storage import observe_disk

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """What was observed.

    Attributes:
        disk: its room.
        is_read_only: whether the device takes no writes.
        is_writable: whether we may write into the store.
        unreadable: files of the model that we may not read.
    """

    disk: Disk
    is_read_only: bool
    is_writable: bool
    unreadable: Sequence[str] = ()


@health_checkers.register("storage", priority=40)
class StorageChecker:
    """The worst of space, permissions and device."""

    def __init__(self, context: HealthContext, _: ExtensionSettings) -> None:
        """Take the limits."""
        self._settings = context.settings

    def check(self, model: ModelId, path: Path) -> CheckResult:  # noqa: ARG002  the protocol's signature
        """Observe and judge."""
        return judge(observe(self._settings.storage.models_directory, path), self._settings.health)


def observe(store: Path, snapshot: Path) -> StorageFacts:
    """Look at a store's disk and at a snapshot's permissions."""
    files = [Path(folder, name) for folder, _, names in os.walk(snapshot) for name in names]
    # A dangling link is for the integrity to tell: it exists for nobody.
    unreadable = [file for file in files if file.exists() and not os.access(file, os.R_OK)]
    return StorageFacts(
        disk=observe_disk(store),
        is_read_only=bool(os.statvfs(store).f_flag & os.ST_RDONLY),
        is_writable=os.access(store, os.W_OK | os.X_OK),
        unreadable=[file.relative_to(snapshot).as_posix() for file in unreadable],
    )


def judge(facts: StorageFacts, limits: HealthSettings) -> CheckResult:
    """Say what the facts mean."""
    issues = [
        Issue("unreadable", "its permissions forbid us to read it", Severity.CRITICAL, file=name)
        for name in facts.unreadable[:_MOST_NAMED]
    ]
    if facts.is_read_only:
        issues.append(Issue("read_only_device", "the device takes no writes, so nothing can be repaired or updated"))
    elif not facts.is_writable:
        issues.append(Issue("not_writable", "we may not write into the store, so nothing can be repaired or updated"))
    used = facts.disk.used_percent
    told = f"{used:.1f} % of the disk are used, {facts.disk.free_bytes / 1e9:.1f} GB are free"
    if used >= limits.storage_critical_percent:
        issues.append(Issue("low_space", told, advice="Free space on the disk of the store now."))
    elif used >= limits.storage_warning_percent:
        issues.append(Issue("low_space", told, Severity.INFO, advice="Free space on the disk of the store soon."))
    return CheckResult(
        min(_space_score(used, limits), _access_score(facts)),
        tuple(issues),
        {"used_percent": round(used, 2), "free_bytes": facts.disk.free_bytes},
    )


def _space_score(used: float, limits: HealthSettings) -> float:
    """Return 1 up to the warning, then down to 0.5 at the critical limit and to 0 on a full disk."""
    warning, critical = limits.storage_warning_percent, limits.storage_critical_percent
    if used < warning:
        return 1.0
    if used < critical:
        return 1.0 - 0.5 * (used - warning) / (critical - warning)
    return 0.5 * (100 - min(used, 100.0)) / (100 - critical) if critical < 100 else 0.0


def _access_score(facts: StorageFacts) -> float:
    if facts.unreadable:
        return 0.0
    return 0.5 if facts.is_read_only or not facts.is_writable else 1.0

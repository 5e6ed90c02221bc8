"""Performance: how a model loads, from what programs reported of their loads; without such reports, nothing.

The score is that of `availability.past.ModelPast.performance_score`: held against the expected load time (the model's
size at a speed that is a setting) and against the model's own past, whichever is the worse.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from availability.checkers.base import CheckResult, HealthContext, Issue
from availability.model import ModelId
from availability.past import BYTES_PER_SECOND, START_SECONDS
from availability.registry import ExtensionSettings, health_checkers


class PerformanceSettings(ExtensionSettings):
    """What a good load is."""

    expected_mb_per_second: float = Field(
        BYTES_PER_SECOND / 1e6, gt=0, description="A model that loads as fast as that has score 1."
    )
    low_score: float = Field(0.5, ge=0, le=1, description="A model that loads slower than that is an issue.")
    tolerance: float = Field(0.2, ge=0, description="So much slower than in the time before is not yet an issue.")


@health_checkers.register("performance", priority=20, settings=PerformanceSettings)
class PerformanceChecker:
    """Judges the reported loads of the last week, beside what is expected and beside the month before."""

    def __init__(self, context: HealthContext, settings: PerformanceSettings) -> None:
        """Take what the history says."""
        self._past = context.status.past
        self._size_bytes = context.status.size_bytes
        self._settings = settings

    def check(self, model: ModelId, path: Path) -> CheckResult:  # noqa: ARG002  the protocol's signature
        """Judge the reported loads."""
        past, speed = self._past, self._settings.expected_mb_per_second * 1e6
        score = past.performance_score(self._size_bytes, speed)
        if score is None:
            return CheckResult(None)
        details = {
            "loads": past.loads,
            "median_load_seconds": past.load_seconds,
            "baseline_load_seconds": past.baseline_seconds,
            "slower_by": past.slower_by,
        }
        return CheckResult(score, tuple(self._issues(speed)), details)

    def _issues(self, bytes_per_second: float) -> Iterator[Issue]:
        past, size_bytes = self._past, self._size_bytes
        speed = past.speed_score(size_bytes, bytes_per_second)
        if speed is not None and speed < self._settings.low_score:
            expected = START_SECONDS + (size_bytes or 0) / bytes_per_second
            cause = f"it takes {past.load_seconds:.1f} s to load where {expected:.1f} s are expected"
            yield Issue("slow_load", f"{cause}: a slow disk, or a busy one")
        if past.slower_by is not None and past.slower_by > self._settings.tolerance:
            cause = f"it takes {past.load_seconds:.1f} s to load, {past.slower_by:.0%} more than the"
            advice = "See what has changed: availability usage run regressions"
            yield Issue("slower_than_before", f"{cause} {past.baseline_seconds:.1f} s before", advice=advice)

"""Performance: how fast a model loads, from what programs reported of their loads; without such reports, nothing.

The expected time is the model's size at a speed that is a setting, after a second for what does not depend on size.
"""

from pathlib import Path
from statistics import median

from pydantic import Field

from availability.checkers.base import CheckResult, HealthContext, Issue
from availability.model import ModelId
from availability.registry import ExtensionSettings, health_checkers

_START_SECONDS = 1.0


class PerformanceSettings(ExtensionSettings):
    """What a good load is."""

    expected_mb_per_second: float = Field(200, gt=0, description="A model that loads as fast as that has score 1.")
    low_score: float = Field(0.5, ge=0, le=1, description="Below this it is an issue.")


@health_checkers.register("performance", priority=20, settings=PerformanceSettings)
class PerformanceChecker:
    """The expected load time as a share of the median of the reported ones, at most 1."""

    def __init__(self, context: HealthContext, settings: PerformanceSettings) -> None:
        """Take the history."""
        self._context = context
        self._settings = settings

    def check(self, model: ModelId, path: Path) -> CheckResult:  # noqa: ARG002  the protocol's signature
        """Judge the reported loads."""
        seconds = [value for value in self._context.load_seconds.get(model.repo_id, ()) if value > 0]
        size_bytes = self._context.status.size_bytes
        if not seconds or size_bytes is None:
            return CheckResult(None)
        typical = median(seconds)
        expected = _START_SECONDS + size_bytes / (self._settings.expected_mb_per_second * 1e6)
        score = min(1.0, expected / typical)
        details = {"loads": len(seconds), "median_load_seconds": typical, "expected_load_seconds": expected}
        if score >= self._settings.low_score:
            return CheckResult(score, (), details)
        cause = f"it takes {typical:.1f} s to load where {expected:.1f} s are expected: a slow disk, or a busy one"
        return CheckResult(score, (Issue("slow_load", cause),), details)

"""Integrity: whether the bytes are the publisher's, as far as they were read.

Reads nothing: it says what the latest check found, or what the records of the snapshot prove.
"""

from collections.abc import Iterator
from pathlib import Path

from availability.checkers.base import CheckResult, HealthContext, Issue
from availability.findings import Finding, Severity
from availability.model import ModelId
from availability.registry import ExtensionSettings, health_checkers


@health_checkers.register("integrity", priority=100)
class IntegrityChecker:
    """The share of the model's bytes that is known to be right."""

    def __init__(self, context: HealthContext, _: ExtensionSettings) -> None:
        """Take what is known."""
        self._status = context.status
        self._outcome = context.outcome
        self._is_fresh = context.is_fresh

    def check(self, model: ModelId, path: Path) -> CheckResult:  # noqa: ARG002  the protocol's signature
        """Return what is known of the content."""
        outcome = self._outcome
        if outcome is None or not self._is_fresh:
            return CheckResult(self._status.integrity_score, tuple(self._from_records()), {"origin": "records"})
        if outcome.error is not None:
            issue = Issue("check_failed", outcome.error.message, Severity.WARNING)
            return CheckResult(None, (issue,), {"origin": "check"})
        details = {"origin": "check", "unverified_files": len(outcome.unverified)}
        return CheckResult(outcome.intact_share, outcome.findings, details)

    def _from_records(self) -> Iterator[Finding | Issue]:
        """Yield what is wrong now by the records, in the words of the check that found it."""
        told = {finding.file.path: finding for finding in (self._outcome.findings if self._outcome else ())}
        for one in self._status.damaged:
            ranges = tuple((start, stop) for start, stop in one["ranges"])
            cause = "an earlier check found wrong bytes, and the file is unchanged since"
            yield told.get(one["file"]) or Issue("flipped_range", cause, Severity.CRITICAL, one["file"], ranges)
        for name in self._status.missing:
            cause = "it was removed, or never fetched"
            yield told.get(name) or Issue("missing_file", cause, Severity.CRITICAL, name)

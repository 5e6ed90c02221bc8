"""Health of one model: scores, a verdict, and what to do. Pure: what checkers said goes in, a report comes out.

The overall score is the mean of the known scores by their weights: integrity 5, format 2, performance 2, storage 1,
and 1 for each checker that somebody added. A score without data is None and weighs nothing; when none is known, there
is no overall score. A model with a critical finding is not healthy, whatever the weights say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from availability.checkers.base import CheckResult, Issue
from availability.checks import CheckOutcome
from availability.findings import Finding, FindingKind, FindingRecord, Severity
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.status import Availability

WEIGHTS: Mapping[str, float] = {"integrity": 5.0, "format": 2.0, "performance": 2.0, "storage": 1.0}
"""How much each score counts."""

ADDED_WEIGHT = 1.0
"""How much the score of a checker counts that is not built in."""

_PLACES = 4


class HealthRecord(TypedDict):
    """A `HealthReport` as plain data; a score with no data is null."""

    model_id: str
    revision: str
    availability_status: str
    is_healthy: bool
    checked_at: str
    checks_performed: list[str]
    integrity_score: float | None
    performance_score: float | None
    overall_score: float | None
    findings: list[FindingRecord]
    recommendations: list[str]
    bytes_read: int
    seconds: float
    coverage: float | None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How healthy one model is.

    Attributes:
        model: which.
        availability_status: one of the five words.
        is_healthy: whether it is available, nothing critical was found, and its overall score reaches the threshold.
        checked_at: when it was judged, seconds since the epoch.
        checks_performed: the checkers that said something, and how the content was checked.
        scores: each checker's score by its name, None without data.
        overall_score: see this module's first lines.
        findings: what is wrong, the gravest first.
        recommendations: what to do, as sentences with the command to type.
        bytes_read: by the check of the content.
        seconds: how long the check of the content and the checkers took.
        coverage: share of the bytes that the check of the content judged, None when there was none.
    """

    model: ModelId
    availability_status: Availability
    is_healthy: bool
    checked_at: float
    checks_performed: tuple[str, ...]
    scores: Mapping[str, float | None]
    overall_score: float | None
    findings: tuple[Finding | Issue, ...]
    recommendations: tuple[str, ...]
    bytes_read: int
    seconds: float
    coverage: float | None

    def as_dict(self) -> HealthRecord:
        """Return the report as plain data."""
        return HealthRecord(
            model_id=self.model.repo_id,
            revision=self.model.revision,
            availability_status=self.availability_status.value,
            is_healthy=self.is_healthy,
            checked_at=datetime.fromtimestamp(self.checked_at, UTC).isoformat(),
            checks_performed=list(self.checks_performed),
            integrity_score=_rounded(self.scores.get("integrity")),
            performance_score=_rounded(self.scores.get("performance")),
            overall_score=_rounded(self.overall_score),
            findings=[finding.as_dict() for finding in self.findings],
            recommendations=list(self.recommendations),
            bytes_read=self.bytes_read,
            seconds=round(self.seconds, 3),
            coverage=_rounded(self.coverage),
        )


def assess(
    status: ModelStatus,
    results: Mapping[str, CheckResult],
    outcome: CheckOutcome | None,
    *,
    healthy_threshold: float,
    within_days: float,
    now: float,
    seconds: float = 0.0,
) -> HealthReport:
    """Judge a model's health.

    Args:
        status: what the disk tells of it.
        results: what each checker said, by its name.
        outcome: the latest check of its content, None when there was none.
        healthy_threshold: the least overall score of a healthy model.
        within_days: the bound on the age of the oldest check.
        now: seconds since the epoch.
        seconds: how long the checkers took.
    """
    scores = {name: result.score for name, result in results.items()}
    overall = overall_score(scores)
    findings = _gravest_first(issue for result in results.values() for issue in result.issues)
    is_sound = status.availability_status.is_available and not any(_is_critical(finding) for finding in findings)
    return HealthReport(
        model=status.model,
        availability_status=status.availability_status,
        is_healthy=is_sound and overall is not None and overall >= healthy_threshold,
        checked_at=now,
        checks_performed=(*(outcome.checks_performed if outcome else ()), *results),
        scores=scores,
        overall_score=overall,
        findings=findings,
        recommendations=_recommendations(status, findings, outcome, within_days=within_days, now=now),
        bytes_read=outcome.bytes_read if outcome else 0,
        seconds=seconds + (outcome.seconds if outcome else 0.0),
        coverage=outcome.coverage if outcome else None,
    )


def overall_score(scores: Mapping[str, float | None]) -> float | None:
    """Return the mean of the known scores by their weights, None when none is known."""
    known = {name: score for name, score in scores.items() if score is not None}
    weights = {name: WEIGHTS.get(name, ADDED_WEIGHT) for name in known}
    total = sum(weights.values())
    return sum(weights[name] * score for name, score in known.items()) / total if total else None


_GRAVITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def _gravest_first(findings: Iterable[Finding | Issue]) -> tuple[Finding | Issue, ...]:
    """Order findings, and tell once what two checkers saw."""
    told: dict[tuple[str, str], Finding | Issue] = {}
    for finding in findings:
        record = finding.as_dict()
        told.setdefault((record["kind"], record["file"] or record["cause"]), finding)
    return tuple(sorted(told.values(), key=lambda finding: (_GRAVITY[finding.severity], *_place(finding))))


def _place(finding: Finding | Issue) -> tuple[str, str]:
    record = finding.as_dict()
    return record["file"], record["kind"]


def _is_critical(finding: Finding | Issue) -> bool:
    return finding.severity is Severity.CRITICAL


_OF_THE_PUBLISHER = {FindingKind.BAD_HEADER, FindingKind.MISSING_SHARD, FindingKind.MALFORMED_JSON}
_BYTES_ARE_WRONG = {kind.value for kind in FindingKind} - {kind.value for kind in _OF_THE_PUBLISHER}


def _recommendations(
    status: ModelStatus,
    findings: Iterable[Finding | Issue],
    outcome: CheckOutcome | None,
    *,
    within_days: float,
    now: float,
) -> tuple[str, ...]:
    kinds = {finding.as_dict()["kind"] for finding in findings if finding.severity is not Severity.INFO}
    model, advice = status.model, []
    if kinds & _BYTES_ARE_WRONG or status.availability_status is Availability.CORRUPTED:
        advice.append(f"Repair it: availability repair {model}")
    elif not status.availability_status.is_available:
        advice += status.next_steps()
    elif kinds & {kind.value for kind in _OF_THE_PUBLISHER}:
        advice.append(
            f"Make sure that its bytes are the publisher's (availability check {model} --force); tell him then."
        )
    if status.availability_status.is_available and _is_overdue(status, outcome, now - within_days * 86400):
        days = timedelta(days=within_days).days or within_days
        advice.append(f"Some of it was not read within {days:g} days: availability check {model}")
    advice += [finding.advice for finding in findings if isinstance(finding, Issue) and finding.advice]
    return tuple(dict.fromkeys(advice))


def _is_overdue(status: ModelStatus, outcome: CheckOutcome | None, bound: float) -> bool:
    oldest = outcome.oldest_check if outcome else None
    if oldest is None and status.oldest_check is not None:
        oldest = status.oldest_check.timestamp()
    return oldest is None or oldest < bound


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, _PLACES)

"""What a health checker is, what it gets, and what it says.

A checker judges one aspect of one model at its snapshot's folder. It reads, it changes nothing, and it says nothing it
has not seen: without data its score is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from availability.checks import CheckOutcome
from availability.findings import Finding, FindingRecord, Severity
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.settings import Settings


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong that is not a file's content: a permission, a full disk, a checker that failed.

    Attributes:
        kind: what, such as `low_space`.
        cause: the likely cause, as a sentence.
        severity: how grave it is.
        file: which file or folder it is about, relative to the snapshot; empty for the model as a whole.
        ranges: the bytes concerned as (start, stop), stop exclusive.
        advice: what to do, as a sentence with the command to type; empty when the general advice will do.
    """

    kind: str
    cause: str
    severity: Severity = Severity.WARNING
    file: str = ""
    ranges: tuple[tuple[int, int], ...] = ()
    advice: str = ""

    def as_dict(self) -> FindingRecord:
        """Return it as plain data, in the shape of a finding."""
        return FindingRecord(
            kind=self.kind, file=self.file, ranges=list(self.ranges), severity=self.severity.value, cause=self.cause
        )


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one checker says.

    Attributes:
        score: 0 to 1, None when there is nothing to judge by.
        issues: what is wrong.
        details: figures for who wants to know more; plain data.
    """

    score: float | None
    issues: tuple[Finding | Issue, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a score that is none.

        Raises:
            ValueError: it is not within 0 and 1.
        """
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"a score is 0 to 1 or None, got {self.score}")


class HealthChecker(Protocol):
    """Judges one aspect of a model's health."""

    def check(self, model: ModelId, path: Path) -> CheckResult:
        """Judge the model whose files lie in the folder `path`."""


@dataclass(frozen=True, slots=True)
class HealthContext:
    """What is known of a model before its checkers look.

    Attributes:
        settings: what is in force.
        status: what the disk tells of it, and the history (`past`).
        outcome: the latest check of its content, None when there was none.
        is_fresh: whether that check was made just now; what an older one found holds only as far as the status says so.
    """

    settings: Settings
    status: ModelStatus
    outcome: CheckOutcome | None = None
    is_fresh: bool = False

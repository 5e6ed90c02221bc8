"""How a road ended, once for everybody: the flow's table, the event, `--json` and the exit code are views of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TypedDict

from availability.error import ErrorRecord
from availability.errors import (
    DownloadFailedError,
    EnhancedModelAvailabilityError,
    ModelNotFoundError,
    OfflineError,
    TransientError,
    UnverifiableError,
)
from availability.fallback.decision import FallbackDecision, FallbackRecord
from availability.model import DEFAULT_REVISION, ModelId
from availability.status import Availability


class ExitCode(IntEnum):
    """What a command's exit code says."""

    OK = 0
    """Every model is verified."""
    NOT_VERIFIED = 1
    """A model is known not to be."""
    WRONG_USAGE = 2
    """Nothing was started: what was asked for, or a setting, cannot be understood."""
    UNKNOWN = 3
    """Nothing is known against any model, but of one nobody could be asked what it must be."""
    INTERRUPTED = 130
    """Somebody pressed Ctrl-C, as shells say it."""


NOBODY_COULD_SAY = (TransientError, OfflineError, UnverifiableError, DownloadFailedError)
"""Errors that, before a listing is known, leave open what a model must be."""


class SourceRecord(TypedDict):
    """What one source gave: its name and the bytes received from it."""

    source: str
    bytes_fetched: int


class EnsureRecord(TypedDict):
    """An `EnsureOutcome` as plain data: one entry of `models` in `availability ensure --json`."""

    model_id: str
    revision: str
    commit: str | None
    path: str | None
    success: bool
    availability_status: str
    download_id: str | None
    bytes_total: int | None
    bytes_fetched: int
    seconds: float
    attempts: int
    total_retries: int
    sources: list[SourceRecord]
    step_seconds: dict[str, float]
    substituted: bool
    served_model: str | None
    served_path: str | None
    fallback_decision: FallbackRecord | None
    error: ErrorRecord | None


@dataclass(frozen=True, slots=True)
class EnsureOutcome:
    """How ensuring one model ended.

    Attributes:
        model_id: as it was asked for, with aliases resolved.
        revision: the branch, tag or commit.
        commit: the commit it stood for, None when that was not found out.
        path: the snapshot's folder; None when what was asked for is not there, complete and verified.
        availability_status: one of the five words, as observed at the end.
        download_id: the id of the download's record; a flow-run id under Prefect; None when nothing had to be done.
        bytes_total: of the selected files, None when no listing was had.
        bytes_fetched: received over the network, wasted bytes included.
        seconds: from the start to the end, waiting for others included.
        attempts: how often bytes were asked for; 0 when none were needed.
        sources: bytes received, by source.
        step_seconds: how long each step took: plan, fetch, check, repair, confirm, publish.
        error: what went wrong, None when all is verified.
        fallback: what was decided about it then, None when nothing was.
        stand_in: another model that is served in its place, None when none is.
        stand_in_path: the folder of that one's snapshot.
    """

    model_id: str
    revision: str
    commit: str | None
    path: Path | None
    availability_status: Availability
    download_id: str | None
    bytes_total: int | None
    bytes_fetched: int
    seconds: float
    attempts: int
    sources: Mapping[str, int] = field(default_factory=dict)
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    error: EnhancedModelAvailabilityError | None = None
    fallback: FallbackDecision | None = None
    stand_in: ModelId | None = None
    stand_in_path: Path | None = None

    @property
    def success(self) -> bool:
        """Whether the snapshot at `path` is complete and verified."""
        return self.error is None

    @property
    def is_unknown(self) -> bool:
        """Whether it was not found out what the model must be: nothing is known against it."""
        return self.bytes_total is None and isinstance(self.error, NOBODY_COULD_SAY)

    @property
    def total_retries(self) -> int:
        """How many attempts there were after the first."""
        return max(0, self.attempts - 1)

    def as_dict(self) -> EnsureRecord:
        """Return the outcome as plain data."""
        path = self.stand_in_path or self.path
        return EnsureRecord(
            model_id=self.model_id,
            revision=self.revision,
            commit=self.commit,
            path=str(self.path) if self.path else None,
            success=self.success,
            availability_status=self.availability_status.value,
            download_id=self.download_id,
            bytes_total=self.bytes_total,
            bytes_fetched=self.bytes_fetched,
            seconds=round(self.seconds, 3),
            attempts=self.attempts,
            total_retries=self.total_retries,
            sources=[SourceRecord(source=name, bytes_fetched=count) for name, count in sorted(self.sources.items())],
            step_seconds={step: round(seconds, 3) for step, seconds in self.step_seconds.items()},
            substituted=self.stand_in is not None,
            served_model=str(self.stand_in or ModelId(self.model_id, self.revision)) if path else None,
            served_path=str(path) if path else None,
            fallback_decision=self.fallback.as_dict() if self.fallback else None,
            error=self.error.as_dict() if self.error else None,
        )


@dataclass(frozen=True, slots=True)
class Ensured(EnsureOutcome):
    """An outcome that went well: there is a commit, and a path to use."""

    commit: str
    path: Path
    bytes_total: int


class EnsureSummary(TypedDict):
    """Several outcomes in a few figures: the `summary` of `availability ensure --json`.

    `failed` counts what is not verified, `unknown` those among them of which nobody could be asked.
    """

    requested: int
    verified: int
    failed: int
    unknown: int
    bytes_total: int
    bytes_fetched: int
    attempts: int
    exit_code: int


def summarise(outcomes: Sequence[EnsureOutcome]) -> EnsureSummary:
    """Return the figures of several outcomes, with the exit code they mean."""
    verified = sum(outcome.success for outcome in outcomes)
    unknown = sum(outcome.is_unknown for outcome in outcomes)
    return EnsureSummary(
        requested=len(outcomes),
        verified=verified,
        failed=len(outcomes) - verified,
        unknown=unknown,
        bytes_total=sum(outcome.bytes_total or 0 for outcome in outcomes),
        bytes_fetched=sum(outcome.bytes_fetched for outcome in outcomes),
        attempts=sum(outcome.attempts for outcome in outcomes),
        exit_code=exit_code_of(failed=len(outcomes) - verified, unknown=unknown),
    )


def exit_code_of(*, failed: int, unknown: int) -> ExitCode:
    """Return the answer to "is every model verified?": yes, no, or nobody could say.

    Args:
        failed: how many are not verified.
        unknown: of how many of those nobody could be asked; one that is known not to be settles the question.
    """
    if failed > unknown:
        return ExitCode.NOT_VERIFIED
    return ExitCode.UNKNOWN if unknown else ExitCode.OK


def refused_outcome(asked: str, error: ModelNotFoundError) -> EnsureOutcome:
    """Return the outcome for a name that nobody knows; nothing was started for it."""
    name, _, revision = asked.partition("@")
    return EnsureOutcome(
        model_id=name,
        revision=revision or DEFAULT_REVISION,
        commit=None,
        path=None,
        availability_status=Availability.MISSING,
        download_id=None,
        bytes_total=None,
        bytes_fetched=0,
        seconds=0.0,
        attempts=0,
        error=error,
    )

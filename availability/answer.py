"""What a request for a model is answered with: one frozen value, of which state, artifact, event and JSON are views."""

from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import TypedDict

from availability.error import ErrorRecord
from availability.errors import EnhancedModelAvailabilityError
from availability.fallback.decision import FallbackRecord
from availability.fallback.estimate import WaitEstimate
from availability.fallback.resolving import Resolution
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.outcome import ExitCode
from availability.status import Availability


class ActionTaken(StrEnum):
    """What was done about a request."""

    MODEL_READY = auto()
    """A model is here, complete and verified: the one that was asked for, or its stand-in."""
    DOWNLOAD_IN_PROGRESS = auto()
    """It is being fetched already."""
    DOWNLOAD_STARTED = auto()
    """Its fetching was begun now."""
    REPAIR_ATTEMPTED = auto()
    """Its repair was begun."""
    ERROR = auto()
    """It cannot be had now."""


class RequestRecord(TypedDict):
    """A `RequestAnswer` as plain data: one entry of `models` in `availability request --json`."""

    requested_model: str
    revision: str
    action_taken: str
    message: str
    served_model: str | None
    substituted: bool
    way_back: str | None
    path: str | None
    commit: str | None
    availability_status: str
    download_id: str | None
    repair_id: str | None
    request_id: str | None
    estimated_wait_time: float | None
    confidence: float | None
    queued: bool
    queue_position: int | None
    queue_reason: str | None
    decision_id: str | None
    fallback_decision: FallbackRecord | None
    error: ErrorRecord | None


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """The answer to a request.

    Attributes:
        model: the model that was asked for, with aliases resolved.
        action_taken: what was done.
        message: the answer in words.
        availability_status: of the model that was asked for.
        served: the model that is served, or will be; None when none is.
        path: the folder of the model that is served; None when none is ready.
        commit: the commit that is served.
        download_id: of the download that was begun or goes on; a flow-run id under Prefect.
        repair_id: of the repair that was begun or goes on; a flow-run id under Prefect.
        request_id: of the request that waits until the model is ready; a flow-run id.
        wait: how long it takes until there is a model to use.
        queue_position: the place of the run that was begun, from 1; None when it does not wait for its turn.
        queue_reason: why a run that was begun does not run yet, as a sentence.
        resolution: what was decided when it cannot be had as it should.
        error: why it cannot be had, None when it can.
    """

    model: ModelId
    action_taken: ActionTaken
    message: str
    availability_status: Availability
    served: ModelId | None = None
    path: Path | None = None
    commit: str | None = None
    download_id: str | None = None
    repair_id: str | None = None
    request_id: str | None = None
    wait: WaitEstimate | None = None
    queue_position: int | None = None
    queue_reason: str | None = None
    resolution: Resolution | None = None
    error: EnhancedModelAvailabilityError | None = None

    @property
    def is_substituted(self) -> bool:
        """Whether another model stands in for the one that was asked for."""
        return self.served is not None and self.served != self.model

    @property
    def way_back(self) -> str | None:
        """How the substitution ends; None when there is none."""
        if not self.is_substituted:
            return None
        return (
            f"When {self.model} is available it is served again by itself. To have it now: availability ensure "
            f"{self.model}. To have nobody stand in: `substitution: never` in its catalog entry."
        )

    @property
    def exit_code(self) -> ExitCode:
        """What a command that prints the answer ends with."""
        if self.action_taken is ActionTaken.MODEL_READY:
            return ExitCode.OK
        return ExitCode.NOT_VERIFIED

    def as_dict(self) -> RequestRecord:
        """Return the answer as plain data."""
        seconds = self.wait.seconds if self.wait else None
        return RequestRecord(
            requested_model=self.model.repo_id,
            revision=self.model.revision,
            action_taken=self.action_taken.value,
            message=self.message,
            served_model=str(self.served) if self.served else None,
            substituted=self.is_substituted,
            way_back=self.way_back,
            path=str(self.path) if self.path else None,
            commit=self.commit,
            availability_status=self.availability_status.value,
            download_id=self.download_id,
            repair_id=self.repair_id,
            request_id=self.request_id,
            estimated_wait_time=None if seconds is None else round(seconds, 1),
            confidence=round(self.wait.confidence, 3) if self.wait else None,
            queued=self.queue_reason is not None,
            queue_position=self.queue_position,
            queue_reason=self.queue_reason,
            decision_id=self.resolution.standing.decision_id if self.resolution else None,
            fallback_decision=self.resolution.decision.as_dict() if self.resolution else None,
            error=self.error.as_dict() if self.error else None,
        )


def ready_answer(status: ModelStatus) -> RequestAnswer:
    """Return the answer for a model that is here."""
    is_updating = status.availability_status is Availability.UPDATING
    return RequestAnswer(
        status.model,
        ActionTaken.MODEL_READY,
        f"{status.model} is ready{'; a newer version is being fetched' if is_updating else ''}.",
        status.availability_status,
        served=status.model,
        path=status.path,
        commit=status.commit,
        download_id=status.download.download_id if is_updating and status.download else None,
    )

"""Keeps the record of a download up to date, so that others can watch it: once a second, and at each turn of events."""

import os
import socket
from contextlib import suppress
from time import monotonic, time

from availability.controls import Controls, DownloadRecord, DownloadState, current_user
from availability.errors import (
    DownloadCancelledError,
    DownloadPausedError,
    EnhancedModelAvailabilityError,
    ModelNotFoundError,
)
from availability.selection import Selection
from availability.steering import Steering
from availability.transfer.meter import Meter

_SECONDS = 1.0


class Recorder:
    """Writes one download's record, and sets the meter's phase to what it says."""

    def __init__(self, controls: Controls, steering: Steering, meter: Meter, selection: Selection) -> None:
        """Write nothing yet."""
        self._controls = controls
        self._steering = steering
        self._meter = meter
        self._selection = selection
        self._written_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last one is a second old."""
        return monotonic() - self._written_at >= _SECONDS

    def write(self, state: DownloadState, reason: str | None = None) -> None:
        """Say where the download stands."""
        self._written_at = monotonic()
        self._meter.phase = state.value
        waiting = self._steering.waiting
        self._controls.write(
            DownloadRecord(
                download_id=waiting.download_id,
                repo_id=waiting.model.repo_id,
                revision=waiting.model.revision,
                priority=waiting.priority.value,
                state=state,
                progress=self._meter.progress(),
                started_at=waiting.asked_at,
                updated_at=time(),
                reason=reason,
                selection=self._selection,
                runner=waiting.runner,
                limit_mbps=self._steering.limit_mbps,
            )
        )

    def write_end(self, error: BaseException) -> None:
        """Say how it ended, where it did not end well."""
        state = _state_after(error)
        # The disk that ended the road may not take the record of it either; the cause must not be lost over that.
        with suppress(OSError):
            if isinstance(error, ModelNotFoundError):
                self._meter.phase = state.value
                self._controls.forget(self._steering.waiting.model)
            else:
                self.write(state, reason=reason_of(error))


def this_process() -> str:
    """Return who runs a download when nobody says otherwise: the user, the machine and the process."""
    return f"{current_user()}@{socket.gethostname()}, process {os.getpid()}"


def reason_of(error: BaseException) -> str:
    """Return why something ended, in a sentence where there is one."""
    return error.message if isinstance(error, EnhancedModelAvailabilityError) else type(error).__name__


def _state_after(error: BaseException) -> DownloadState:
    if isinstance(error, DownloadPausedError):
        return DownloadState.PAUSED
    is_cancelled = isinstance(error, DownloadCancelledError | KeyboardInterrupt | GeneratorExit | SystemExit)
    return DownloadState.CANCELLED if is_cancelled else DownloadState.FAILED

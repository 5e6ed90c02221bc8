"""One download: its id, its figures, its lease, and the records by which others watch and control it.

Everything a step needs to know about the run it is part of; the steps themselves are `availability.road`.
"""

import getpass
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Lock
from time import monotonic, time
from typing import TypeVar
from uuid import uuid4

from availability.catalog import Priority
from availability.controls import DownloadRecord, DownloadState
from availability.errors import (
    DownloadCancelledError,
    EnhancedModelAvailabilityError,
    ModelNotFoundError,
    RateLimitedError,
)
from availability.lease import Held, hold
from availability.model import ModelId
from availability.selection import Selection
from availability.storage import storage_errors
from availability.transfer.meter import Meter, Progress
from availability.transfer.worker import ServerWait
from availability.workspace import Workspace

T = TypeVar("T")

_RECORD_SECONDS = 1.0
_CONTROL_SECONDS = 0.5


class Download:
    """A model on its road."""

    def __init__(
        self,
        workspace: Workspace,
        model: ModelId,
        selection: Selection,
        *,
        priority: Priority = Priority.NORMAL,
        download_id: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Event | None = None,
        sharers: int = 1,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            workspace: where.
            model: what.
            selection: which of its files.
            priority: how urgent it is; others see it.
            download_id: the id others know it by; a new one when None.
            on_progress: told how far it is, some twenty times a second, by the thread at work.
            stop: set by the caller to end it as if cancelled.
            sharers: how many downloads share this process's connections.
        """
        self.workspace = workspace
        self.model = model
        self.selection = selection
        self.priority = priority
        self.download_id = download_id or str(uuid4())
        self.meter = Meter()
        self.proven: set[str] = set()
        self.sharers = sharers
        self.begun = False
        self._causes: list[str] = []
        self._on_progress = on_progress
        self._stop = stop or Event()
        self._started_at = time()
        self._began = monotonic()
        self._ended: float | None = None
        self._held: Held | None = None
        self._ticking = Lock()
        self._recorded = 0.0
        self._controlled = 0.0

    def __str__(self) -> str:
        """Return the model's id: what people call the download."""
        return str(self.model)

    @property
    def seconds(self) -> float:
        """How long it has been going on, or how long it took."""
        return (self._ended or monotonic()) - self._began

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who works on this model, waiting for whoever does.

        Raises:
            DownloadCancelledError: it was cancelled while it waited.
            InsufficientStorageError, StorageError: what the disk refused, whichever step it was that met it.
        """
        with self._storage_errors(), self._lease() as held:
            self._held = held
            self.meter.waiting = None
            self._record(DownloadState.QUEUED)
            try:
                with self._storage_errors():
                    yield
            except BaseException as error:
                self._record_end(error)
                raise
            else:
                # The model is published: whether this record of it can still be written changes nothing.
                with suppress(OSError):
                    self._record(DownloadState.COMPLETED)
            finally:
                self._held = None
                self._ended = monotonic()
                self._tell()

    def enter(self, state: DownloadState) -> None:
        """Go over to the next phase, and let those who watch know."""
        self._record(state)
        self._tell()

    def tick(self) -> None:
        """Be called often while something goes on: obey what was asked for, and tell how far it is.

        Raises:
            DownloadCancelledError: somebody cancelled it.
            LeaseLostError: another process took over.
        """
        with self._ticking:
            now = monotonic()
            if now - self._controlled >= _CONTROL_SECONDS:
                self._controlled = now
                self._obey()
            # A dry run holds nothing and writes nothing.
            if self._held is not None and now - self._recorded >= _RECORD_SECONDS:
                self._record(DownloadState(self.meter.phase))
        self._tell()

    @property
    def attempts(self) -> int:
        """How often it was tried: 0 when nothing had to be done, else once and once for each retry."""
        return 1 + self.meter.retries if self.begun else 0

    @property
    def causes(self) -> tuple[str, ...]:
        """Why each attempt that failed did so, in order."""
        return tuple(self._causes)

    def note_failure(self, error: BaseException) -> None:
        """Note why an attempt failed."""
        self._causes.append(f"attempt {len(self._causes) + 1}: {_reason(error)}")

    def note_retry(self) -> None:
        """Count a retry."""
        self.meter.retries += 1

    def sleep(self, seconds: float) -> None:
        """Wait before a retry, obeying controls meanwhile.

        Raises:
            DownloadCancelledError: somebody cancelled it.
        """
        self._wait(seconds, f"retry in {seconds:.0f} s; {self._causes[-1]}")

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask a source, and again when it has told how long to stay away: that wait is part of the attempt.

        Raises:
            RateLimitedError: it did not tell, or more than `max_server_wait_seconds` in all.
            DownloadCancelledError: somebody cancelled it meanwhile.
        """
        wait = ServerWait(self.workspace.settings.download.max_server_wait_seconds)
        while True:
            try:
                return ask()
            except RateLimitedError as error:
                if error.retry_after_seconds is None or not wait.grant(error.retry_after_seconds):
                    raise
                self._wait(wait.seconds_left, error.message)

    def check_lease(self) -> None:
        """Make sure nobody took over; asked before anything is published.

        Raises:
            LeaseLostError: another process did.
        """
        if self._held is not None:
            self._held.check()

    def _wait(self, seconds: float, why: str) -> None:
        until = monotonic() + seconds
        self.meter.waiting = why
        while (left := until - monotonic()) > 0:
            self._stop.wait(min(left, _CONTROL_SECONDS))
            self.tick()
        self.meter.waiting = None

    def _wait_for_other(self) -> None:
        self.meter.waiting = "another process works on this model"
        self._tell()

    def _storage_errors(self) -> AbstractContextManager[None]:
        return storage_errors(self.workspace, self.model, lambda: self.meter.progress().bytes_left)

    @contextmanager
    def _lease(self) -> Iterator[Held]:
        self.workspace.claim()
        with hold(
            self.workspace.lease_path(self.model),
            on_wait=self._wait_for_other,
            should_stop=self._should_stop,
            holder=self.download_id,
        ) as held:
            yield held

    def _should_stop(self) -> bool:
        return self._stop.is_set() or self.workspace.controls.cancelled_by(self.model, self.download_id) is not None

    def _obey(self) -> None:
        self.check_lease()
        if self._stop.is_set():
            raise DownloadCancelledError(f"{self.model}: the program was told to end; what has arrived is kept")
        by = self.workspace.controls.cancelled_by(self.model, self.download_id)
        if by is not None:
            raise DownloadCancelledError(f"{self.model}: cancelled by {by}; what has arrived is kept")

    def _record(self, state: DownloadState, reason: str | None = None) -> None:
        self._recorded = monotonic()
        self.meter.phase = state.value
        self.workspace.controls.write(
            DownloadRecord(
                download_id=self.download_id,
                repo_id=self.model.repo_id,
                revision=self.model.revision,
                priority=self.priority.value,
                state=state,
                progress=self.meter.progress(),
                started_at=self._started_at,
                updated_at=time(),
                reason=reason,
            )
        )

    def _record_end(self, error: BaseException) -> None:
        state = DownloadState.CANCELLED if _was_cancelled(error) else DownloadState.FAILED
        # The disk that ended the road may not take the record of it either; the cause must not be lost over that.
        with suppress(OSError):
            if isinstance(error, ModelNotFoundError):
                self.meter.phase = state.value
                self.workspace.controls.forget(self.model)
            else:
                self._record(state, reason=_reason(error))

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.meter.progress())


def current_user() -> str:
    """Return who is asking, for records of what people did."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _was_cancelled(error: BaseException) -> bool:
    return isinstance(error, DownloadCancelledError | KeyboardInterrupt | GeneratorExit | SystemExit)


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, EnhancedModelAvailabilityError) else type(error).__name__

"""One download: its id, its figures, its lease, and the records by which others watch and control it.

Everything a step needs to know about the run it is part of; the steps themselves are `availability.road`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Lock
from time import monotonic, time
from typing import TypeVar
from uuid import uuid4

from availability.account import Account
from availability.catalog import Priority
from availability.controls import DownloadState
from availability.download_queue import Waiting
from availability.errors import (
    DownloadCancelledError,
    FeatureOffError,
    RateLimitedError,
)
from availability.lease import Held, hold
from availability.model import ModelId
from availability.plan import Plan
from availability.recorder import Recorder, this_process
from availability.selection import Selection
from availability.steering import Steering
from availability.storage import storage_errors
from availability.transfer.meter import Progress
from availability.transfer.throttle import Throttle
from availability.transfer.worker import ServerWait
from availability.workspace import Workspace

T = TypeVar("T")

_CONTROL_SECONDS = 0.5


def check_feature(workspace: Workspace, model: ModelId) -> None:
    """Make sure that fetching is switched on.

    Raises:
        FeatureOffError: it is not; what is there and proven still serves.
    """
    if not workspace.settings.features.enhanced_downloads:
        raise FeatureOffError(
            f"{model} is not ready, and enhanced_downloads is switched off: nothing was started.",
            advice=("Set ENHANCED_MODEL_FEATURES_ENHANCED_DOWNLOADS=true.",),
        )


class Download(Account):
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
        runner: str | None = None,
        throttle: Throttle | None = None,
        asked: bool = True,
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
            runner: who runs it, for people; this process when None.
            throttle: the speed limit of the run it is part of, None when that has none.
            asked: whether somebody asked for this very model, and not only the catalog.
        """
        self.workspace = workspace
        self.model = model
        self.selection = selection
        self.download_id = download_id or str(uuid4())
        waiting = Waiting(model, priority, self.download_id, runner or this_process(), time())
        self.steering = Steering(workspace, waiting, throttle)
        super().__init__()
        self._recorder = Recorder(workspace.controls, self.steering, self.meter, selection)
        # What this run has found to do, for as long as nobody else works on the model.
        self.plan: Plan | None = None
        self.proven: set[str] = set()
        self.sharers = sharers
        self.asked = asked
        # Where an orchestrator repeats its steps: what waits for the next attempt, and whether it still may come.
        self.awaiting: str | None = None
        self.is_over = False
        self._on_progress = on_progress
        self._stop = stop or Event()
        self._held: Held | None = None
        self._ticking = Lock()
        self._controlled = 0.0

    def __str__(self) -> str:
        """Return the model's id: what people call the download."""
        return str(self.model)

    @property
    def priority(self) -> Priority:
        """How urgent it is by now: an order may have changed it."""
        return self.steering.waiting.priority

    @property
    def started_at(self) -> float:
        """When it was asked for, seconds since the epoch."""
        return self.steering.waiting.asked_at

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who works on this model, waiting for whoever does.

        Raises:
            DownloadCancelledError, DownloadPausedError: it was cancelled or paused while it waited.
            InsufficientStorageError, StorageError: what the disk refused, whichever step it was that met it.
        """
        with self._storage_errors(), self._lease() as held:
            self._held, self._held_since = held, monotonic()
            self.meter.waiting = None
            self._recorder.write(DownloadState.QUEUED)
            try:
                with self._storage_errors():
                    yield
            except BaseException as error:
                self._recorder.write_end(error)
                raise
            else:
                # The model is published: whether this record of it can still be written changes nothing.
                with suppress(OSError):
                    self._recorder.write(DownloadState.COMPLETED)
                    self.steering.settle()
            finally:
                self._held = self.plan = None
                self.steering.give_back_turn()
                self._ended = monotonic()
                self._tell()

    def enter(self, state: DownloadState) -> None:
        """Go over to the next phase, and let those who watch know; bytes move only when it is its turn.

        Raises:
            DownloadCancelledError, DownloadPausedError: it was cancelled or paused while it waited for its turn.
        """
        if state is DownloadState.DOWNLOADING:
            self.may_start()
            self.steering.wait_for_turn(self._wait)
        self._recorder.write(state)
        self._tell()

    def may_start(self) -> None:
        """Make sure that nothing stands in its way, before anybody is asked for anything.

        Raises:
            FeatureOffError: fetching is switched off; what is there and proven still serves.
            DownloadCancelledError, DownloadPausedError: an order stands.
            StorageError: whether one stands cannot be read.
        """
        check_feature(self.workspace, self.model)
        self.steering.can_be_paused = True
        with self._storage_errors():
            self.steering.obey()

    def tell_waiting(self, why: str) -> None:
        """Tell whoever watches why nothing moves yet."""
        self.meter.waiting = why
        self._tell()

    def tick(self) -> None:
        """Be called often while something goes on: obey what was asked for, and tell how far it is.

        Raises:
            DownloadCancelledError, DownloadPausedError: somebody cancelled or paused it.
            LeaseLostError: another process took over.
        """
        with self._ticking:
            if monotonic() - self._controlled >= _CONTROL_SECONDS:
                self._controlled = monotonic()
                self._obey()
            # A dry run holds nothing and writes nothing.
            if self._held is not None and self._recorder.is_due:
                self._recorder.write(DownloadState(self.meter.phase))
        self._tell()

    def sleep(self, seconds: float) -> None:
        """Wait before a retry, obeying orders meanwhile, and count it once it begins.

        Raises:
            DownloadCancelledError: somebody cancelled it.
        """
        self._wait(seconds, f"retry in {seconds:.0f} s; {self._causes[-1]}")
        self.note_retry()

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
                if not wait.obey(error):
                    raise
                self._wait(wait.seconds_left, error.message)

    def tick_while_fetching(self) -> None:
        """Be called often while bytes move.

        Raises:
            MakeRoomError: something else needs the line for a while.
            EnhancedModelAvailabilityError: see `tick`.
        """
        self.tick()
        self.steering.make_room()

    def wait_for_room(self) -> None:
        """Wait as long as something else needs the line."""
        while (why := self.steering.why_closed) is not None:
            self._wait(_CONTROL_SECONDS, why)

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
        # The other one has a turn of his own.
        self.steering.give_back_turn()
        self.tell_waiting("another process works on this model")

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
        self.steering.end_if_ordered()
        return self._stop.is_set()

    def _obey(self) -> None:
        self.check_lease()
        if self._stop.is_set():
            raise DownloadCancelledError(f"{self.model}: the program was told to end; what has arrived is kept")
        self.steering.obey()

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.meter.progress())

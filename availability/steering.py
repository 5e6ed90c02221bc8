"""What a download obeys: the orders that stand for it, the speed limits, and its turn.

It reads, and tells by an exception that the download must end or make room; what is then done about it is the
download's matter. Orders about its priority and its speed are followed on the spot.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock

from availability.catalog import Priority
from availability.download_queue import POLL_SECONDS, Slot, Waiting
from availability.errors import DownloadCancelledError, DownloadPausedError
from availability.limits import bytes_per_second, limit_at, serving_file
from availability.orders import Order, OrderKind
from availability.transfer.throttle import Limits, Throttle
from availability.turns import Line
from availability.workspace import Workspace


class MakeRoomError(Exception):
    """Something else needs the line: what is on its way ends now, and goes on where it was when there is room."""


class Steering:
    """What one download obeys.

    Attributes:
        waiting: how it stands in the queue: which model, how urgent, since when, by whom.
        limit_mbps: the speed limit ordered for it alone, None when there is none.
        can_be_paused: whether it moves bytes, so that a pause concerns it.
        why_closed: why nothing may be fetched just now, None while something may.
        throttle: all limits that hold for it.
    """

    def __init__(self, workspace: Workspace, waiting: Waiting, run_throttle: Throttle | None = None) -> None:
        """Obey nothing yet; `run_throttle` is the limit of the run that it is part of."""
        self.waiting = waiting
        self.limit_mbps: float | None = None
        self.can_be_paused = False
        self.why_closed: str | None = None
        self._workspace = workspace
        self._model = waiting.model
        self._throttle = Throttle()
        self.throttle = Limits(self._throttle, run_throttle or Throttle(), workspace.bandwidth)
        self._slot: Slot | None = None
        self._seen: set[str] = set()
        self._new: list[Order] = []
        self._guard = Lock()

    def obey(self) -> None:
        """Look what stands, and follow it.

        Raises:
            DownloadCancelledError: somebody cancelled it.
            DownloadPausedError: somebody paused it.
        """
        self.end_if_ordered()
        orders = self._workspace.orders
        priority = orders.standing(OrderKind.PRIORITY, self._model)
        if priority is not None:
            self._note(priority)
            self.waiting = replace(self.waiting, priority=Priority(priority.value))
        limit = orders.standing(OrderKind.LIMIT, self._model)
        if limit is not None:
            self._note(limit)
        self.limit_mbps = float(limit.value or 0) or None if limit is not None else None
        self._throttle.limit_to(bytes_per_second(self.limit_mbps or 0))
        self._keep_shared_limit()

    def end_if_ordered(self) -> None:
        """Look whether it has to end.

        Raises:
            DownloadCancelledError: somebody cancelled it.
            DownloadPausedError: somebody paused it.
        """
        orders, model = self._workspace.orders, self._model
        cancel = orders.cancelled(model, self.waiting.download_id)
        if cancel is not None:
            self._note(cancel)
            raise DownloadCancelledError(f"{model}: cancelled by {cancel.by}; what has arrived is kept")
        pause = orders.standing(OrderKind.PAUSE, model) if self.can_be_paused else None
        if pause is not None:
            self._note(pause)
            since = datetime.fromtimestamp(pause.at, UTC)
            raise DownloadPausedError(
                f"{model}: paused by {pause.by} since {since:%Y-%m-%d %H:%M} UTC; what has arrived is kept",
                advice=(
                    f"Let it go on: availability downloads resume {model}",
                    "In the Prefect UI: run manage-download with the action resume.",
                ),
            )

    def make_room(self) -> None:
        """Be asked while bytes move.

        Raises:
            MakeRoomError: they must not, for a while.
        """
        if self.why_closed is not None:
            raise MakeRoomError(self.why_closed)

    def new_orders(self) -> tuple[Order, ...]:
        """Return the orders that it has followed since this was last asked, to be told to others."""
        with self._guard:
            new, self._new = tuple(self._new), []
            return new

    def settle(self) -> None:
        """Be done: what was ordered for this download is no order for the next one."""
        for kind in (OrderKind.PRIORITY, OrderKind.LIMIT):
            self._workspace.orders.lift(kind, self._model)

    # --- its turn ---

    def as_it_waits(self) -> Waiting:
        """Return how it enters the queue, with the priority that is ordered for it by now."""
        with suppress(DownloadCancelledError, DownloadPausedError, OSError):  # told when it is its turn
            self.obey()
        return self.waiting

    @contextmanager
    def turn(self, slot: Slot | None) -> Iterator[None]:
        """Use a slot, and give it back in the end."""
        self._slot = slot
        try:
            yield
        finally:
            self.give_back_turn()

    def wait_for_turn(self, wait: Callable[[float, str], None]) -> None:
        """Make sure that it has a turn.

        Args:
            wait: waits so many seconds for a reason; what it raises ends the wait.
        """
        while self._slot is None:
            slots = self._workspace.settings.download.max_concurrent_downloads
            with Line(self._workspace.queue, [self.as_it_waits()], slots) as line:
                while (call := line.call()) is None:
                    line.stand()
                    wait(POLL_SECONDS, line.where_next())
                self._slot = call.slot
            # One who was taken out of the queue was told to end, or has to enter it anew.
            self.end_if_ordered()

    def give_back_turn(self) -> None:
        """Let somebody else have the turn; without one it is no error."""
        if self._slot is not None:
            self._slot.give_back()
            self._slot = None

    # --- inside ---

    def _keep_shared_limit(self) -> None:
        settings = self._workspace.settings
        limit = limit_at(datetime.now(UTC), settings, is_serving=serving_file(settings).exists())
        self.why_closed = limit.why_closed
        self._workspace.bandwidth.limit_to(limit.bytes_per_second)

    def _note(self, order: Order) -> None:
        with self._guard:
            if order.order_id not in self._seen:
                self._seen.add(order.order_id)
                self._new.append(order)

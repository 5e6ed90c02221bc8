"""Which downloads of a state folder there are: what runs, what waits and what is paused.

What runs is told by the downloads' records and their leases, what waits by the queue, what is paused by the orders.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from availability.catalog import Priority
from availability.controls import DownloadRecord, DownloadState
from availability.download_queue import Waiting
from availability.lease import is_held
from availability.model import ModelId
from availability.orders import Order, OrderKind
from availability.transfer.meter import Progress
from availability.workspace import Workspace


class DownloadEntry(TypedDict):
    """A `ListedDownload` as plain data: one entry of `models` in `availability downloads … --json`."""

    model_id: str
    revision: str
    state: str
    position: int | None
    priority: str
    limit_mbps: float | None
    percent: float | None
    bytes_done: int | None
    bytes_total: int | None
    bytes_per_second: float | None
    seconds_left: float | None
    starts_in_seconds: float | None
    retries: int
    waiting: str | None
    reason: str | None
    download_id: str | None
    runner: str | None
    since: float


@dataclass(frozen=True, slots=True)
class ListedDownload:
    """A download that runs, waits, is paused or has ended.

    Attributes:
        model: what.
        state: where it stands.
        priority: how urgent it is.
        since: when it was asked for or, if it is paused, when that was ordered; seconds since the epoch.
        position: its place in the queue from 1, None when it does not wait in it.
        limit_mbps: the speed limit for it alone, None when there is none.
        progress: its figures, None before its plan was made.
        starts_in_seconds: when it will be its turn by what runs now tells, None when that tells nothing.
        reason: why it is paused or has ended, None otherwise.
        download_id: its id, None for a model that was paused before anybody downloaded it.
        runner: who runs it or will, None when nobody does.
    """

    model: ModelId
    state: DownloadState
    priority: str
    since: float
    position: int | None = None
    limit_mbps: float | None = None
    progress: Progress | None = None
    starts_in_seconds: float | None = None
    reason: str | None = None
    download_id: str | None = None
    runner: str | None = None

    def as_dict(self) -> DownloadEntry:
        """Return it as plain data; null where nothing is known."""
        progress = self.progress if self.progress is not None and self.progress.bytes_total else None
        moves = progress if self.state.is_active else None
        return DownloadEntry(
            model_id=self.model.repo_id,
            revision=self.model.revision,
            state=self.state.value,
            position=self.position,
            priority=self.priority,
            limit_mbps=self.limit_mbps,
            percent=round(progress.percent, 2) if progress else None,
            bytes_done=progress.bytes_done if progress else None,
            bytes_total=progress.bytes_total if progress else None,
            bytes_per_second=moves.bytes_per_second if moves else None,
            seconds_left=moves.seconds_left if moves else None,
            starts_in_seconds=self.starts_in_seconds,
            retries=self.progress.retries if self.progress else 0,
            waiting=self.progress.waiting if self.progress and self.state.is_active else None,
            reason=self.reason,
            download_id=self.download_id,
            runner=self.runner,
            since=self.since,
        )


def list_downloads(workspace: Workspace, *, ended: bool = False) -> list[ListedDownload]:
    """Return what runs, then what waits in its order, then what is paused.

    Args:
        workspace: whose state folder.
        ended: list last how the other models' latest downloads ended, too.
    """
    records = {record.model: record for record in workspace.controls.all()}
    waiting = workspace.queue.waiting()
    ids_waiting = {(one.model, one.download_id) for one in waiting}
    running = [
        record
        for record in records.values()
        if _runs(workspace, record) and (record.model, record.download_id) not in ids_waiting
    ]
    running.sort(key=lambda record: (Priority(record.priority), record.started_at))
    listed = [_running(record) for record in running]
    listed += _queued(workspace, waiting, running, records)
    seen = {one.model for one in listed}
    paused = [order for order in workspace.orders.all(OrderKind.PAUSE) if order.model not in seen]
    listed += [_paused(order, records.get(order.model)) for order in paused]
    seen |= {order.model for order in paused}
    if ended:
        listed += [_ended(record) for record in records.values() if record.model not in seen]
    return listed


def find_download(workspace: Workspace, model: ModelId) -> ListedDownload | None:
    """Return the download of a model that runs, waits or is paused; None when there is none."""
    return next((one for one in list_downloads(workspace) if one.model == model), None)


def _runs(workspace: Workspace, record: DownloadRecord) -> bool:
    return record.state.is_active and is_held(workspace.lease_path(record.model), record.download_id)


def _running(record: DownloadRecord) -> ListedDownload:
    return ListedDownload(
        model=record.model,
        state=record.state,
        priority=record.priority,
        since=record.started_at,
        limit_mbps=record.limit_mbps,
        progress=record.progress,
        download_id=record.download_id,
        runner=record.runner or None,
    )


def _queued(
    workspace: Workspace,
    waiting: Sequence[Waiting],
    running: Sequence[DownloadRecord],
    records: dict[ModelId, DownloadRecord],
) -> Iterator[ListedDownload]:
    left = sorted(
        record.progress.seconds_left for record in running if record.progress and record.progress.seconds_left
    )
    free = max(0, workspace.settings.download.max_concurrent_downloads - len(running))
    for place, one in enumerate(waiting, 1):
        record = records.get(one.model)
        ahead = place - free
        limit = workspace.orders.standing(OrderKind.LIMIT, one.model)
        yield ListedDownload(
            model=one.model,
            state=DownloadState.QUEUED,
            priority=one.priority.value,
            since=one.asked_at,
            position=place,
            limit_mbps=float(limit.value or 0) or None if limit else None,
            progress=record.progress if record else None,
            starts_in_seconds=0.0 if ahead <= 0 else left[ahead - 1] if ahead <= len(left) else None,
            download_id=one.download_id,
            runner=one.runner,
        )


def _paused(order: Order, record: DownloadRecord | None) -> ListedDownload:
    return ListedDownload(
        model=order.model,
        state=DownloadState.PAUSED,
        priority=record.priority if record else Priority.NORMAL.value,
        since=order.at,
        limit_mbps=record.limit_mbps if record else None,
        progress=record.progress if record else None,
        reason=f"paused by {order.by}",
        download_id=record.download_id if record else None,
    )


def _ended(record: DownloadRecord) -> ListedDownload:
    state = DownloadState.FAILED if record.state.is_active else record.state
    reason = "the process that ran it is gone" if record.state.is_active else record.reason
    return replace(_running(record), state=state, reason=reason, runner=record.runner or None)

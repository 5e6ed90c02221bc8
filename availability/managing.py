"""Orders for downloads: pause, resume, cancel, priority and speed, whoever runs them and wherever.

An order is written down, and followed by whoever it concerns; one for a download that only waits changes its ticket as
well. Who may give orders is who has a right to the folder; whose name an order bears is the caller's matter.
"""

from dataclasses import replace
from math import isfinite
from time import time

from availability.catalog import Catalog, Priority
from availability.controls import DownloadState
from availability.downloads import ListedDownload, find_download
from availability.errors import NoDownloadError, UsageError
from availability.events import of_control
from availability.inventory import known_ids
from availability.model import ModelId
from availability.orders import Order, OrderKind
from availability.requests import Request, requests_for
from availability.workspace import Workspace


def pause(workspace: Workspace, catalog: Catalog, model: ModelId, *, by: str) -> Order:
    """Let no byte of a model move until it is resumed, in this download or a later one.

    Raises:
        NoDownloadError: nobody downloads the model, and nobody knows it.
    """
    known = catalog.entry(model) is not None or model.repo_id in set(known_ids(workspace))
    if not known and workspace.controls.read(model) is None and find_download(workspace, model) is None:
        raise NoDownloadError(
            f"Nobody downloads {model}, and neither the store nor the catalog knows it: nothing was paused.",
            advice=("Check the spelling: an id is org/name[@revision], or an alias from the catalog.",),
        )
    order = workspace.orders.give(OrderKind.PAUSE, model, by=by)
    _take_out(workspace, model)
    return _recorded(workspace, "pause", order, by)


def resume(workspace: Workspace, model: ModelId, *, by: str) -> Order:
    """Let the bytes of a model move again; whoever asks for it next goes on where it was. Returns what stood.

    Raises:
        NoDownloadError: it was not paused.
    """
    order = workspace.orders.lift(OrderKind.PAUSE, model)
    if order is None:
        raise NoDownloadError(f"{model} is not paused.", advice=(f"Fetch it: availability downloads start {model}",))
    return _recorded(workspace, "resume", order, by)


def request_again(workspace: Workspace, catalog: Catalog, model: ModelId) -> Request:
    """Return what was last asked for of a model, so that it can go on; what the catalog says where nobody asked."""
    record = workspace.controls.read(model)
    if record is None:
        return requests_for(workspace, catalog, [str(model)])[0][0]
    return Request(model, record.selection, Priority(record.priority))


def cancel(workspace: Workspace, model: ModelId, *, by: str) -> Order:
    """End the download of a model for good, wherever it stands; what has arrived is kept.

    Raises:
        NoDownloadError: there is none.
    """
    found = _must_find(workspace, model, "cancelled")
    record = workspace.controls.read(model)
    ids = {found.download_id} | {ticket.content.download_id for ticket in workspace.queue.of(model) if ticket.content}
    told = tuple(sorted(one for one in ids if one is not None))
    order = workspace.orders.give(OrderKind.CANCEL, model, by=by, download_ids=told)
    _take_out(workspace, model)
    workspace.orders.lift(OrderKind.PAUSE, model)
    if record is not None and found.state is DownloadState.PAUSED:
        # Nobody is at work who could say so.
        reason = f"{model}: cancelled by {by}; what has arrived is kept"
        workspace.controls.write(
            replace(record, state=DownloadState.CANCELLED, reason=reason, updated_at=time(), progress=record.progress)
        )
    return _recorded(workspace, "cancel", order, by)


def parse_priority(text: str) -> Priority:
    """Return the priority that a word stands for.

    Raises:
        UsageError: it stands for none.
    """
    try:
        return Priority(text.strip().lower())
    except ValueError:
        words = ", ".join(priority.value for priority in Priority)
        raise UsageError(f"{text!r} is no priority; there are {words}.") from None


def set_priority(workspace: Workspace, model: ModelId, priority: Priority, *, by: str) -> Order:
    """Say how urgent a download is; one that waits takes its new place at once.

    Raises:
        NoDownloadError: there is none.
    """
    _must_find(workspace, model, "put forward")
    order = workspace.orders.give(OrderKind.PRIORITY, model, by=by, value=priority.value)
    for ticket in workspace.queue.of(model):
        ticket.put(priority)
    return _recorded(workspace, "set_priority", order, by)


def set_limit(workspace: Workspace, model: ModelId, mbps: float, *, by: str) -> Order:
    """Limit the speed of one download, in Mbit/s, within a second; 0 lifts its limit.

    Raises:
        NoDownloadError: there is none.
        UsageError: it is no speed.
    """
    if not (mbps >= 0 and isfinite(mbps)):
        raise UsageError(f"{mbps!r} is no speed; expected Mbit/s, 0 for no limit.")
    _must_find(workspace, model, "limited")
    order = workspace.orders.give(OrderKind.LIMIT, model, by=by, value=mbps)
    return _recorded(workspace, "set_limit", order, by)


def _must_find(workspace: Workspace, model: ModelId, what: str) -> ListedDownload:
    found = find_download(workspace, model)
    if found is None:
        raise NoDownloadError(
            f"No download of {model} runs, waits or is paused: nothing was {what}.",
            advice=("See what there is: availability downloads list",),
        )
    return found


def _take_out(workspace: Workspace, model: ModelId) -> None:
    for ticket in workspace.queue.of(model):
        ticket.tear_up()


def _recorded(workspace: Workspace, action: str, order: Order, by: str) -> Order:
    """Leave an order to the history."""
    workspace.history.record([of_control(action, order.model, actor=by)])
    return order

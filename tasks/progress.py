"""How far a download is, live in the Prefect UI: one progress artifact a model, and an event beside each update.

The server is told once a second at most, from a thread of its own: a slow or restarting server must hold up neither the
bytes nor the next model. What it misses is not made up for; the last figures are always sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event, Thread
from typing import Self, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from analytics.kinds import KINDS
from availability.download import Download
from availability.model import ModelId
from availability.transfer.meter import Progress
from tasks.events import tell_orders_followed

EVENT = KINDS["progress"].event
_SECONDS = 1.0


class ProgressBoard:
    """The downloads of a run, shown from one thread; as a context manager it ends when their last figures are told."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._shown: list[_Shown] = []
        self._ended = Event()
        self._publisher = Thread(target=copy_context().run, args=(self._publish,), name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._publisher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._publisher.join()

    @contextmanager
    def shows(self, download: Download) -> Iterator[None]:
        """Show a model's progress while the block runs; its end does not wait for the server."""
        shown = _Shown(download)
        self._shown.append(shown)
        try:
            yield
        finally:
            shown.is_over = True

    def _publish(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.wait(_SECONDS)
            for shown in [*self._shown]:
                is_over = shown.is_over  # before its figures are read: they are the last ones then
                shown.publish()
                if is_over:
                    self._shown.remove(shown)


class _Shown:
    """A download on the board."""

    def __init__(self, download: Download) -> None:
        self.is_over = False
        self._download = download
        self._artifact: UUID | None = None
        self._progress: Progress | None = None

    def publish(self) -> None:
        """Tell the server what is new."""
        progress = self._download.meter.progress()
        if progress != self._progress:
            self._progress = progress
            self._artifact = _show(self._artifact, self._download.model, progress)
            payload = _payload(self._download, progress)
            emit_event(event=EVENT, resource=resource_of(self._download.model), payload=payload)
        tell_orders_followed(self._download)


def tell_waiting(download: Download, why: str) -> None:
    """Say in the run's log where a download stands in the queue, once for each place."""
    if download.meter.waiting != why:
        get_run_logger().info("%s waits: %s", download, why)
    download.tell_waiting(why)


def _show(artifact: UUID | None, model: ModelId, progress: Progress) -> UUID | None:
    percent, words = min(progress.percent, 100.0), describe(model, progress)
    try:
        if artifact is None:
            created = create_progress_artifact(progress=percent, key=artifact_key(model), description=words)
            return cast("UUID", created)
        update_progress_artifact(artifact, progress=percent, description=words)
    except Exception as error:  # noqa: BLE001  whatever the server's client raises, the model comes first
        get_run_logger().warning("The progress of %s could not be shown: %s", model, type(error).__name__)
    return artifact


def artifact_key(model: ModelId) -> str:
    """Return the key under which the UI keeps a model's progress: lower-case letters, digits and dashes."""
    return "progress-" + "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in str(model).lower())


def resource_of(model: ModelId) -> dict[str, str]:
    """Return a model as the resource of an event."""
    return {
        "prefect.resource.id": f"availability.model.{model.repo_id}",
        "prefect.resource.name": str(model),
        "availability.revision": model.revision,
    }


def describe(model: ModelId, progress: Progress) -> str:
    """Return the figures as a line that people read."""
    parts = [
        f"**{model}** {progress.phase}",
        f"{progress.bytes_done / 1e6:,.1f} of {progress.bytes_total / 1e6:,.1f} MB",
    ]
    if progress.bytes_per_second:
        parts.append(f"{progress.bytes_per_second / 1e6:,.1f} MB/s")
    if progress.seconds_left:
        parts.append(f"{progress.seconds_left:,.0f} s left")
    if progress.retries:
        parts.append(f"retry {progress.retries}")
    if progress.waiting:
        parts.append(f"waiting: {progress.waiting}")
    return " · ".join(parts)


def _payload(download: Download, progress: Progress) -> dict[str, object]:
    return {
        "model_id": download.model.repo_id,
        "revision": download.model.revision,
        "download_id": download.download_id,
        "phase": progress.phase,
        "percent": round(progress.percent, 2),
        "bytes_done": progress.bytes_done,
        "bytes_total": progress.bytes_total,
        "bytes_fetched": progress.bytes_fetched,
        "bytes_per_second": progress.bytes_per_second,
        "seconds_left": progress.seconds_left,
        "retries": progress.retries,
        "waiting": progress.waiting,
    }

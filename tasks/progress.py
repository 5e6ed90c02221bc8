"""How far a download is, live in the Prefect UI: one progress artifact a model, and an event beside each update.

The server is told once a second at most, from a thread of its own: a slow or restarting server must not hold up the
bytes. What it misses is not made up for; the last figures are always sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event, Thread
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from availability.download import Download
from availability.model import ModelId
from availability.transfer.meter import Progress

EVENT = "model.download.progress"
_SECONDS = 1.0


@contextmanager
def progress_artifact(download: Download) -> Iterator[None]:
    """Show a model's progress while the block runs."""
    ended = Event()
    publisher = Thread(target=copy_context().run, args=(_publish, download, ended), name="progress", daemon=True)
    publisher.start()
    try:
        yield
    finally:
        ended.set()
        publisher.join()


def _publish(download: Download, ended: Event) -> None:
    artifact: UUID | None = None
    shown: Progress | None = None
    while True:
        is_last = ended.wait(_SECONDS)
        progress = download.meter.progress()
        if progress != shown:
            shown = progress
            artifact = _show(artifact, download.model, progress)
            payload = _payload(download, progress)
            emit_event(event=EVENT, resource=resource_of(download.model), payload=payload)
        if is_last:
            return


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

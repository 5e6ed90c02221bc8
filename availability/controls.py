"""Small records beside the journals: what a download is doing, and what somebody wants of it.

The process that downloads writes the first and reads the second; anybody else does it the other way round. Nothing
hangs on a process being alive: whether the one that wrote a record still is, its lease tells.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from time import time
from typing import Any

from availability.durable import write_atomically
from availability.model import ModelId
from availability.transfer.meter import Progress


class DownloadState(StrEnum):
    """Where a download stands."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether a living process is expected behind it."""
        return self in (DownloadState.QUEUED, DownloadState.DOWNLOADING, DownloadState.VERIFYING)


@dataclass(frozen=True, slots=True)
class DownloadRecord:
    """What a download is doing, or how it ended.

    Attributes:
        download_id: its id; a flow-run id under Prefect.
        repo_id: the model.
        revision: its branch, tag or commit.
        priority: `critical`, `high`, `normal` or `low`.
        state: where it stands.
        progress: its figures; None before the plan was made.
        started_at: seconds since the epoch.
        updated_at: when this record was written, seconds since the epoch.
        reason: why it failed or was cancelled, None otherwise.
    """

    download_id: str
    repo_id: str
    revision: str
    priority: str
    state: DownloadState
    progress: Progress | None
    started_at: float
    updated_at: float
    reason: str | None = None

    @property
    def model(self) -> ModelId:
        """The model and its revision."""
        return ModelId(self.repo_id, self.revision)

    @property
    def outstanding_bytes(self) -> int:
        """What it may still write."""
        return self.progress.bytes_total - self.progress.bytes_done if self.progress else 0


class Controls:
    """The records of a store: `<root>/<model>.download.json` and `<root>/<model>.cancel.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, record: DownloadRecord) -> None:
        """Replace the record of a model's download."""
        write_atomically(self._download_path(record.model), json.dumps(asdict(record)).encode())

    def read(self, model: ModelId) -> DownloadRecord | None:
        """Return the record of a model's latest download, None when there is none."""
        return _read(self._download_path(model))

    def all(self) -> Iterator[DownloadRecord]:
        """Yield the record of every model that has one."""
        for path in sorted(self._root.glob("*.download.json")):
            record = _read(path)
            if record is not None:
                yield record

    def request_cancel(self, record: DownloadRecord, *, by: str) -> None:
        """Ask the process that runs this download to end it for good."""
        request = {"download_id": record.download_id, "by": by, "at": time()}
        write_atomically(self._cancel_path(record.model), json.dumps(request).encode())

    def cancelled_by(self, model: ModelId, download_id: str) -> str | None:
        """Return who asked to cancel this very download, None when nobody did."""
        try:
            request = json.loads(self._cancel_path(model).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return str(request["by"]) if request.get("download_id") == download_id else None

    def _download_path(self, model: ModelId) -> Path:
        return self._root / f"{model.key}.download.json"

    def _cancel_path(self, model: ModelId) -> Path:
        return self._root / f"{model.key}.cancel.json"


def _read(path: Path) -> DownloadRecord | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        progress = content.pop("progress")
        state = DownloadState(content.pop("state"))
        return DownloadRecord(state=state, progress=Progress(**progress) if progress else None, **content)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None

"""Small records beside the journals: what a download is doing, written by the process that downloads.

What somebody wants of it lies beside them (`availability.orders`). Nothing hangs on a process being alive: whether the
one that wrote a record still is, its lease tells.
"""

import getpass
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from availability.durable import write_atomically
from availability.model import ModelId
from availability.selection import Selection
from availability.transfer.meter import Progress

_DOWNLOAD = ".download.json"


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
        reason: why it failed, was paused or was cancelled, None otherwise.
        selection: which of the model's files were asked for.
        runner: who runs it, for people: a user and a process, or a flow run.
        limit_mbps: the speed limit for it alone in Mbit/s, None when there is none.
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
    selection: Selection = field(default_factory=Selection)
    runner: str = ""
    limit_mbps: float | None = None

    @property
    def model(self) -> ModelId:
        """The model and its revision."""
        return ModelId(self.repo_id, self.revision)

    @property
    def outstanding_bytes(self) -> int:
        """What it may still write."""
        return self.progress.bytes_total - self.progress.bytes_done if self.progress else 0


class Controls:
    """The records of a store: `<root>/<model>.download.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder they lie in."""
        return self._root

    def write(self, record: DownloadRecord) -> None:
        """Replace the record of a model's download."""
        write_atomically(self._download_path(record.model), json.dumps(asdict(record)).encode())

    def forget(self, model: ModelId) -> None:
        """Drop the record of a model that turned out not to exist: it would be listed as missing for ever."""
        self._download_path(model).unlink(missing_ok=True)

    def read(self, model: ModelId) -> DownloadRecord | None:
        """Return the record of a model's latest download, None when there is none."""
        return _read(self._download_path(model))

    def all(self) -> Iterator[DownloadRecord]:
        """Yield the record of every model that has one."""
        for name in sorted(self.names()):
            record = self.read_file(name)
            if record is not None:
                yield record

    def names(self) -> Iterator[str]:
        """Yield the names of the files that hold a download's record."""
        try:
            names = os.listdir(self._root)  # noqa: PTH208  thousands of names: pathlib triples what each costs
        except FileNotFoundError:
            return
        yield from (name for name in names if name.endswith(_DOWNLOAD))

    def read_file(self, name: str) -> DownloadRecord | None:
        """Return the record in a file, None when it is none."""
        return _read(self._root / name)

    def _download_path(self, model: ModelId) -> Path:
        return self._root / f"{model.key}{_DOWNLOAD}"


@cache
def current_user() -> str:
    """Return who is asking, for records of what people did."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _read(path: Path) -> DownloadRecord | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        progress = content.pop("progress")
        state = DownloadState(content.pop("state"))
        chosen = {name: _plain(value) for name, value in content.pop("selection", {}).items()}
        return DownloadRecord(
            state=state,
            progress=Progress(**progress) if progress else None,
            selection=Selection(**chosen),
            **content,
        )
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _plain(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value

"""A store with one healthy model, the hub it came from, and ways to damage it and to look at it."""

import os
from dataclasses import dataclass
from pathlib import Path

from availability import open_workspace
from availability.api import ensure
from availability.catalog import load_catalog
from availability.check import Mode, Order, check_model
from availability.checks import CheckOutcome
from availability.inventory import model_status
from availability.mending import repair_model
from availability.model import FileRecord, ModelId, parse_model_id
from availability.pace import Pace
from availability.repairs import RepairOutcome
from availability.workspace import Workspace
from deployments.injections import Target
from service.faults import FaultyHub
from tests.builders import WEIGHTS

MODEL = parse_model_id("org/tiny")


@dataclass
class Shelf:
    """One installation."""

    hub: FaultyHub
    root: Path
    model: ModelId = MODEL

    def settings(self, **more: object) -> dict[str, object]:
        return {
            "storage.models_directory": self.root / "store",
            "storage.cache_directory": self.root / "state",
            "storage.min_free_gb": 0,
            "download.retry_delay_seconds": 1,
            "hub.endpoint": self.hub.url,
            **{name.replace("__", "."): value for name, value in more.items()},
        }

    def workspace(self, **more: object) -> Workspace:
        return open_workspace(self.settings(**more))

    def ensure(self) -> None:
        ensure(str(self.model), workspace=self.workspace())

    def check(self, mode: Mode = Mode.FULL, pace: Pace | None = None, **order: object) -> CheckOutcome:
        return check_model(self.workspace(), self.model, Order(mode, **{"force": True, **order}), pace)

    def repair(self, repair_type: str = "auto", **more: object) -> RepairOutcome:
        return repair_model(self.workspace(), self.model, repair_type, **more)

    def repair_with(self, **settings: object) -> RepairOutcome:
        return repair_model(self.workspace(**settings), self.model)

    def status(self) -> str:
        workspace = self.workspace()
        catalog = load_catalog(workspace.settings.catalog, required=False)
        return model_status(workspace, self.model, catalog).availability_status.value

    def file(self, path: str = WEIGHTS) -> FileRecord:
        workspace = self.workspace()
        record = workspace.records.read(self.model, workspace.store.commit(self.model))
        return next(file for file in record.listing.files if file.path == path)

    def link(self, path: str = WEIGHTS) -> Path:
        store = self.workspace().store
        return store.snapshot(self.model, store.commit(self.model)) / path

    def blob(self, path: str = WEIGHTS) -> Path:
        return self.workspace().store.blob(self.model, self.file(path))

    def target(self, path: str = WEIGHTS) -> Target:
        return Target(path, self.link(path), self.blob(path), self.file(path).size)

    def published(self, path: str = WEIGHTS) -> bytes:
        return (self.hub.library.store / self.model.folder / "blobs" / self.file(path).digest).read_bytes()

    def is_right(self) -> bool:
        workspace = self.workspace()
        record = workspace.records.read(self.model, workspace.store.commit(self.model))
        return all(self.link(f.path).read_bytes() == self.published(f.path) for f in record.listing.files)

    def flip(self, offset: int, path: str = WEIGHTS) -> None:
        """Turn a byte over as a rotting disk does: the file's time stays."""
        blob = self.blob(path)
        before = blob.stat()
        descriptor = os.open(blob, os.O_RDWR)
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, offset)[0] ^ 0xFF]), offset)
        os.close(descriptor)
        os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))

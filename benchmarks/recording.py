"""What recording costs: a whole `ensure` of intact models with and without it, and the inventory of a sweep.

The command is run as people run it, in a process of its own, up to its exit. When it records, it also leaves a shipper
behind: starting that is part of the figure; what it does is waited for after the clock, and so is no part of the next.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from analytics.spool import Spool
from availability.catalog import Catalog
from availability.model import ModelId
from availability.overview import status_all
from availability.selection import Selection
from availability.settings import load_settings
from availability.sweep import record_inventory
from availability.workspace import Workspace
from benchmarks import status
from benchmarks.ground import PROJECT, Ground
from benchmarks.harness import OURS, Contestant, Goal, Row, Sample, Trial, clock

PLACE = 61
WITHOUT = "nothing recorded"

_MODELS, _LAYERS, _PATIENCE_SECONDS = 1000, 32, 120


def _ensure(ground: Ground, *, named: bool) -> Trial:
    folder = ground.fresh("recording")
    workspace = _workspace(folder)
    names = [f"bench/shelf-{number:05}" for number in range(ground.scale.count(_MODELS))]
    with ThreadPoolExecutor(_LAYERS) as pool:
        list(pool.map(partial(_lay, workspace), enumerate(names)))
    catalog = folder / "catalog.yaml"
    catalog.write_text("version: 1\nmodels:\n" + "".join(f"  - id: {name}\n" for name in names))

    def run(_: Path, *, recording: bool) -> Sample:
        environment = {
            **os.environ,
            "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(workspace.store.root),
            "ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS": str(recording),
            "ENHANCED_MODEL_CATALOG": str(catalog),
        }
        command = [sys.executable, "-m", "enhanced_model_availability", "ensure", *(names if named else ["--all"])]
        (workspace.state / "shipper.log").unlink(missing_ok=True)  # as if the last one was more than a minute ago
        quietly = partial(subprocess.run, command, env=environment, cwd=PROJECT, check=True, capture_output=True)
        sample = clock(quietly)
        _wait_for_shipper(workspace)
        return sample

    contestants = (
        Contestant(OURS, partial(run, recording=True)),
        Contestant(WITHOUT, partial(run, recording=False)),
    )
    return Trial(contestants, warm=lambda: None, remark="the whole command, its start and its answer included")


def _lay(workspace: Workspace, numbered: tuple[int, str]) -> None:
    """Lay a model as an `ensure` would have left it."""
    number, name = numbered
    model = ModelId(name)
    status.lay(workspace, model, number)
    commit = workspace.store.commit(model)
    record = workspace.records.read(model, commit) if commit else None
    assert record is not None
    workspace.records.write(replace(record, selections=(Selection(),)))


def _wait_for_shipper(workspace: Workspace) -> None:
    spool, until = Spool(workspace.spool), time.monotonic() + _PATIENCE_SECONDS
    log = workspace.state / "shipper.log"
    while (log.exists() and not log.stat().st_size) or spool.is_tended():
        if time.monotonic() > until:
            raise RuntimeError(f"The shipper does not end; see {log}")
        time.sleep(0.05)


def _inventory(ground: Ground) -> Trial:
    folder, remark = status.shelves(ground)

    def run(_: Path) -> Sample:
        workspace = _workspace(folder)
        status_all(workspace, Catalog())
        return clock(lambda: record_inventory(workspace, Catalog(), refresh=False))

    return Trial((Contestant(OURS, run),), warm=lambda: None, remark=f"{remark}; after they were looked at")


def _workspace(folder: Path) -> Workspace:
    return Workspace(load_settings({"storage.models_directory": folder / "store"}, env={}, dotenv=None))


def _needed(ground: Ground, _: int) -> int:
    return ground.scale.count(_MODELS) * status.MODEL_BYTES


ROWS = (
    Row(
        name="recording-ensure",
        title=lambda ground: f"availability ensure of {ground.scale.count(_MODELS):,} intact models by their names",
        prepare=partial(_ensure, named=True),
        goals=(Goal(1.05, WITHOUT),),
        needs_bytes=_needed,
    ),
    Row(
        name="recording-sweep",
        title=lambda ground: f"availability ensure --all of {ground.scale.count(_MODELS):,} intact models",
        prepare=partial(_ensure, named=False),
        goals=(Goal(1.05, WITHOUT),),
        needs_bytes=_needed,
    ),
    Row(
        name="recording-inventory",
        title=lambda ground: f"the records of a sweep over {ground.scale.count(10 * _MODELS):,} models",
        prepare=_inventory,
        goals=(),
        needs_bytes=_needed,
    ),
)

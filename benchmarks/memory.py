"""How much memory a transfer takes above the idle process, for a model and for one eight times as large."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.ground import PROJECT, Ground, SourceModel
from benchmarks.harness import CLIENT, OURS, Contestant, Goal, Row, Sample, Trial
from benchmarks.machine import MIB, read_through
from benchmarks.transfer import large_model

PLACE = 30

_MOST_MIB = 64
_HUGE_FILES, _HUGE_FILE_MIB = 8, 1024
_CLEAR = Path("/proc/self/clear_refs")


def _huge_model(ground: Ground) -> SourceModel:
    size = ground.scale.mib(_HUGE_FILE_MIB)
    names = (f"model-{index + 1:05}-of-{_HUGE_FILES:05}.safetensors" for index in range(_HUGE_FILES))
    return ground.model("bench/huge", dict.fromkeys(names, size))


def _contestant(ground: Ground, name: str, model: SourceModel) -> Contestant:
    def run(folder: Path) -> Sample:
        command = [sys.executable, "-m", "benchmarks.probe", name, ground.hub, ground.tiny().repo_id, model.repo_id]
        done = subprocess.run([*command, str(folder)], cwd=PROJECT, check=True, stdout=subprocess.PIPE)
        _empty(folder)
        return Sample(**json.loads(done.stdout))

    return Contestant(name, run, None if os.access(_CLEAR, os.W_OK) else f"{_CLEAR} cannot be written here")


def _empty(folder: Path) -> None:
    """Give back the room of a run, but no inode: see `benchmarks.ground`."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
            os.truncate(path, 0)


def _prepare(make: Callable[[Ground], SourceModel], names: tuple[str, ...], ground: Ground) -> Trial:
    model = make(ground)
    contestants = tuple(_contestant(ground, name, model) for name in names)
    return Trial(contestants, lambda: read_through(model.contents), "a fresh process each run; the highest peak counts")


def _title(full_mib: int, ground: Ground) -> str:
    return f"memory above the idle process, for {ground.scale.mib(full_mib) / MIB:g} MiB"


_HUGE_MIB = _HUGE_FILES * _HUGE_FILE_MIB

ROWS = (
    Row(
        name="memory",
        title=partial(_title, 1024),
        prepare=partial(_prepare, large_model, (OURS, CLIENT)),
        goals=(Goal(_MOST_MIB),),
        needs_bytes=lambda ground, _: 2 * ground.scale.mib(1024) + MIB,
        measure="peak_mib",
        most_rounds=3,
    ),
    Row(
        name="memory-huge",
        title=partial(_title, _HUGE_MIB),
        prepare=partial(_prepare, _huge_model, (OURS,)),
        goals=(Goal(_MOST_MIB),),
        needs_bytes=lambda ground, _: 2 * ground.scale.mib(_HUGE_MIB),
        measure="peak_mib",
        most_rounds=2,
    ),
)

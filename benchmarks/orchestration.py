"""What Prefect costs: the same models through the flow and by the library alone, each in a process of its own.

Start-up is apart: both processes have imported everything, and the flow has run once, before the clock does; and what
a run costs that has nothing to do is taken off, which is beginning and ending it.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.flow_probe import LIBRARY, Figures
from benchmarks.ground import PROJECT, Ground
from benchmarks.harness import OURS, Contestant, Goal, Row, Sample, Trial

PLACE = 40

_MODELS, _MODEL_MIB = 20, 50


def probe(ground: Ground, folder: Path, name: str, parameters: Mapping[str, Any], **settings: object) -> Figures:
    """Run a flow, or the library, on an installation in a folder."""
    env = {
        **ground.server(),
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(folder / "store"),
        "ENHANCED_MODEL_HUB_ENDPOINT": ground.hub,
        "PREFECT_LOGGING_LEVEL": "ERROR",
        **{f"ENHANCED_MODEL_{variable}": str(value) for variable, value in settings.items()},
    }
    command = [sys.executable, "-m", "benchmarks.flow_probe", name, json.dumps(dict(parameters))]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _prepare(ground: Ground) -> Trial:
    size = ground.scale.mib(_MODEL_MIB)
    names = [f"bench/fleet-{number:02}" for number in range(_MODELS)]
    for number, name in enumerate(names):
        ground.model(name, {"config.json": b"{}\n", "model.safetensors": size + number})
    ground.server()
    flow, library = (_contestant(ground, name, names) for name in ("ensure_models", LIBRARY))
    remark = "each in a process of its own; not counted: imports, a first run, and what a run with nothing to do costs"
    return Trial((flow, library), lambda: None, remark)


def _contestant(ground: Ground, name: str, models: list[str]) -> Contestant:
    def run(folder: Path) -> Sample:
        figures, again = (probe(ground, folder, name, {"models": models}) for _ in range(2))
        if f"{len(models)} of {len(models)} models verified" not in figures.ended:
            raise RuntimeError(figures.ended)
        return Sample(figures.seconds - again.seconds, figures.cpu_seconds - again.cpu_seconds)

    return Contestant(OURS if name != LIBRARY else LIBRARY, run)


ROWS = (
    Row(
        name="prefect-overhead",
        title=lambda ground: (
            f"{_MODELS} models of {ground.scale.mib(_MODEL_MIB) / 1024**2:g} MiB through the flow, "
            "against the library alone"
        ),
        prepare=_prepare,
        goals=(Goal(1.25, LIBRARY),),
        needs_bytes=lambda ground, rounds: _MODELS * ground.scale.mib(_MODEL_MIB) * (1 + 2 * rounds),
        most_rounds=3,
    ),
)

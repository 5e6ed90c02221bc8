"""One download in a process of its own, for `benchmarks.memory`: prints its figures as JSON.

`python -m benchmarks.probe CONTESTANT ENDPOINT TINY_MODEL MODEL FOLDER`

Idle is what the process holds after one tiny download. The kernel then forgets its high-water mark, so that what
imports took for a moment does not count.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from huggingface_hub import snapshot_download

from availability.api import ensure
from benchmarks.contestants import CONNECTIONS, workspace_at
from benchmarks.harness import OURS, clock

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_HIGH_WATER_MARK = "5"


def main(name: str, endpoint: str, tiny: str, model: str, folder: str) -> None:
    """Measure one contestant."""
    download = _download(name, endpoint, Path(folder))
    download(tiny)
    idle_mib = resident_mib("VmRSS")
    _CLEAR.write_text(_FORGET_HIGH_WATER_MARK)
    sample = clock(lambda: download(model))
    print(json.dumps(asdict(replace(sample, peak_mib=resident_mib("VmHWM") - idle_mib))))


def _download(name: str, endpoint: str, folder: Path) -> Callable[[str], object]:
    if name == OURS:
        return partial(ensure, workspace=workspace_at(folder, endpoint))
    return partial(
        snapshot_download, endpoint=endpoint, cache_dir=folder / "store", max_workers=CONNECTIONS, token=False
    )


def resident_mib(field: str) -> float:
    """Return what this process holds (`VmRSS`), or has held at most (`VmHWM`)."""
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(fields[field].split()[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])

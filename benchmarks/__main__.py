"""`python -m benchmarks`: every row in one run, beside its goal.

A file of this folder that has `ROWS` takes part; `PLACE` says where in the table.
"""

import importlib
import json
import os
import pkgutil
import platform
import signal
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from benchmarks import __path__ as folders
from benchmarks.ground import FULL_MIB, Ground, Scale
from benchmarks.harness import Result, Row, run
from benchmarks.machine import TOUCH_BYTES, load_average
from benchmarks.table import as_data, remarks, table

_QUICK_MIB = 16
_WIDTH = 150
_ENVIRONMENT = {
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "0",
    "NO_PROXY": "*",
    "no_proxy": "*",
}
"""The client's own switches; read when it is imported, so before any row is."""


@click.command(help="Measure beside the unmodified client and curl, and print the table.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of each row; 5 when nothing is said.")
@click.option("--only", "names", multiple=True, metavar="NAME", help="Only this row; may be given again.")
@click.option("--work", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where to make the folder.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
@click.option("--size-mib", type=click.IntRange(1, FULL_MIB), help="Size of the large model, the rest to scale.")
@click.option("--events", type=click.IntRange(min=1000), help="Events of the large history; 10 million else.")
@click.option("--quick", is_flag=True, help=f"Smoke test: --size-mib {_QUICK_MIB} --rounds 1.")
def main(
    *,
    rounds: int | None,
    names: tuple[str, ...],
    work: Path | None,
    json_file: Path | None,
    size_mib: int | None,
    events: int | None,
    quick: bool,
) -> None:
    """Run the rows."""
    os.environ |= _ENVIRONMENT
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    rows = _chosen(_discover(), names)
    scale = Scale((size_mib or (_QUICK_MIB if quick else FULL_MIB)) / FULL_MIB)
    scale = replace(scale, events=events) if events else scale
    out, err = Console(highlight=False), Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if not out.is_terminal:
        out.width = _WIDTH
    with Ground(work, scale) as ground:
        results = [run(row, ground, rounds or (1 if quick else 5), err.print) for row in rows]
    _print(out, results, scale)
    if json_file:
        json_file.write_text(json.dumps(_report(results, scale), indent=2) + "\n")
    sys.exit(any(result.failed for result in results))


def _discover() -> list[Row]:
    names = [module.name for module in pkgutil.iter_modules(folders) if module.name != "__main__"]
    modules = [importlib.import_module(f"benchmarks.{name}") for name in names]
    modules.sort(key=lambda module: getattr(module, "PLACE", sys.maxsize))
    return [row for module in modules for row in getattr(module, "ROWS", ())]


def _chosen(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    known = [row.name for row in rows]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"No row is named {unknown[0]!r}; there are {', '.join(known)}.")
    return [row for row in rows if not names or row.name in names]


def _print(out: Console, results: list[Result], scale: Scale) -> None:
    out.print(table(results, judged=scale.is_full))
    for line in [*remarks(results), *_conditions(scale)]:
        out.print(line, markup=False, soft_wrap=True)


def _conditions(scale: Scale) -> list[str]:
    touched = int(TOUCH_BYTES * scale.share) // 1024**2
    care = (
        "Medians; contestants take turns in each round, each into a fresh folder. Before each run: disk at rest, "
        f"{touched} MiB of memory touched and given back (or half of what is available), sources in the page cache. "
        "In process, imports excluded."
    )
    system = f"{os.cpu_count()} processors, Python {platform.python_version()}, {platform.platform()}"
    return [care, f"{system}, load {load_average():.2f} at the end."]


def _report(results: list[Result], scale: Scale) -> dict[str, object]:
    return {"scale": scale.share, "conditions": _conditions(scale), "rows": as_data(results, judged=scale.is_full)}


if __name__ == "__main__":
    main()

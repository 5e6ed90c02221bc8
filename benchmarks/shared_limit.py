"""`python -m benchmarks.shared_limit`: do processes keep one speed limit together, and what does it cost?

A run of its own, longer than the suite's: three processes, each with a model of its own, under one limit for thirty
seconds; then the same with one of them at the end of a slow line, whose share the others may use. Bytes are counted
where they are received, by the processes themselves.
"""

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from time import perf_counter, process_time, time
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from availability.bandwidth import SharedThrottle
from availability.catalog import Catalog
from availability.ensure import Request, ensure_all
from availability.model import ModelId, parse_model_id
from availability.opening import open_workspace
from availability.selection import Selection
from availability.transfer.meter import Progress
from benchmarks.machine import MIB, load_average
from deployments.sample import write_model
from service.faults import Fault, FaultyHub

MOST_OFF = 0.05
_RUN_IN_SECONDS = 4.0
_SLOW_BYTES_PER_SECOND = 16 * 1024
"""Of each of its connections."""
_BOOKINGS = 2000
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Share:
    """What one process received in the time that counts, and what that took of the processors."""

    bytes_received: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement.

    Attributes:
        name: what is special about it.
        limit_mbps: the limit, in Mbit/s.
        seconds: how long bytes were counted.
        shares: of each process.
    """

    name: str
    limit_mbps: float
    seconds: float
    shares: tuple[Share, ...]

    @property
    def mbps(self) -> float:
        """What all received together, in Mbit/s."""
        return sum(share.bytes_received for share in self.shares) * 8 / 1e6 / self.seconds

    @property
    def off(self) -> float:
        """How far that is from the limit, as a share of it: above is positive."""
        return self.mbps / self.limit_mbps - 1


@click.command(help="Let processes share one speed limit, and say how well they keep it.")
@click.option("--processes", default=3, show_default=True, type=click.IntRange(2, 8))
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(min=5))
@click.option("--mbps", default=80.0, show_default=True, type=click.FloatRange(min=8), help="The limit.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(*, processes: int, seconds: float, mbps: float, json_file: Path | None) -> None:
    """Run the trials; the exit code says whether the limit was kept within five per cent."""
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*", "no_proxy": "*"}
    names = [f"bench/shared{number}" for number in range(processes)]
    # Alone, the fastest of them gets nearly all of it.
    size = int(mbps * 1e6 / 8 * (seconds + 2 * _RUN_IN_SECONDS))
    with tempfile.TemporaryDirectory(prefix="availability-bench-", dir=Path.cwd()) as work:
        folder = Path(work)
        for seed, name in enumerate(names):
            write_model(folder / "published", name, {"model.safetensors": size}, seed=seed)
        slow = Fault("shape", names[0], bytes_per_second=_SLOW_BYTES_PER_SECOND)
        measure = partial(_measure, folder, names, seconds, mbps)
        trials = [measure("all as fast as they may", []), measure("one at the end of a slow line", [slow])]
        cost = _together([(_book, folder / "booked") for _ in range(processes)])
    _print(trials, cost)
    if json_file:
        told = [{**asdict(trial), "mbps": trial.mbps, "off": trial.off} for trial in trials]
        json_file.write_text(json.dumps({"trials": told, "seconds_a_booking": cost}, indent=2) + "\n")
    sys.exit(any(abs(trial.off) > MOST_OFF for trial in trials))


def _measure(  # noqa: PLR0917  the first four are the same for all
    folder: Path, models: Sequence[str], seconds: float, mbps: float, name: str, faults: Sequence[Fault]
) -> Trial:
    home = Path(tempfile.mkdtemp(dir=folder))
    with FaultyHub(folder / "published", faults=faults) as hub:
        settings = {
            "storage.models_directory": str(home / "store"),
            "storage.min_free_gb": 0,
            "hub.endpoint": hub.url,
            "download.bandwidth_limit_mbps": mbps,
            "download.max_concurrent_downloads": len(models),
            "download.min_kib_per_second": 0,
        }
        shares = _together([(_receive, settings, model, seconds) for model in models])
    return Trial(name, mbps, seconds, tuple(shares))


def _receive(settings: dict[str, object], model: str, seconds: float) -> Share:
    """Ensure a model for a while, and return what came after the run-in."""
    began = time() + _RUN_IN_SECONDS
    ended = began + seconds
    seen: list[tuple[float, int, float]] = []
    stop = Event()

    def look(_: ModelId, progress: Progress) -> None:
        now = time()
        if began <= now:
            seen.append((now, progress.bytes_fetched, process_time()))
        if now >= ended:
            stop.set()

    request = Request(parse_model_id(model), Selection())
    ensure_all(open_workspace(settings), [request], catalog=Catalog(), on_progress=look, stop=stop)
    (first, before, cpu), (last, after, cpu_after) = seen[0], seen[-1]
    # The looks are some fifty milliseconds apart, and the time that counts lies between them.
    share = (ended - began) / (last - first)
    return Share(round((after - before) * share), (cpu_after - cpu) * share)


def _book(path: Path) -> float:
    """Book again and again while others do, and return how long one booking took."""
    throttle = SharedThrottle(path)
    throttle.limit_to(1e12)
    began = perf_counter()
    for _ in range(_BOOKINGS):
        throttle.book(1024)
    return (perf_counter() - began) / _BOOKINGS


def _together(calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Make calls at once, each in a process of its own; none begins before all processes are there."""
    everybody = _CONTEXT.Barrier(len(calls) + 1)
    with _CONTEXT.Pool(len(calls), initializer=everybody.wait) as pool:
        everybody.wait()
        waiting = [pool.apply_async(call[0], call[1:]) for call in calls]
        return [one.get() for one in waiting]


def _print(trials: Sequence[Trial], seconds_a_booking: Sequence[float]) -> None:
    console = Console(highlight=False)
    table = Table()
    for heading in ("trial", "limit", "received", "off", "goal", "each process", "CPU"):
        table.add_column(heading)
    for trial in trials:
        kept = "kept" if abs(trial.off) <= MOST_OFF else "MISSED"
        table.add_row(
            trial.name,
            f"{trial.limit_mbps:g} Mbit/s",
            f"{trial.mbps:.2f} Mbit/s",
            f"{trial.off:+.2%}",
            f"within {MOST_OFF:.0%}: {kept}",
            ", ".join(f"{share.bytes_received / MIB:.0f} MiB" for share in trial.shares),
            f"{sum(share.cpu_seconds for share in trial.shares):.1f} s in {trial.seconds:g} s",
        )
    console.print(table)
    micros = ", ".join(f"{seconds * 1e6:.0f}" for seconds in seconds_a_booking)
    console.print(f"A booking takes {micros} µs in each of {len(seconds_a_booking)} processes that book at once.")
    console.print(f"{os.cpu_count()} processors, load {load_average():.2f} at the end.")


if __name__ == "__main__":
    main()

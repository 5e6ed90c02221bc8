"""`python -m benchmarks.kills`: what hundreds of SIGKILLs do to a store, and what they cost in bytes.

A run of its own, longer than the suite's: models are ensured by processes that are killed at random moments, and after
each kill everything that is visible is hashed again. The figures that count are counts and bytes; they do not depend on
how busy the machine is.
"""

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import click
from rich import box
from rich.console import Console
from rich.table import Table

from availability import EnhancedModelAvailabilityError, ensure_models, open_workspace
from benchmarks.machine import MIB
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.road.honest import assert_honest
from tests.road.travellers import Traveller

MOST_SHARE = 1.05
_LEAST_KILLS, _LEAST_CUTS, _LEAST_CUT_MIB = 300, 20, 256
_LINE_MIB_PER_SECOND = 8
_KILLS_A_STORE = 10
_POLL_SECONDS = 0.002
_SETTINGS = {
    "storage.min_free_gb": 0,
    "download.max_retries": 0,
    "download.stall_seconds": 30,
    "download.min_kib_per_second": 0,
}


@dataclass(frozen=True)
class Prey:
    """A model whose download is killed.

    Attributes:
        repo_id: its name.
        what: what is special about it.
        files: content or size by path.
        within_seconds: a run is killed at a random moment of these.
    """

    repo_id: str
    what: str
    files: dict[str, bytes | int]
    within_seconds: float


_CONFIG = b'{"model_type": "llama"}\n'
PREY = (
    Prey("kills/one-large", "one file of 48 MiB", {"config.json": _CONFIG, "model.safetensors": 48 * MIB}, 1.6),
    Prey(
        "kills/shards",
        "4 files of 6 MiB and 10 small ones",
        {f"model-{index}-of-4.safetensors": 6 * MIB + index for index in range(4)}
        | {f"{index}.json": 3000 + index for index in range(10)},
        1.0,
    ),
    Prey("kills/many", "400 files of 8 KiB", {f"{index % 7}/{index}.json": 8192 + index for index in range(400)}, 0.5),
    Prey("kills/tiny", "one file of 1 MiB", {"config.json": _CONFIG, "model.safetensors": MIB + 17}, 0.3),
)


@dataclass
class Tally:
    """What came out for one model.

    Attributes:
        runs: how many were begun.
        kills: how many of them SIGKILL ended.
        stores: on how many fresh stores.
        looks: how often everything visible was hashed again.
        unverified: how often something was visible that should not be.
        unfinished: stores on which the last run, which nothing killed, did not end verified.
    """

    what: str
    runs: int = 0
    kills: int = 0
    stores: int = 0
    looks: int = 0
    unverified: int = 0
    unfinished: int = 0


@dataclass(frozen=True)
class Cuts:
    """What it cost to cut one transfer again and again.

    Attributes:
        cuts: how often SIGKILL cut it.
        needed_bytes: of the file.
        sent_bytes: by the hub, whatever became of them.
        verified: whether it ended verified, and nothing else was ever visible.
    """

    cuts: int
    needed_bytes: int
    sent_bytes: int
    verified: bool

    @property
    def share(self) -> float:
        return self.sent_bytes / self.needed_bytes


@dataclass(frozen=True)
class Place:
    """A store, the state beside it and the hub they ask."""

    hub: FaultyHub
    root: Path

    def settings(self) -> dict[str, object]:
        folders = {"storage.models_directory": self.root / "store", "storage.cache_directory": self.root / "state"}
        return {**_SETTINGS, **folders, "hub.endpoint": self.hub.url}

    def traveller(self, repo_id: str) -> Traveller:
        self.root.mkdir(exist_ok=True)
        return Traveller(self.settings(), repo_id, self.root / "answer")

    def is_honest(self) -> bool:
        try:
            assert_honest(self.root / "store", self.root / "state", self.hub)
        except AssertionError as error:
            click.echo(f"NOT HONEST: {self.root}: {error}", err=True)
            return False
        return True

    def ends_verified(self, repo_id: str) -> bool:
        try:
            (outcome,) = ensure_models([repo_id], workspace=open_workspace(self.settings()))
        except EnhancedModelAvailabilityError as error:
            click.echo(f"NOT VERIFIED: {self.root}: {error}", err=True)
            return False
        return outcome.success and self.is_honest()


def kill_at_random(hub: FaultyHub, work: Path, wanted: int, random: Random) -> dict[str, Tally]:
    """Kill runs over all models, on fresh stores again and again, until so many were killed."""
    tallies = {prey.repo_id: Tally(prey.what) for prey in PREY}
    while sum(tally.kills for tally in tallies.values()) < wanted:
        for prey in PREY:
            tally = tallies[prey.repo_id]
            tally.stores += 1
            _kill_on_one_store(
                Place(hub, work / f"{prey.repo_id.rpartition('/')[2]}-{tally.stores}"), prey, tally, random
            )
        killed = sum(tally.kills for tally in tallies.values())
        click.echo(f"  {killed} of {wanted} kills", err=True)
    return tallies


def _kill_on_one_store(place: Place, prey: Prey, tally: Tally, random: Random) -> None:
    for _ in range(_KILLS_A_STORE):
        traveller = place.traveller(prey.repo_id)
        ended = traveller.wait(random.uniform(0, prey.within_seconds))
        tally.runs += 1
        tally.kills += traveller.kill()
        tally.looks += 1
        tally.unverified += not place.is_honest()
        if ended:
            break
    tally.unfinished += not place.ends_verified(prey.repo_id)


def cut_again_and_again(store: Path, work: Path, count: int, size_mib: int, random: Random) -> Cuts:
    """Kill one transfer whenever the hub has sent another random share of the file, then let it come to its end."""
    repo_id, size = "kills/cut", size_mib * MIB
    write_model(store, repo_id, {"model.safetensors": size})
    line = Fault("shape", r"/resolve/", bytes_per_second=_LINE_MIB_PER_SECOND * MIB)
    with FaultyHub(store, faults=[line]) as hub:
        place, honest, cuts = Place(hub, work / "cut"), True, 0
        # Not in the last part of it: a run that ends before it is cut would be no cut.
        for moment in sorted(random.uniform(0.01, 0.95) for _ in range(count)):
            traveller = place.traveller(repo_id)
            while hub.bytes_sent("/resolve/") < moment * size and traveller.is_alive:
                time.sleep(_POLL_SECONDS)
            cuts += traveller.kill()
            honest &= place.is_honest()
            click.echo(f"  cut {cuts} at {hub.bytes_sent('/resolve/') / size:.0%}", err=True)
        verified = place.ends_verified(repo_id)
        return Cuts(cuts, size, hub.bytes_sent("/resolve/"), honest and verified)


def _table(tallies: dict[str, Tally], cuts: Cuts) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_footer=True)
    total = Counter[str]()
    for tally in tallies.values():
        total.update({name: value for name, value in asdict(tally).items() if name != "what"})
    made.add_column("killed at random", footer="in all")
    for header in ("kills", "runs", "stores", "looks", "unverified", "unfinished"):
        made.add_column(header, str(total[header]), justify="right")
    for tally in tallies.values():
        figures = (tally.kills, tally.runs, tally.stores, tally.looks, tally.unverified, tally.unfinished)
        made.add_row(tally.what, *map(str, figures))
    made.caption = (
        f"{cuts.cuts} cuts of one file of {cuts.needed_bytes / MIB:.0f} MiB at {_LINE_MIB_PER_SECOND} MiB/s a "
        f"connection: sent {cuts.sent_bytes / MIB:.1f} MiB, {cuts.share:.3f} of what is needed "
        f"(goal: <= {MOST_SHARE}), {'verified' if cuts.verified else 'NOT VERIFIED'}"
    )
    made.caption_justify = "left"
    return made


@contextmanager
def _work_folder(parent: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="availability-kills-", dir=parent) as made:
        yield Path(made)


@click.command(help="Kill downloads at random moments, look at what is visible, and print what it cost.")
@click.option("--kills", type=click.IntRange(min=1), default=_LEAST_KILLS, show_default=True, help="Random kills.")
@click.option("--cuts", type=click.IntRange(min=1), default=_LEAST_CUTS, show_default=True, help="Cuts of one file.")
@click.option("--cut-mib", type=click.IntRange(min=1), default=_LEAST_CUT_MIB, show_default=True, help="Its size.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the moments.")
@click.option("--work", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where to make the folder.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
def main(*, kills: int, cuts: int, cut_mib: int, seed: int, work: Path | None, json_file: Path | None) -> None:
    """Run both trials; the exit code says whether every goal was met."""
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*", "no_proxy": "*"}
    random = Random(seed)
    with _work_folder(work) as folder:
        store = folder / "published"
        for prey in PREY:
            write_model(store, prey.repo_id, prey.files)
        line = Fault("shape", r"/resolve/", bytes_per_second=_LINE_MIB_PER_SECOND * MIB)
        with FaultyHub(store, faults=[line]) as hub:
            tallies = kill_at_random(hub, folder, kills, random)
        cost = cut_again_and_again(store, folder, cuts, cut_mib, random)
    Console(highlight=False).print(_table(tallies, cost))
    if json_file:
        figures = {"killed": {name: asdict(tally) for name, tally in tallies.items()}, "cut": asdict(cost)}
        json_file.write_text(json.dumps(figures | {"seed": seed, "share": cost.share}, indent=2) + "\n")
    wrong = sum(tally.unverified + tally.unfinished for tally in tallies.values())
    sys.exit(bool(wrong) or not cost.verified or cost.share > MOST_SHARE)


if __name__ == "__main__":
    main()

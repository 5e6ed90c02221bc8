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
from benchmarks.machine import MIB, load_average
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.road.honest import assert_honest
from tests.road.travellers import Traveller

MOST_SHARE = 1.05
_LEAST_KILLS, _LEAST_CUTS, _LEAST_CUT_MIB = 300, 20, 256
_LINE_MIB_PER_SECOND = 8
_KILLS_A_STORE = 10
_WIDTH = 120
_POLL_SECONDS = 0.02
_JITTER_SECONDS = 0.05
_GOAL_CONNECTIONS, _DEFAULT_CONNECTIONS = 8, 16
"""The goal comes from a trial with eight; sixteen is what a user gets, and twice as much is under way at each cut."""
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
_CUT = "kills/cut"
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
        connections: how many it may hold.
        cuts: how often SIGKILL cut it.
        needed_bytes: of the file.
        sent_bytes: by the hub, whatever became of them.
        verified: whether it ended verified, and nothing else was ever visible.
        load: the machine's, at the end; on a busy one more lies unread when a process dies.
    """

    connections: int
    cuts: int
    needed_bytes: int
    sent_bytes: int
    verified: bool
    load: float

    @property
    def share(self) -> float:
        return self.sent_bytes / self.needed_bytes


@dataclass(frozen=True)
class Place:
    """A store, the state beside it and the hub they ask."""

    hub: FaultyHub
    root: Path
    connections: int = _DEFAULT_CONNECTIONS

    def settings(self) -> dict[str, object]:
        folders = {"storage.models_directory": self.root / "store", "storage.cache_directory": self.root / "state"}
        return {**_SETTINGS, **folders, "hub.endpoint": self.hub.url, "download.connections": self.connections}

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


def cut_again_and_again(place: Place, size: int, count: int, random: Random) -> Cuts:
    """Kill one transfer at a random moment in each of so many stretches of it, then let it come to its end."""
    hub, honest, cuts = place.hub, True, 0
    hub.reset_counters()
    for index in range(count):
        moment = (index + random.random()) / (count + 1)
        traveller = place.traveller(_CUT)
        while hub.bytes_sent("/resolve/") < moment * size and traveller.is_alive:
            time.sleep(_POLL_SECONDS)
        # Or it would always be the moment in which the hub has just sent something.
        time.sleep(random.uniform(0, _JITTER_SECONDS))
        cuts += traveller.kill()
        honest &= place.is_honest()
    verified = place.ends_verified(_CUT)
    return Cuts(place.connections, cuts, size, hub.bytes_sent("/resolve/"), honest and verified, load_average())


def _killed(tallies: dict[str, Tally]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_footer=True)
    total = Counter[str]()
    for tally in tallies.values():
        total.update({name: value for name, value in asdict(tally).items() if name != "what"})
    made.add_column("killed at random moments", footer="in all", no_wrap=True)
    for header in ("kills", "runs", "stores", "looks", "unverified", "unfinished"):
        made.add_column(header, str(total[header]), justify="right")
    for tally in tallies.values():
        figures = (tally.kills, tally.runs, tally.stores, tally.looks, tally.unverified, tally.unfinished)
        made.add_row(tally.what, *map(str, figures))
    return made


def _cut(costs: list[Cuts]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    made.add_column(f"one file at {_LINE_MIB_PER_SECOND} MiB/s a connection", no_wrap=True)
    for header in ("cuts", "needed MiB", "sent MiB", "sent / needed", "goal", "load", ""):
        made.add_column(header, justify="right")
    for cost in costs:
        judged = cost.connections == _GOAL_CONNECTIONS
        made.add_row(
            f"{cost.connections} connections",
            str(cost.cuts),
            f"{cost.needed_bytes / MIB:.0f}",
            f"{cost.sent_bytes / MIB:.1f}",
            f"{cost.share:.3f}",
            f"<= {MOST_SHARE}" if judged else "",
            f"{cost.load:.1f}",
            "verified" if cost.verified else "NOT VERIFIED",
        )
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
        write_model(store, _CUT, {"model.safetensors": cut_mib * MIB})
        line = Fault("shape", r"/resolve/", bytes_per_second=_LINE_MIB_PER_SECOND * MIB)
        with FaultyHub(store, faults=[line]) as hub:
            costs = [
                cut_again_and_again(Place(hub, folder / f"cut-{connections}", connections), cut_mib * MIB, cuts, random)
                for connections in (_GOAL_CONNECTIONS, _DEFAULT_CONNECTIONS)
            ]
            tallies = kill_at_random(hub, folder, kills, random)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(_cut(costs), _killed(tallies), sep="\n\n")
    if json_file:
        figures = {"seed": seed, "killed": {name: asdict(tally) for name, tally in tallies.items()}}
        figures["cut"] = [{**asdict(cost), "share": cost.share} for cost in costs]
        json_file.write_text(json.dumps(figures, indent=2) + "\n")
    wrong = sum(tally.unverified + tally.unfinished for tally in tallies.values())
    wrong += sum(not cost.verified for cost in costs)
    sys.exit(bool(wrong) or costs[0].share > MOST_SHARE)


if __name__ == "__main__":
    main()

"""What a bad first source costs, and what a second good one brings: completing the large model from several sources."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from availability.api import ensure
from benchmarks.contestants import workspace_at
from benchmarks.ground import Ground, SourceModel
from benchmarks.harness import OURS, Contestant, Goal, Row, Sample, Trial, clock
from benchmarks.machine import MIB, read_through
from benchmarks.transfer import large_model, warm_up

PLACE = 30

HEALTHY, ONE = "healthy first source", "one source"
_SLOW_MIB_PER_SECOND = 1
_LIMITED_MIB_PER_SECOND = 60


def _from(name: str, model: SourceModel, hub: str, mirror: str | None) -> Contestant:
    """Complete the model with a mirror that is asked first and a hub behind it; nothing is known of either before."""

    def run(folder: Path) -> Sample:
        sources = {} if mirror is None else {"sources.mirrors": mirror}
        workspace = workspace_at(folder, hub, **sources)
        return clock(lambda: ensure(model.repo_id, workspace=workspace))

    return Contestant(name, run)


def _against_healthy(first: Callable[[Ground, SourceModel], str], remark: str) -> Callable[[Ground], Trial]:
    def prepare(ground: Ground) -> Trial:
        model = large_model(ground)
        hub, mirror = ground.hub, ground.serve(number=1)
        warm_up(ground, hub)
        contestants = _from(OURS, model, hub, first(ground, model)), _from(HEALTHY, model, hub, mirror)
        return Trial(contestants, lambda: read_through(model.contents), remark)

    return prepare


def _dead(ground: Ground, model: SourceModel) -> str:
    del ground, model
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _slow(ground: Ground, model: SourceModel) -> str:
    del model
    return ground.serve("--mib-per-second", str(_SLOW_MIB_PER_SECOND))


def _lying(ground: Ground, model: SourceModel) -> str:
    """Serve the same listing and names, and one byte turned over in the middle of each large file."""
    store = ground.work / "lying"
    if not store.exists():
        shutil.copytree(ground.store, store, symlinks=True)
        for content in model.contents:
            if content.stat().st_size > MIB:
                _turn_over(store / content.relative_to(ground.store.resolve()), content.stat().st_size // 2)
    return ground.serve(store=store)


def _turn_over(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def _prepare_limited(ground: Ground) -> Trial:
    model = large_model(ground)
    warm_up(ground, ground.hub)
    limit = "--line-mib-per-second", str(_LIMITED_MIB_PER_SECOND)
    hub, mirror = ground.serve(*limit), ground.serve(*limit, number=1)
    contestants = _from(OURS, model, hub, mirror), _from(ONE, model, hub, None)
    remark = f"{_LIMITED_MIB_PER_SECOND} MiB/s each, whatever the number of connections"
    return Trial(contestants, lambda: read_through(model.contents), remark)


def _room(ground: Ground, rounds: int) -> int:
    return (2 + 2 * rounds) * (ground.scale.mib(1024) + MIB)


def _row(name: str, title: str, first: Callable[[Ground, SourceModel], str], most: float, remark: str) -> Row:
    return Row(name, lambda _: title, _against_healthy(first, remark), (Goal(most, HEALTHY),), _room)


ROWS = (
    _row("first-dead", "the first source is dead", _dead, 1.15, "nobody listens at its port"),
    _row("first-slow", "the first source is slow", _slow, 1.3, f"{_SLOW_MIB_PER_SECOND} MiB/s a connection"),
    _row("first-lying", "the first source lies", _lying, 1.3, "one byte in the middle of each large file is wrong"),
    Row(
        "two-sources",
        lambda _: "two sources of a limited rate",
        _prepare_limited,
        (Goal(0.6, ONE),),
        _room,
        most_rounds=3,
    ),
)

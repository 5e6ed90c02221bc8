"""How fast damage is found, and mended: beside the client's own check, and beside fetching everything again."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random

from huggingface_hub import HfApi, snapshot_download

from availability.api import ensure
from availability.check import Order, check_model
from availability.direct import Content, aligned_buffer
from availability.mending import repair_model
from availability.model import ModelId
from availability.pace import Pace
from availability.workspace import Workspace
from benchmarks.contestants import CONNECTIONS, workspace_at
from benchmarks.ground import Ground, SourceModel
from benchmarks.harness import CLIENT, OURS, Contestant, Goal, Row, Sample, Trial, clock
from benchmarks.machine import MIB, read_through
from benchmarks.transfer import large_model

PLACE = 40

VERIFY, READ_ONLY = "verify_repo_checksums", "reading only"
_FLIPS = 10
_MOST_BYTES_SHARE = 0.011
_PIECE_BYTES = 4 * MIB


def _prepare_scrub(ground: Ground, *, from_memory: bool) -> Trial:
    model, workspace = _ensured(ground, "scrub")
    contents = _contents(workspace, model)
    contestants = [_scrub(workspace, model, from_memory=from_memory), _verify(workspace, model, ground)]
    if from_memory:
        return Trial(tuple(contestants), partial(read_through, contents), "both read through the page cache")
    contestants.append(_read_only(contents))
    remark = "pages dropped before each; ours and the reading alone go past the page cache"
    return Trial(tuple(contestants), partial(_forget, contents), remark)


def _prepare_repair(ground: Ground) -> Trial:
    model, workspace = _ensured(ground, "repair")
    contents = _contents(workspace, model)
    most = f"at most {_MOST_BYTES_SHARE:.1%} of the bytes fetched, else the row fails"
    contestants = (_repair(workspace, model, contents, judged=ground.scale.is_full), _download(model, ground))
    return Trial(contestants, partial(read_through, contents), f"found, mended and looked at again; {most}")


def _ensured(ground: Ground, name: str) -> tuple[SourceModel, Workspace]:
    model = large_model(ground)
    workspace = workspace_at(ground.fresh(name), ground.hub)
    ensure(model.repo_id, workspace=workspace)
    return model, workspace


def _contents(workspace: Workspace, model: SourceModel) -> list[Path]:
    blobs = workspace.store.folder(ModelId(model.repo_id)) / "blobs"
    return sorted(blobs.iterdir(), key=lambda path: -path.stat().st_size)


def _scrub(workspace: Workspace, model: SourceModel, *, from_memory: bool) -> Contestant:
    def run(_: Path) -> Sample:
        outcomes = []
        order, pace = Order(force=True), Pace(from_memory=from_memory)
        sample = clock(lambda: outcomes.append(check_model(workspace, ModelId(model.repo_id), order, pace)))
        if not outcomes[0].is_intact or outcomes[0].bytes_read != model.size_bytes:
            raise RuntimeError(f"not a whole and clean check: {outcomes[0].as_dict()}")
        return sample

    return Contestant(OURS, run)


def _verify(workspace: Workspace, model: SourceModel, ground: Ground) -> Contestant:
    api = HfApi(endpoint=ground.hub, token=False)

    def verify() -> None:
        seen = api.verify_repo_checksums(model.repo_id, cache_dir=workspace.store.root)
        if seen.mismatches or seen.missing_paths:
            raise RuntimeError(f"the client sees damage: {seen}")

    return Contestant(VERIFY, lambda _: clock(verify))


def _read_only(contents: Iterable[Path]) -> Contestant:
    """Read the same bytes the same way, and do nothing with them: what the disk gives one reader."""

    def read() -> None:
        view = aligned_buffer(_PIECE_BYTES)
        for path in contents:
            content = Content(path, from_memory=False)
            for offset in range(0, content.size, _PIECE_BYTES):
                content.read(view, offset)
            content.close()

    return Contestant(READ_ONLY, lambda _: clock(read))


def _repair(workspace: Workspace, model: SourceModel, contents: list[Path], *, judged: bool) -> Contestant:
    random = Random(1)

    def run(_: Path) -> Sample:
        for _number in range(_FLIPS):
            _flip(random.choice([path for path in contents if path.stat().st_size > MIB] or contents), random)
        outcomes = []
        sample = clock(lambda: outcomes.append(repair_model(workspace, ModelId(model.repo_id), from_memory=True)))
        fetched = outcomes[0].bytes_fetched
        if not outcomes[0].success or (judged and fetched > _MOST_BYTES_SHARE * model.size_bytes):
            raise RuntimeError(f"{fetched} bytes fetched: {outcomes[0].as_dict()}")
        return sample

    return Contestant(OURS, run)


def _download(model: SourceModel, ground: Ground) -> Contestant:
    cache = ground.fresh("forced")
    fetch: Callable[..., str] = partial(
        snapshot_download,
        model.repo_id,
        endpoint=ground.hub,
        cache_dir=cache,
        max_workers=CONNECTIONS,
        token=False,
    )
    fetch()
    return Contestant(CLIENT, lambda _: clock(lambda: fetch(force_download=True)))


def _flip(path: Path, random: Random) -> None:
    offset = random.randrange(path.stat().st_size)
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, offset)[0] ^ 0xFF]), offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(paths: Iterable[Path]) -> None:
    """Let the pages go, so that the disk has to be read."""
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _title(what: str) -> Callable[[Ground], str]:
    return lambda ground: f"{what} of {ground.scale.mib(1024) / MIB:g} MiB"


def _room(copies: int) -> Callable[[Ground, int], int]:
    return lambda ground, _: copies * ground.scale.mib(1024) + MIB


ROWS = (
    Row(
        name="scrub-memory",
        title=_title("check, from memory,"),
        prepare=partial(_prepare_scrub, from_memory=True),
        goals=(Goal(0.25, VERIFY),),
        needs_bytes=_room(2),
    ),
    Row(
        name="scrub-disk",
        title=_title("check, from the disk,"),
        prepare=partial(_prepare_scrub, from_memory=False),
        goals=(),
        needs_bytes=_room(2),
    ),
    Row(
        name="repair",
        title=_title(f"repair of {_FLIPS} flipped bytes"),
        prepare=_prepare_repair,
        goals=(Goal(0.12, CLIENT),),
        needs_bytes=_room(4),
    ),
)

"""How fast a model comes: few large files, many small ones, and a long line."""

from collections.abc import Callable, Iterator

from benchmarks.contestants import client, curl, ours, writing
from benchmarks.ground import LATENCY_MS, LINE_MIB_PER_SECOND, Ground, SourceModel
from benchmarks.harness import CLIENT, CURL, Goal, Row, Trial
from benchmarks.machine import MIB, read_through
from deployments.sample import Content

PLACE = 10

_SMALL_BYTES = 20 * 1024
_LARGE_FILES, _LARGE_SMALL_FILES = 4, 20
_FILES, _FILE_OVERHEAD_BYTES = 2000, 16 * 1024
_LINE_MIB = 256


def large_model(ground: Ground) -> SourceModel:
    """Return the model of few large files and some small ones."""
    size = ground.scale.mib(1024 // _LARGE_FILES)
    files: dict[str, Content] = {
        f"model-{index + 1:05}-of-{_LARGE_FILES:05}.safetensors": size for index in range(_LARGE_FILES)
    }
    files |= {f"tokenizer/part-{index:02}.json": _SMALL_BYTES for index in range(_LARGE_SMALL_FILES)}
    return ground.model("bench/large", files)


def _small_model(ground: Ground) -> SourceModel:
    count = ground.scale.count(_FILES)
    return ground.model("bench/small", {f"parts/{index:05}.json": _SMALL_BYTES for index in range(count)})


def _line_model(ground: Ground) -> SourceModel:
    return ground.model("bench/line", {"model.safetensors": ground.scale.mib(_LINE_MIB)})


def _prepare_large(ground: Ground) -> Trial:
    model = large_model(ground)
    warm_up(ground, ground.hub)
    contestants = (ours(model, ground.hub), client(model, ground.hub), curl(model, ground.hub), writing(model))
    return Trial(contestants, lambda: read_through(model.contents), "the client and curl leave flushing to the system")


def _prepare_small(ground: Ground) -> Trial:
    model = _small_model(ground)
    warm_up(ground, ground.hub)
    return Trial((ours(model, ground.hub), client(model, ground.hub)), lambda: read_through(model.contents))


def _prepare_line(ground: Ground) -> Trial:
    model = _line_model(ground)
    warm_up(ground, ground.slow_hub)
    contestants = (ours(model, ground.slow_hub), client(model, ground.slow_hub))
    return Trial(contestants, lambda: read_through(model.contents), "few rounds, because the client's are long")


def warm_up(ground: Ground, endpoint: str) -> None:
    """Let everybody load what they load late."""
    tiny = ground.tiny()
    for contestant in (ours(tiny, endpoint), client(tiny, endpoint)):
        contestant.run(ground.fresh("warm-up"))


def _room(source_bytes: Callable[[Ground], int], contestants: int) -> Callable[[Ground, int], int]:
    return lambda ground, rounds: source_bytes(ground) * (1 + contestants * rounds)


def _rows() -> Iterator[Row]:
    yield Row(
        name="large-files",
        title=lambda ground: (
            f"{_LARGE_FILES} x {ground.scale.mib(1024 // _LARGE_FILES) / MIB:g} MiB "
            f"and {_LARGE_SMALL_FILES} small files"
        ),
        prepare=_prepare_large,
        goals=(Goal(0.45, CLIENT), Goal(1.0, CURL)),
        needs_bytes=_room(lambda ground: ground.scale.mib(1024) + MIB, contestants=4),
    )
    yield Row(
        name="small-files",
        title=lambda ground: f"{ground.scale.count(_FILES):,} x {_SMALL_BYTES // 1024} KiB",
        prepare=_prepare_small,
        goals=(Goal(0.18, CLIENT),),
        needs_bytes=_room(
            lambda ground: ground.scale.count(_FILES) * (_SMALL_BYTES + _FILE_OVERHEAD_BYTES), contestants=2
        ),
    )
    yield Row(
        name="slow-line",
        title=lambda ground: (
            f"one file of {ground.scale.mib(_LINE_MIB) / MIB:g} MiB over {LATENCY_MS} ms "
            f"and {LINE_MIB_PER_SECOND} MiB/s a connection"
        ),
        prepare=_prepare_line,
        goals=(Goal(0.16, CLIENT),),
        needs_bytes=_room(lambda ground: ground.scale.mib(_LINE_MIB), contestants=2),
        most_rounds=3,
    )


ROWS = tuple(_rows())

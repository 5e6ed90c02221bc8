"""How long it takes to say how available many models are: from the disk, from the cache, and to a hundred at once.

The shelves are laid by hand, for ten thousand downloads would take the time and say nothing here: real blobs, links,
references, records of proofs and of finished downloads. Nothing is hashed and no hub runs in any of the rows.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from threading import Barrier

from availability.catalog import Catalog
from availability.controls import DownloadRecord, DownloadState
from availability.model import Commit, FileRecord, Listing, ModelId
from availability.overview import Overview, status_all
from availability.probes import SETTLED_SECONDS
from availability.record import Proof, SnapshotRecord
from availability.settings import load_settings
from availability.workspace import Workspace
from benchmarks.ground import Ground
from benchmarks.harness import OURS, Contestant, Goal, Row, Sample, Trial, clock
from deployments.sample import write_model

PLACE = 25

_MODELS = 10_000
_WEIGHTS_BYTES = 4096
MODEL_BYTES = 160 * 1024  # three small files, their links, folders and records, each on blocks of its own
_THREADS = 100
_PAGE_SIZE = 20
_LAYERS = 32
_MOST_UNANSWERED = 0.01

_CATALOG = Catalog()


def _disk(ground: Ground) -> Trial:
    folder, remark = shelves(ground)

    def run(_: Path) -> Sample:
        # A workspace of its own: what a process knows that has just begun.
        workspace = _workspace(folder)
        return clock(lambda: _check(ground, status_all(workspace, _CATALOG)))

    return _trial(folder, run, f"{remark}; a new workspace each time, with the index that another one left")


def _cache(ground: Ground) -> Trial:
    folder, remark = shelves(ground)
    workspace = _workspace(folder)
    status_all(workspace, _CATALOG)

    def run(_: Path) -> Sample:
        return clock(lambda: _check(ground, status_all(workspace, _CATALOG)))

    return _trial(
        folder, run, f"{remark}; the answer was {status_all(workspace, _CATALOG).age_seconds:.1f} s old at first"
    )


def _threads(ground: Ground) -> Trial:
    folder, remark = shelves(ground)
    workspace = _workspace(folder)
    status_all(workspace, _CATALOG)

    def run(_: Path) -> Sample:
        seconds: list[float] = []
        start = Barrier(_THREADS)

        def ask(number: int) -> None:
            start.wait()
            began = time.perf_counter()
            overview = status_all(workspace, _CATALOG, page=number + 1, page_size=_PAGE_SIZE)
            answer = overview.as_dict(), [status.as_dict() for status in overview.statuses]
            if answer[0]["available"] == ground.scale.count(_MODELS):
                seconds.append(time.perf_counter() - began)

        def ask_all() -> None:
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(ask, range(_THREADS)))

        cpu_seconds = clock(ask_all).cpu_seconds
        if len(seconds) < _THREADS * (1 - _MOST_UNANSWERED):
            raise RuntimeError(f"only {len(seconds)} of {_THREADS} were answered")
        return Sample(mean(seconds), cpu_seconds)

    return _trial(folder, run, f"{remark}; the mean of {_THREADS} threads, each a page of {_PAGE_SIZE} and the summary")


def _trial(folder: Path, run: Callable[[Path], Sample], remark: str) -> Trial:
    def warm() -> None:
        # Brings names and signatures into memory, and the index up to date.
        status_all(_workspace(folder), _CATALOG, refresh=True)

    return Trial((Contestant(OURS, run),), warm, remark)


_LAID: dict[Path, tuple[Path, str]] = {}


def shelves(ground: Ground) -> tuple[Path, str]:
    """Lay the shelves, once for all rows."""
    if ground.work not in _LAID:
        folder, start = ground.fresh("shelves"), time.perf_counter()
        count = ground.scale.count(_MODELS)
        workspace = _workspace(folder)
        with ThreadPoolExecutor(_LAYERS) as pool:  # most of it is waiting for the disk
            list(pool.map(lambda number: lay(workspace, ModelId(f"bench/shelf-{number:05}"), number), range(count)))
        time.sleep(SETTLED_SECONDS)
        status_all(_workspace(folder), _CATALOG)
        remark = f"{count:,} models of three files laid and looked through in {time.perf_counter() - start:.0f} s"
        _LAID[ground.work] = folder, remark
    return _LAID[ground.work]


def lay(workspace: Workspace, model: ModelId, number: int) -> None:
    commit = Commit(
        write_model(
            workspace.store.root,
            model.repo_id,
            {
                "config.json": b'{"model_type": "llama", "number": %d}\n' % number,
                "README.md": b"# Model %d\n" % number,
                "model.safetensors": _WEIGHTS_BYTES + number,
            },
        )
    )
    files: list[FileRecord] = []
    proofs: dict[str, Proof] = {}
    for path in sorted(workspace.store.snapshot(model, commit).iterdir()):
        digest, signature = path.resolve().name, workspace.store.signature(path)
        assert signature
        files.append(FileRecord(path.name, signature.size, digest[:40], digest if len(digest) == 64 else None))
        proofs[path.name] = Proof(signature, time.time())
    listing = Listing(model, commit, tuple(files), "laid by hand")
    workspace.records.write(SnapshotRecord(listing, wanted=frozenset(proofs), proofs=proofs))
    now = time.time()
    done = DownloadRecord("laid", model.repo_id, model.revision, "normal", DownloadState.COMPLETED, None, now, now)
    workspace.controls.write(done)


def _workspace(folder: Path) -> Workspace:
    return Workspace(load_settings({"storage.models_directory": folder / "store"}, env={}, dotenv=None))


def _check(ground: Ground, overview: Overview) -> None:
    if overview.as_dict()["available"] != ground.scale.count(_MODELS):
        raise RuntimeError(f"not all are available: {overview.as_dict()}")


def _needed(ground: Ground, _: int) -> int:
    return 0 if ground.work in _LAID else ground.scale.count(_MODELS) * MODEL_BYTES


ROWS = (
    Row(
        name="status-disk",
        title=lambda ground: f"status of {ground.scale.count(_MODELS):,} models from the disk",
        prepare=_disk,
        goals=(Goal(0.25),),
        needs_bytes=_needed,
    ),
    Row(
        name="status-cache",
        title=lambda ground: f"status of {ground.scale.count(_MODELS):,} models from the cache",
        prepare=_cache,
        goals=(Goal(0.05),),
        needs_bytes=_needed,
    ),
    Row(
        name="status-threads",
        title=lambda ground: f"{_THREADS} threads asking at once about {ground.scale.count(_MODELS):,} models, mean",
        prepare=_threads,
        goals=(Goal(0.1),),
        needs_bytes=_needed,
    ),
)

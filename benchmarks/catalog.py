"""How long it takes to find that a catalog of many models needs nothing: the hub is out of reach meanwhile."""

import socket
import time
from pathlib import Path

from huggingface_hub import snapshot_download

from availability.api import ensure_models
from benchmarks.contestants import workspace_at
from benchmarks.ground import Ground
from benchmarks.harness import CLIENT, OURS, Contestant, Goal, Row, Sample, Trial, clock

PLACE = 20

_MODELS = 1000
_WEIGHTS_BYTES = 4096
_MODEL_BYTES = 128 * 1024  # three small files, their links and records, in the source and in the store


def _prepare(ground: Ground) -> Trial:
    repo_ids = [f"bench/known-{index:04}" for index in range(ground.scale.count(_MODELS))]
    for index, repo_id in enumerate(repo_ids):
        config = b'{"model_type": "llama", "number": %d}\n' % index
        readme = b"# Model %d\n" % index
        ground.model(repo_id, {"config.json": config, "README.md": readme, "model.safetensors": _WEIGHTS_BYTES + index})
    folder = ground.fresh("known-catalog")
    catalog = folder / "catalog.yaml"
    catalog.write_text("version: 1\nmodels:\n" + "".join(f"  - id: {repo_id}\n" for repo_id in repo_ids))
    start = time.perf_counter()
    _ensure(folder, ground.hub)
    remark = f"built by {len(repo_ids):,} real ensures in {time.perf_counter() - start:.0f} s; catalog read in each run"
    return Trial((_ours(folder), _client(folder, repo_ids)), lambda: None, remark)


def _ours(built: Path) -> Contestant:
    def run(_: Path) -> Sample:
        with socket.socket() as unheard:  # bound, and not listened at
            unheard.bind(("127.0.0.1", 0))
            return _ensure(built, f"http://127.0.0.1:{unheard.getsockname()[1]}")

    return Contestant(OURS, run)


def _client(built: Path, repo_ids: list[str]) -> Contestant:
    """Ask the client for each model of the same store; it looks whether there is a folder, no more."""

    def ask() -> None:
        for repo_id in repo_ids:
            snapshot_download(repo_id, cache_dir=built / "store", local_files_only=True)

    return Contestant(CLIENT, lambda _: clock(ask))


def _ensure(folder: Path, endpoint: str) -> Sample:
    """Ensure the whole catalog; a model that is not available is an error."""
    workspace = workspace_at(folder, endpoint, catalog=folder / "catalog.yaml")
    errors: list[str] = []

    def ensure_all() -> None:
        errors.extend(outcome.error.message for outcome in ensure_models(workspace=workspace) if outcome.error)

    sample = clock(ensure_all)
    if errors:
        raise RuntimeError(f"{len(errors)} models are not available; the first: {errors[0]}")
    return sample


ROWS = (
    Row(
        name="known-catalog",
        title=lambda ground: f"second ensure of {ground.scale.count(_MODELS):,} models, no network",
        prepare=_prepare,
        goals=(Goal(1.0),),
        needs_bytes=lambda ground, _: ground.scale.count(_MODELS) * _MODEL_BYTES,
    ),
)

"""Those who bring a model from the hub to the disk: ours, the unmodified client, curl; and the disk by itself."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import snapshot_download

from availability.api import ensure
from availability.digests import CHUNK_BYTES
from availability.settings import load_settings
from availability.workspace import Workspace
from benchmarks.ground import SourceModel
from benchmarks.harness import CLIENT, CURL, OURS, Contestant, Sample, clock

WRITING = "writing only"
CONNECTIONS = 8
"""Of the client and of curl; ours is left at its defaults."""


def workspace_at(folder: Path, endpoint: str, **storage: object) -> Workspace:
    """Return an installation in a folder with the defaults, whatever this user's environment says.

    Its source is made here, so that no clock sees it made.
    """
    overrides = {"storage.models_directory": folder / "store", "hub.endpoint": endpoint, **storage}
    workspace = Workspace(load_settings(overrides, env={}, dotenv=None))
    assert workspace.source
    return workspace


def ours(model: SourceModel, endpoint: str) -> Contestant:
    """Ensure a model: verified, with ledger and journal, and on the disk for good when it returns."""

    def run(folder: Path) -> Sample:
        workspace = workspace_at(folder, endpoint)
        sample = clock(lambda: ensure(model.repo_id, workspace=workspace))
        ledgers = sum(path.is_file() for path in (workspace.state / "ledgers").rglob("*"))
        _check(model, folder, ledgers == sum(path.stat().st_size > CHUNK_BYTES for path in model.contents))
        return sample

    return Contestant(OURS, run)


def client(model: SourceModel, endpoint: str) -> Contestant:
    """Download a model with the unmodified client: neither verified nor flushed to the disk."""

    def run(folder: Path) -> Sample:
        cache = folder / "store"
        sample = clock(
            lambda: snapshot_download(
                model.repo_id, endpoint=endpoint, cache_dir=cache, max_workers=CONNECTIONS, token=False
            )
        )
        _check(model, folder)
        return sample

    return Contestant(CLIENT, run)


def curl(model: SourceModel, endpoint: str) -> Contestant:
    """Fetch the same files with curl: no listing, nothing verified, nothing flushed."""

    def run(folder: Path) -> Sample:
        orders = folder / "orders"
        root = f"{endpoint}/{model.repo_id}/resolve/{model.commit}"
        lines = [f'url = "{root}/{path}"\noutput = "{folder}/files/{path}"\n' for path in model.paths]
        orders.write_text("".join(lines))
        command = ["curl", "--parallel", "--parallel-max", str(CONNECTIONS), "--no-progress-meter", "--fail"]
        command += ["--noproxy", "*", "--create-dirs", "--config", str(orders)]
        sample = clock(lambda: subprocess.run(command, check=True))
        _check(model, folder)
        return sample

    return Contestant(CURL, run, None if shutil.which("curl") else "curl is not installed")


def writing(model: SourceModel) -> Contestant:
    """Write the same bytes to the disk for good, out of memory and unread: what no durable download can beat here."""

    def write(source: Path, target: Path) -> None:
        with source.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK_BYTES)
            writer.flush()
            os.fsync(writer.fileno())

    def run(folder: Path) -> Sample:
        targets = [folder / str(number) for number in range(len(model.contents))]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return clock(lambda: list(pool.map(write, model.contents, targets)))

    return Contestant(WRITING, run)


def _check(model: SourceModel, folder: Path, is_ours_complete: bool = True) -> None:
    """Make sure that the work was done; no clock runs."""
    found = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if found < model.size_bytes or not is_ours_complete:
        raise RuntimeError(f"{folder} holds {found} bytes, expected {model.size_bytes}, and a ledger by large file")

"""Where the benchmarks run: a work folder, the models in it, and one hub that serves them all.

Every run gets a fresh folder, and nothing is deleted before the end: after `rm -rf` ext4 makes inodes twenty to thirty
times slower for a while, and the next run would pay for it.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.machine import MIB, TOUCH_BYTES, settle
from deployments.local import start_server
from deployments.processes import Background
from deployments.sample import Content, write_model

PROJECT = Path(__file__).parents[1]
LATENCY_MS, LINE_MIB_PER_SECOND = 40, 30
FULL_MIB = 1024
"""The size of the large model at full scale; all else is a share of it."""

_FAREWELL_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is: `share` is 1 where the goals apply, less for a smoke test; `events` are in a history."""

    share: float = 1.0
    events: int = 10_000_000

    @property
    def is_full(self) -> bool:
        """Whether the goals apply."""
        return self.share == 1.0

    def mib(self, full: int) -> int:
        """Return how many bytes stand for `full` MiB."""
        return max(64 * 1024, int(full * MIB * self.share))

    def count(self, full: int) -> int:
        """Return how many stand for `full`."""
        return max(3, int(full * self.share))


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model that the hub serves.

    Attributes:
        repo_id: its name.
        commit: its only commit.
        paths: its files, as they are named in it.
        contents: where their bytes lie.
        size_bytes: of all files together.
    """

    repo_id: str
    commit: str
    paths: tuple[str, ...]
    contents: tuple[Path, ...]
    size_bytes: int


class Ground:
    """The work folder and the hubs; as a context manager it ends and removes them all."""

    def __init__(self, parent: Path | None, scale: Scale) -> None:
        """Make a folder in `parent`, or on the current folder's disk when that is None."""
        self.scale = scale
        self.work = Path(tempfile.mkdtemp(prefix="availability-bench-", dir=parent or _folder_on_this_disk()))
        self._store = self.work / "source"
        self._store.mkdir()
        self._models: dict[str, SourceModel] = {}
        self._hubs: dict[tuple[object, ...], tuple[subprocess.Popen[str], str]] = {}
        self._server: tuple[Background, dict[str, str]] | None = None

    @property
    def hub(self) -> str:
        """The endpoint of the hub."""
        return self.serve()

    @property
    def slow_hub(self) -> str:
        """The endpoint of a second hub over the same models, at the end of a long line."""
        return self.serve("--latency-ms", str(LATENCY_MS), "--mib-per-second", str(LINE_MIB_PER_SECOND))

    @property
    def store(self) -> Path:
        """What the hub serves."""
        return self._store

    def serve(self, *options: str, store: Path | None = None, number: int = 0) -> str:
        """Return the endpoint of a server over the models, or over another store; one for equal arguments."""
        key = (*options, store, number)
        if key not in self._hubs:
            command = [sys.executable, "-m", "service", "--store", str(store or self._store), *options]
            process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            self._hubs[key] = process, process.stdout.readline().strip()
        process, url = self._hubs[key]
        if not url or process.poll() is not None:
            raise RuntimeError(f"The hub ended with code {process.wait()}; its options were {options}")
        return url

    def server(self) -> dict[str, str]:
        """Start a Prefect server the first time, and return the environment of whoever talks to it."""
        if self._server is None:
            self._server = start_server(self.work / "prefect")
        return self._server[1]

    def model(self, repo_id: str, files: Mapping[str, Content]) -> SourceModel:
        """Make a model for the hub to serve, the first time it is asked for."""
        if repo_id not in self._models:
            commit = write_model(self._store, repo_id, files)
            snapshot = self._store / f"models--{repo_id.replace('/', '--')}" / "snapshots" / commit
            paths = tuple(sorted(files))
            contents = tuple((snapshot / path).resolve() for path in paths)
            size_bytes = sum(path.stat().st_size for path in contents)
            self._models[repo_id] = SourceModel(repo_id, commit, paths, contents, size_bytes)
        return self._models[repo_id]

    def tiny(self) -> SourceModel:
        """Return a model to warm up with: what is loaded late is loaded before a clock runs."""
        return self.model("bench/tiny", {"config.json": b"{}\n", "model.safetensors": 2 * MIB})

    def fresh(self, name: str) -> Path:
        """Return a new folder for one run."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))

    def settle(self) -> None:
        """Give the next run the same machine as the one before."""
        settle(int(TOUCH_BYTES * self.scale.share))

    def free_bytes(self) -> int:
        """Return the room on the disk."""
        return shutil.disk_usage(self.work).free

    def close(self) -> None:
        """End the hubs and the server, and remove everything."""
        if self._server is not None:
            self._server[0].stop()
        for process, _ in self._hubs.values():
            process.terminate()
        for process, _ in self._hubs.values():
            try:
                process.wait(_FAREWELL_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.work)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _folder_on_this_disk() -> Path:
    """Return the system's temporary folder if it is on the current folder's disk (it may be in memory), else that."""
    temporary, here = Path(tempfile.gettempdir()), Path.cwd()
    return temporary if temporary.stat().st_dev == here.stat().st_dev else here

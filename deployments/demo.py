"""The main job, seen at work on this machine: `make demo`.

A model is ensured through the real flow, on a real Prefect server, while the hub misbehaves: it answers 503, resets a
connection in the middle of a file, and flips a byte. Half-way the run is killed as by a power cut, and started again.
In the end the unmodified client reads the model offline, and every file is compared with what was published.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from signal import SIGKILL
from time import monotonic, sleep

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from availability import open_workspace, progress
from availability.model import parse_model_id
from availability.workspace import Workspace
from deployments.local import start_server
from deployments.processes import Background
from deployments.sample import SAMPLE_MODEL, write_sample_model
from service.faults import Fault, FaultyHub

HOME = Path(".local/demo")
MIB = 1024 * 1024
WEIGHTS = "model.safetensors"
_KILL_AT_PERCENT = 50.0
_WATCH_SECONDS = 0.1

LINE = Fault("shape", bytes_per_second=2 * MIB)
BUSY = Fault("status", route="/config.json", status=503, times=2)
RESET = Fault("reset", route=WEIGHTS, after=3 * MIB, times=1)

NEXT = (
    ".venv/bin/availability ensure HuggingFaceTB/SmolLM2-135M-Instruct --dry-run",
    ".venv/bin/availability ensure HuggingFaceTB/SmolLM2-135M-Instruct",
    ".venv/bin/availability status",
    "make up        # the same in the Prefect UI, on a schedule",
)

_FLOW = f"from flows.ensure_models import ensure_models; ensure_models(models=[{SAMPLE_MODEL!r}])"
_READ_BACK = """
import hashlib, json, sys
from pathlib import Path
from huggingface_hub import snapshot_download
folder = Path(snapshot_download(sys.argv[1], cache_dir=sys.argv[2], local_files_only=True))
files = [path for path in folder.rglob("*") if path.is_file()]
print(json.dumps({str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}))
"""


@dataclass(frozen=True)
class Stage:
    """Where the demo takes place, and where it is shown."""

    home: Path
    out: Console

    @property
    def published(self) -> Path:
        """The store of the hub."""
        return self.home / "published"

    @property
    def store(self) -> Path:
        """The store that is filled."""
        return self.home / "store"

    @cached_property
    def workspace(self) -> Workspace:
        """The doors of the demo's own installation."""
        return open_workspace({"storage.models_directory": self.store})

    def clear(self) -> None:
        """Remove what an earlier demo has left, should it have been killed itself."""
        Background(self.home, "server").stop()
        for name in ("published", "store", "store.availability", "prefect", "server.log"):
            left = self.home / name
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One start of the flow: how it ended, and what it took."""

    name: str
    ended: str
    attempts: int
    bytes_sent: int
    seconds: float


@click.command(help=__doc__)
@click.option("--home", default=HOME, show_default=True, type=click.Path(path_type=Path), help="Folder for its files.")
@click.option("--weights-mib", default=256, show_default=True, type=click.IntRange(min=32), help="Size of the model.")
def main(home: Path, weights_mib: int) -> None:
    """Run the demo from beginning to end."""
    began = monotonic()
    stage = Stage(home.resolve(), Console(highlight=False))
    stage.clear()
    _say(stage, 1, f"A sample model is made: {weights_mib} MiB of weights and some small files.")
    write_sample_model(stage.published, weights_mib=weights_mib)
    _say(stage, 2, "A Prefect server is started, and a hub that misbehaves.")
    with _server(stage) as env, FaultyHub(stage.published, faults=[LINE, BUSY, RESET]) as hub:
        _say(stage, 3, "The flow is started. The hub answers 503, and resets a connection.")
        first = _run(stage, hub, env, "first run", kill_at=_KILL_AT_PERCENT)
        flip = Fault("flip", route=WEIGHTS, offsets=(_first_unsent_byte(hub),), times=1)
        hub.faults.append(flip)
        _say(stage, 4, "It is started again. The hub flips a byte of what is still missing.")
        second = _run(stage, hub, env, "second run")
        told = _faults_table(hub, flip, first, second)
    needed = _read_back(stage)
    stage.out.print(_runs_table((first, second), needed), told, sep="\n")
    stage.out.print("\nMore than was needed: only a second delivery could tell which byte was wrong.")
    stage.out.print("Now that all is proven, a ledger can: the same byte would cost 1 MiB.")
    stage.out.print(f"\nThe whole demo took {monotonic() - began:.0f} s. Its files are in {home}.")
    stage.out.print("\nNow for real, from the Hugging Face Hub:\n")
    for command in NEXT:
        stage.out.print(f"  {command}", markup=False)


def _say(stage: Stage, number: int, sentence: str) -> None:
    stage.out.print(f"[bold]{number}[/bold]  {sentence}")


@contextmanager
def _server(stage: Stage) -> Iterator[Mapping[str, str]]:
    server, env = start_server(stage.home)
    try:
        yield env
    finally:
        server.stop()


def _run(stage: Stage, hub: FaultyHub, env: Mapping[str, str], name: str, *, kill_at: float | None = None) -> Run:
    began, sent_before = monotonic(), hub.bytes_sent()
    own = {
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(stage.store),
        "ENHANCED_MODEL_HUB_ENDPOINT": hub.url,
        "ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS": "1",
    }
    log = stage.home / f"{name.replace(' ', '-')}.log"
    with log.open("w") as words:
        run = subprocess.Popen([sys.executable, "-c", _FLOW], env={**env, **own}, stdout=words, stderr=words)  # noqa: S603
        percent = _watch(stage, run, kill_at)
    if run.returncode != (0 if kill_at is None else -SIGKILL):
        raise click.ClickException(f"The {name} ended with {run.returncode}; see {log}.")
    ended = "completed" if kill_at is None else f"killed at {percent:.0f} %"
    stage.out.print(f"   The {name}: {ended}.")
    return Run(name, ended, 1 + _retries(stage), hub.bytes_sent() - sent_before, monotonic() - began)


def _watch(stage: Stage, run: subprocess.Popen[bytes], kill_at: float | None) -> float:
    """Show how far a run is until it ends, or until it is killed; return the percentage it came to."""
    percent, retries = 0.0, 0
    with _bar(stage.out) as bar:
        task = bar.add_task("the flow starts ...", total=None)
        while run.poll() is None:
            sleep(_WATCH_SECONDS)
            figures = progress(SAMPLE_MODEL, workspace=stage.workspace)
            if figures is None or not figures.bytes_total:
                continue
            percent = figures.percent
            bar.update(task, description=figures.phase, completed=figures.bytes_done, total=figures.bytes_total)
            if figures.retries > retries:
                retries = figures.retries
                bar.print(f"   Not what the publisher says: attempt {1 + retries}, beside a second delivery.")
            if kill_at is not None and percent >= kill_at:
                run.send_signal(SIGKILL)
                run.wait()
    return percent


def _bar(out: Console) -> Progress:
    columns = (TextColumn("   {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=out, transient=True)


def _retries(stage: Stage) -> int:
    record = stage.workspace.controls.read(parse_model_id(SAMPLE_MODEL))
    return record.progress.retries if record and record.progress else 0


def _first_unsent_byte(hub: FaultyHub) -> int:
    """Return where in the weights the first byte is that no answer has held so far: it is still to be fetched."""
    sent = []
    for request in hub.requests:
        if request.path.endswith(WEIGHTS):
            start = int((request.range or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            sent.append((start, start + request.bytes_sent))
    unsent = 0
    for start, stop in sorted(sent):
        if start <= unsent:
            unsent = max(unsent, stop)
    return unsent


def _read_back(stage: Stage) -> int:
    """Let the unmodified client read the model offline, compare every file, and return how many bytes they have."""
    _say(stage, 5, "The unmodified huggingface_hub client reads the model, offline.")
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-c", _READ_BACK, SAMPLE_MODEL, str(stage.store)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    published = next(stage.published.glob("models--*/snapshots/*"))
    files = {path.relative_to(published).as_posix(): path for path in published.rglob("*") if path.is_file()}
    wanted = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    if json.loads(done.stdout) != wanted:
        raise click.ClickException("What the client reads is not what was published.")
    stage.out.print(f"   All {len(files)} files are there, and every byte is what was published.\n")
    return sum(path.stat().st_size for path in files.values())


def _runs_table(runs: Sequence[Run], needed: int) -> Table:
    table = _new_table("What happened", ("", "ended"), ("attempts", "MB sent", "of needed", "seconds"))
    for run in runs:
        table.add_row(run.name, run.ended, str(run.attempts), _mb(run.bytes_sent), "", f"{run.seconds:.1f}")
    table.add_section()
    sent, seconds = sum(run.bytes_sent for run in runs), sum(run.seconds for run in runs)
    table.add_row("together", "verified", "", _mb(sent), f"{sent / needed:.2f} x", f"{seconds:.1f}")
    return table


def _faults_table(hub: FaultyHub, flip: Fault, first: Run, second: Run) -> Table:
    """Tell what each fault did, as the hub counted it.

    Raises:
        click.ClickException: a fault did not happen, or the flipped byte went unnoticed.
    """
    rows = (
        ("503 for config.json", BUSY, f"asked again at once, still attempt {first.attempts}"),
        ("connection reset", RESET, f"went on at the next byte, still attempt {first.attempts}"),
        ("byte flipped", flip, f"wrong digest seen, healed by attempt {second.attempts}"),
    )
    if second.attempts == 1 or any(hub.faults.fell_due(fault) != fault.times for _, fault, _ in rows):
        raise click.ClickException("Not every fault has happened and been seen; try it with more --weights-mib.")
    table = _new_table("What the hub did", ("",), ("times",), ("what came of it",))
    for what, fault, then in rows:
        table.add_row(what, str(hub.faults.fell_due(fault)), then)
    return table


def _new_table(title: str, words: Sequence[str], figures: Sequence[str], more_words: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in (*words, *figures, *more_words):
        table.add_column(heading, justify="right" if heading in figures else "left", no_wrap=True)
    return table


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f}"


if __name__ == "__main__":
    main()

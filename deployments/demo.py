"""The main job, seen at work on this machine: `make demo`.

A model is ensured through the real flow, on a real Prefect server, while the hub misbehaves: it answers 503, resets a
connection in the middle of a file, and flips a byte. Half-way the run is killed as a power cut would, and started again.
In the end the unmodified client reads the model offline, and every file is compared with what was published.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from deployments.local import server_env, start_server
from deployments.sample import SAMPLE_MODEL, write_sample_model
from service.faults import Fault, FaultyHub

HOME = Path(".local/demo")
STORE = HOME.resolve() / "store"
PORT = 4299
WEIGHTS_MIB = 256
MIB = 1024 * 1024
_KILL_AT_PERCENT = 50.0
_FLIPPED_AT = 20 * MIB
_WATCH_SECONDS = 0.1
_MOST_WORDS = 60

FAULTS = (
    ("answers 503, twice", Fault("status", route="config.json", status=503, times=2)),
    ("resets a connection in mid-file", Fault("reset", route="model.safetensors", after=3 * MIB, times=1)),
    ("flips one byte of the weights, once", Fault("flip", route="model.safetensors", offsets=(_FLIPPED_AT,), times=1)),
)
LINE = Fault("shape", bytes_per_second=3 * MIB)

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


@dataclass(frozen=True, slots=True)
class Run:
    """One start of the flow: how it ended, and what it took."""

    name: str
    ended: str
    seconds: float
    bytes_sent: int


@click.command(help=__doc__)
def main() -> None:
    """Run the demo from beginning to end."""
    out = Console(highlight=False)
    began = monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    out.print(f"[bold]1[/bold]  A sample model is made: {WEIGHTS_MIB} MiB of weights and some small files.")
    write_sample_model(HOME / "published", weights_mib=WEIGHTS_MIB)
    out.print("[bold]2[/bold]  A Prefect server is started, and a hub that misbehaves:")
    for what, _ in FAULTS:
        out.print(f"       - it {what}")
    env = server_env(HOME, PORT)
    server = start_server(HOME, PORT, env)
    try:
        with FaultyHub(HOME / "published", faults=[LINE, *(fault for _, fault in FAULTS)]) as hub:
            runs = [_run(out, hub, env, kill=True), _run(out, hub, env, kill=False)]
    finally:
        server.stop()
    needed = _read_back(out)
    out.print(_table(runs, needed))
    out.print(f"\nThe whole demo took {monotonic() - began:.0f} s. Its files are in {HOME}.")
    out.print("\nNow for real, from the Hugging Face Hub:\n")
    for command in NEXT:
        out.print(f"  {command}", markup=False)


def _run(out: Console, hub: FaultyHub, env: Mapping[str, str], *, kill: bool) -> Run:
    name = "first run" if kill else "second run"
    out.print(f"[bold]{3 if kill else 4}[/bold]  {'The flow is started.' if kill else 'It is started again.'}")
    began, sent_before = monotonic(), hub.bytes_sent("")
    own = {
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(STORE),
        "ENHANCED_MODEL_HUB_ENDPOINT": hub.url,
        "ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    with (HOME / f"{name.replace(' ', '-')}.log").open("w") as log:
        run = subprocess.Popen([sys.executable, "-c", _FLOW], env={**env, **own}, stdout=log, stderr=log)  # noqa: S603
        percent = _watch(out, run, kill_at=_KILL_AT_PERCENT if kill else None)
    ended = (
        f"killed at {percent:.0f} %" if run.returncode == -SIGKILL else "completed" if not run.returncode else "failed"
    )
    if ended == "failed":
        raise click.ClickException(f"The {name} failed; see {log.name}.")
    out.print(f"   The {name}: {ended}.")
    return Run(name, ended, monotonic() - began, hub.bytes_sent("") - sent_before)


def _watch(out: Console, run: subprocess.Popen[bytes], *, kill_at: float | None) -> float:
    """Show how far a run is until it ends, or until it is killed; return the percentage it came to."""
    percent = 0.0
    with _bar(out) as bar:
        task = bar.add_task("the flow starts ...", total=None)
        while run.poll() is None:
            sleep(_WATCH_SECONDS)
            figures = progress(SAMPLE_MODEL, workspace=workspace())
            if figures is None or not figures.bytes_total:
                continue
            percent = figures.percent
            told = f"{figures.phase} {figures.waiting or ''}"[:_MOST_WORDS]
            bar.update(task, description=told, completed=figures.bytes_done, total=figures.bytes_total)
            if kill_at is not None and percent >= kill_at:
                run.send_signal(SIGKILL)
                run.wait()
    return percent


def _bar(out: Console) -> Progress:
    columns = (TextColumn("   {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=out, transient=True)


def _read_back(out: Console) -> int:
    """Let the unmodified client read the model offline, compare every file, and return how many bytes they have."""
    out.print("[bold]5[/bold]  The unmodified huggingface_hub client reads the model, offline.")
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-c", _READ_BACK, SAMPLE_MODEL, str(STORE)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    published = next((HOME / "published").glob("models--*/snapshots/*"))
    for name, digest in json.loads(done.stdout).items():
        if hashlib.sha256((published / name).read_bytes()).hexdigest() != digest:
            raise click.ClickException(f"{name} is not what was published.")
    files = [path for path in published.rglob("*") if path.is_file()]
    if len(files) != len(json.loads(done.stdout)):
        raise click.ClickException("The client does not see every file that was published.")
    out.print(f"   All {len(files)} files are there, and every byte is what was published.\n")
    return sum(path.stat().st_size for path in files)


def _table(runs: Sequence[Run], needed: int) -> Table:
    last = workspace().controls.read(parse_model_id(SAMPLE_MODEL))
    attempts = 1 + last.progress.retries if last and last.progress else 1
    sent = sum(run.bytes_sent for run in runs)
    table = Table(title="What happened", title_justify="left")
    for heading in ("", "ended", "attempts", "MB sent by the hub", "of what was needed", "seconds"):
        table.add_column(heading, justify="left" if heading in ("", "ended") else "right")
    for run in runs:
        tries = str(attempts if run is runs[-1] else 1)
        table.add_row(run.name, run.ended, tries, f"{run.bytes_sent / 1e6:.1f}", "", f"{run.seconds:.1f}")
    table.add_section()
    seconds = sum(run.seconds for run in runs)
    table.add_row("together", "verified", "", f"{sent / 1e6:.1f}", f"{sent / needed:.2f} x", f"{seconds:.1f}")
    return table


def workspace() -> Workspace:
    """Return the doors of the demo's own installation."""
    return open_workspace({"storage.models_directory": STORE})


if __name__ == "__main__":
    main()

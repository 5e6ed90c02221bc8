"""A Prefect stack on this machine: server, worker, deployments, and if asked for a hub with a sample model.

`python -m deployments.local up|down`, or `make up` and `make down`. Safe to repeat: what runs already is left alone.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

import click

from deployments.processes import Background
from deployments.sample import write_sample_model

HOME = Path(".local/stack")
SAMPLE_HUB_PORT = 8970
POOL = "models"
_START_SECONDS = 120.0


def server_env(home: Path, port: int) -> dict[str, str]:
    """Return the environment of everything that talks to a local server at `port`."""
    return {
        **os.environ,
        "PREFECT_HOME": str(home.resolve() / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_API_URL": "/api",  # or the UI would call the port it was built for
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLI_PROMPT": "false",
    }


def start_server(home: Path, port: int, env: Mapping[str, str]) -> Background:
    """Start a server unless it runs, and wait until it answers.

    Raises:
        click.ClickException: it does not come up; the end of its log is told.
    """
    server = Background(home, "server")
    server.start([*_python("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)], env)
    until = monotonic() + _START_SECONDS
    while not _answers(f"http://127.0.0.1:{port}/api/health"):
        if monotonic() > until or not server.is_running():
            raise click.ClickException(f"The Prefect server does not start:\n{server.last_words()}")
        sleep(0.3)
    return server


def start_sample_hub(home: Path) -> Background:
    """Start a hub that serves a sample model made on the spot, unless it runs."""
    store = home / "sample-hub"
    if not store.exists():
        write_sample_model(store, weights_mib=64)
    hub = Background(home, "sample-hub")
    hub.start([*_python("service"), "--store", str(store), "--port", str(SAMPLE_HUB_PORT)], os.environ)
    return hub


@click.group(help=__doc__)
def main() -> None:
    """Start and stop a local stack."""


@main.command()
@click.option("--port", default=4200, show_default=True, help="Port of the Prefect server.")
@click.option("--sample", is_flag=True, help="Profile `development`: a sample hub, and a store of its own.")
def up(port: int, *, sample: bool) -> None:
    """Start the server, deploy everything, start a worker."""
    env = server_env(HOME, port)
    if sample:
        env["ENHANCED_MODEL_PROFILE"] = "development"
        start_sample_hub(HOME)
    click.echo("Starting the Prefect server ...")
    start_server(HOME, port, env)
    click.echo("Deploying ...")
    _run([*_python("prefect"), "work-pool", "create", POOL, "--type", "process", "--overwrite"], env)
    _run([*_python("prefect"), "--no-prompt", "deploy", "--all"], env)
    worker = Background(HOME, "worker")
    worker.start([*_python("prefect"), "worker", "start", "--pool", POOL, "--name", "local"], env)
    click.echo(f"\nUp. The UI: http://127.0.0.1:{port}/deployments")
    click.echo(f"Logs are in {HOME}. Stop it with: make down")


@main.command()
def down() -> None:
    """Stop what `up` has started."""
    for name in ("worker", "server", "sample-hub"):
        if Background(HOME, name).stop():
            click.echo(f"Stopped the {name}.")


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _run(command: Sequence[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode:
        raise click.ClickException(f"{' '.join(command[2:])} failed:\n{done.stdout}{done.stderr}")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310  our own server
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    main()

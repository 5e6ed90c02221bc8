"""A Prefect stack on this machine: server, worker, all that is deployed, and if asked for a hub with a sample model.

`python -m deployments.local up|down`, or `make up` and `make down`. Safe to repeat: what runs already is left alone,
and so is what the server knows already.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import click

from availability import logs
from availability.model import ModelId
from deployments.processes import Background, free_port, is_free
from deployments.sample import SAMPLE_MODEL, write_sample_model

HOME = Path(".local/stack")
SERVER_PORT = 4200
SAMPLE_HUB_PORT = 8970
POOL = "models"
LOGGERS = ",".join(logs.LOGGERS)
"""Whose log lines belong to the log of a run."""
_SAMPLE_WEIGHTS_MIB = 64
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.3


def start_server(home: Path, port: int = 0) -> tuple[Background, dict[str, str]]:
    """Start a server unless it runs, wait until it answers, and return it with the environment of whoever talks to it.

    Args:
        home: the folder for its log and its database.
        port: where; 0 takes a free one. One that runs already stays where it is.

    Raises:
        click.ClickException: it does not come up; why is told.
    """
    server = Background(home, "server")
    port = _port_of(server, port)
    env = _server_env(home, port)
    server.start([*_python("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)], env, port=port)
    _wait_for_answer(server, f"http://127.0.0.1:{port}/api/health")
    return server, env


def start_sample_hub(home: Path, port: int = 0) -> str:
    """Start a hub that serves a sample model made on the spot, unless it runs, and return its address.

    Raises:
        click.ClickException: it does not come up; why is told.
    """
    store = home / "sample-hub"
    if not (store / ModelId(SAMPLE_MODEL).folder / "refs").exists():
        write_sample_model(store, weights_mib=_SAMPLE_WEIGHTS_MIB)
    hub = Background(home, "sample-hub")
    port = _port_of(hub, port)
    hub.start([*_python("service"), "--store", str(store), "--port", str(port)], os.environ, port=port)
    address = f"http://127.0.0.1:{port}"
    _wait_for_answer(hub, f"{address}/api/models/{SAMPLE_MODEL}")
    return address


_home = click.option(
    "--home", default=HOME, show_default=True, type=click.Path(path_type=Path), help="Folder for logs and the database."
)


@click.group(help=__doc__)
def main() -> None:
    """Start and stop a local stack."""


@main.command()
@_home
@click.option("--port", default=SERVER_PORT, show_default=True, help="Port of the Prefect server; 0 takes a free one.")
@click.option("--sample", is_flag=True, help="Profile `development`: a sample hub, and a store of its own.")
@click.option("--hub-port", default=SAMPLE_HUB_PORT, show_default=True, help="Port of the sample hub; 0: a free one.")
def up(home: Path, port: int, *, sample: bool, hub_port: int) -> None:
    """Start the server, deploy everything, start a worker."""
    click.echo("Starting the Prefect server ...")
    _, env = start_server(home, port)
    if sample:
        env["ENHANCED_MODEL_PROFILE"] = "development"
        env["ENHANCED_MODEL_HUB_ENDPOINT"] = start_sample_hub(home, hub_port)
    click.echo("Deploying ...")
    click.echo(_run([*_python("deployments.deploy"), "--pool", "process"], env))
    worker = Background(home, "worker")
    worker.start([*_python("prefect"), "worker", "start", "--pool", POOL, "--name", "local"], env)
    click.echo(f"Up. The UI: {env['PREFECT_API_URL'].removesuffix('api')}deployments")
    click.echo(f"Logs are in {home}. Stop it with: make down")


@main.command()
@_home
def down(home: Path) -> None:
    """Stop what `up` has started."""
    for name in ("worker", "server", "sample-hub"):
        if Background(home, name).stop():
            click.echo(f"Stopped the {name}.")


def _server_env(home: Path, port: int) -> dict[str, str]:
    return {
        # What somebody has set holds. A run leaves some 20 KB a task and events of a megabyte a day: both are cleared.
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P3D",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "P30D",
        # A worker takes ten seconds to begin a run: sooner than this nothing is late.
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "60",
        "PREFECT_LOGGING_EXTRA_LOGGERS": LOGGERS,
        **os.environ,
        "PREFECT_HOME": str(home.resolve() / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_API_URL": "/api",  # or the UI would call the port it was built for
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLI_PROMPT": "false",
    }


def _port_of(process: Background, asked: int) -> int:
    living = process.living()
    if living is not None:
        return living.port
    if not is_free(asked):
        raise click.ClickException(f"Something else listens at port {asked}, where the {process.name} belongs.")
    return asked or free_port()


def _wait_for_answer(process: Background, url: str) -> None:
    until = monotonic() + _START_SECONDS
    while not _answers(url):
        if monotonic() > until or process.living() is None:
            raise click.ClickException(f"The {process.name} does not start:\n{process.last_words()}")
        sleep(_LOOK_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310  our own server
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _run(command: Sequence[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode:
        raise click.ClickException(f"{' '.join(command[2:])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()

"""Serve a store to other machines: `python -m service --store DIR`.

Prints one line with the URL and serves until SIGTERM or SIGINT. The options that shape the line are for trials and
benchmarks.
"""

import signal
from pathlib import Path

import click

from service.faults import Fault, FaultyHub
from service.hub import HubServer

_STOP = {signal.SIGTERM, signal.SIGINT}


@click.command(help="Serve the models of a Hugging Face cache over the Hub's protocol.")
@click.option(
    "--store", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="The cache."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=0, help="Port to listen at; 0 takes a free one.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=0.0, help="Wait so long before each answer.")
@click.option("--mib-per-second", type=click.FloatRange(min=0), default=0.0, help="Speed of each connection; 0: full.")
@click.option(
    "--line-mib-per-second", type=click.FloatRange(min=0), default=0.0, help="Speed of all together; 0: full."
)
def main(
    *, store: Path, host: str, port: int, latency_ms: float, mib_per_second: float, line_mib_per_second: float
) -> None:
    """Serve until a signal says stop."""
    line = []
    if latency_ms:
        line.append(Fault("latency", seconds=latency_ms / 1000))
    if mib_per_second:
        line.append(Fault("shape", bytes_per_second=mib_per_second * 1024 * 1024))
    if line_mib_per_second:
        line.append(Fault("line", bytes_per_second=line_mib_per_second * 1024 * 1024))
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # before any thread starts, or one of them would get the signal
    server = FaultyHub(store, faults=line, host=host, port=port) if line else HubServer(store, host=host, port=port)
    with server:
        click.echo(server.url)
        signal.sigwait(_STOP)


if __name__ == "__main__":
    main()

"""One run of a flow, or of the library alone, in a process of its own: prints its figures as JSON.

`python -m benchmarks.flow_probe NAME PARAMETERS`, where NAME is a flow's or `library`, and PARAMETERS are JSON. The
installation and the server are those of the environment. A run of nothing goes first, so that imports and the first
connection to the server are not counted. Calls are the requests that Prefect's client has sent.
"""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from availability.api import ensure_models, open_workspace
from benchmarks.harness import clock
from benchmarks.probe import resident_mib

LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run took.

    Attributes:
        seconds: on the wall.
        cpu_seconds: of the process.
        peak_mib: the most memory that the process held, imports included.
        calls: requests to the Prefect server.
        ended: what its state says.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    calls: int
    ended: str


class _Calls(logging.Handler):
    """Counts what httpx says that it has sent."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("HTTP Request")


def main(name: str, parameters: Mapping[str, Any]) -> None:
    """Measure one run."""
    calls = _Calls()
    run = _library() if name == LIBRARY else _flow(name, parameters)
    run({})
    client = logging.getLogger("httpx")
    client.setLevel(logging.INFO)
    client.addHandler(calls)
    ended: list[str] = []
    sample = clock(lambda: ended.append(run(parameters)))
    figures = Figures(sample.seconds, sample.cpu_seconds, resident_mib("VmHWM"), calls.count, ended[0])
    print(json.dumps(asdict(figures)))


def _library() -> Callable[[Mapping[str, Any]], str]:
    def run(parameters: Mapping[str, Any]) -> str:
        if not parameters:
            return ""
        outcomes = ensure_models(parameters["models"] or None, workspace=open_workspace())
        return f"{sum(outcome.success for outcome in outcomes)} of {len(outcomes)} models verified"

    return run


def _flow(name: str, _: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    flow = getattr(import_module(f"flows.{name}"), name)
    nothing = {"ensure_models": {"models": ["bench/no-such-model"]}, "check_health": {"models": ["bench/none"]}}

    def run(parameters: Mapping[str, Any]) -> str:
        state = flow(**(parameters or nothing.get(name, {})), return_state=True)
        return f"{state.name}: {state.message}"

    return run


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))

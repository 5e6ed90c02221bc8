"""Reading back what a Prefect server knows of a run: task runs, events and logs arrive there a little later."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

PATIENCE_SECONDS = 180.0
"""For a server on a machine that is busy with other tests; only a failure takes so long."""
ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_LOOK_SECONDS = 0.05
_LONGEST_LOOK_SECONDS = 0.5


def wait_for(look: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Look until there is something to see, more and more rarely; what was seen last is part of the failure."""
    until = monotonic() + seconds
    pause = _LOOK_SECONDS
    while not (seen := look()):
        assert monotonic() < until, f"not within {seconds:.0f} s; seen last: {seen!r}"
        sleep(pause)
        pause = min(pause * 1.2, _LONGEST_LOOK_SECONDS)
    return seen


class Api:
    """A server, asked over HTTP as the UI does."""

    def __init__(self, url: str) -> None:
        # A server on SQLite may wait for its own lock for a minute before it goes on: its clients are as patient.
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> Any:
        return self._ask("GET", path).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.send(path, **body).raise_for_status().json()

    def send(self, path: str, **body: Any) -> httpx.Response:
        return self._ask("POST", path, json=body)

    def patch(self, path: str, **body: Any) -> None:
        self._ask("PATCH", path, json=body).raise_for_status()

    def delete(self, path: str) -> None:
        self._ask("DELETE", path).raise_for_status()

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        def answer() -> httpx.Response | None:
            # SQLite lets one write at a time; the server says 503 then, and its own clients ask again as well.
            answer = self._client.request(method, path, **more)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        return wait_for(answer)

    def start(self, name: str, **body: Any) -> str:
        """Start a run of the deployment that is named like its flow, and return its id."""
        deployment = self.get(f"/deployments/name/{name}/{name}")["id"]
        return str(self.post(f"/deployments/{deployment}/create_flow_run", **body)["id"])

    def end_of(self, run_id: str) -> dict[str, Any]:
        """The state in which a run has ended."""

        def ended() -> dict[str, Any] | None:
            state = self.get(f"/flow_runs/{run_id}")["state"]
            return state if state["type"] in ENDS else None

        return wait_for(ended)

    def task_runs(self, run_id: str) -> list[dict[str, Any]]:
        """The task runs of a flow run that have arrived, in the order in which they began."""
        runs = self.post("/task_runs/filter", flow_runs={"id": {"any_": [run_id]}})
        return sorted(runs, key=lambda run: run["start_time"])

    def states(self, task_run: dict[str, Any]) -> list[dict[str, Any]]:
        """The states a task run went through."""
        return self.get(f"/task_run_states/?task_run_id={task_run['id']}")

    def artifacts(self, run_id: str) -> dict[str, dict[str, Any]]:
        """What a flow run shows, by key; what it returned, where that is kept, has none."""
        found = self.post("/artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
        return {artifact["key"]: artifact for artifact in found if artifact["key"] is not None}

    def events(self, run_id: str, name: str | None = None) -> list[dict[str, Any]]:
        """The events of a flow run that have arrived, oldest first."""
        wanted: dict[str, Any] = {"related": {"id": [f"prefect.flow-run.{run_id}"]}, "order": "ASC"}
        page = self.post("/events/filter", filter=wanted | ({"event": {"name": [name]}} if name else {}), limit=50)
        found = page["events"]
        while page["next_page"]:
            page = self.get("/events/filter/next?" + page["next_page"].partition("?")[2])
            found += page["events"]
        return found

    def logs(self, run_id: str) -> list[dict[str, Any]]:
        """The log of a flow run, as far as it has arrived."""
        return self.post("/logs/filter", logs={"flow_run_id": {"any_": [run_id]}}, limit=200)

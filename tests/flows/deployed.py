"""Our deployments on the session's server, and one who does what a worker does: polls, and runs what is due."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from prefect import Flow, State
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_sync
from prefect.settings import PREFECT_API_URL

from deployments.documents import ROOT
from flows.ensure_models import ensure_models
from flows.repair_model import repair_model
from flows.request_model import request_model

FLOWS: Sequence[Flow[..., Any]] = (ensure_models, repair_model, request_model)


@dataclass(frozen=True)
class Deployed:
    """The deployments of one test, in a work pool of its own."""

    client: SyncPrefectClient
    pool: str
    ids: dict[str, UUID]

    def poll(self) -> list[FlowRun]:
        """Be seen as a worker, and return the runs that are due, in the order in which a worker takes them."""
        self.client.send_worker_heartbeat(self.pool, "test", heartbeat_interval_seconds=30)
        due = self.client.get_scheduled_flow_runs_for_work_pool(self.pool, scheduled_before=datetime.now(UTC))
        return [one.flow_run for one in due]

    def run_due(self) -> list[State[Any]]:
        """Run what is due, here, as the process does that a worker starts; a run that waits ends without a state."""
        return [self.run(run) for run in self.poll()]

    def run(self, run: FlowRun) -> State[Any]:
        (flow,) = (flow for flow in FLOWS if self.ids[flow.name] == run.deployment_id)
        with suppress(Pause):
            run_flow_sync(flow, self.client.read_flow_run(run.id), run.parameters, return_type="state")
        return self.client.read_flow_run(run.id).state

    def start(self, flow: Flow[..., Any], **parameters: Any) -> FlowRun:
        """Start a run as the form in the UI does."""
        return self.client.create_flow_run_from_deployment(self.ids[flow.name], parameters=parameters)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A real worker in a process of its own, killed at the end as a machine that goes down kills it."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", self.pool]
        env = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "PREFECT_WORKER_QUERY_SECONDS": "2"}
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def runs(self, flow: Flow[..., Any]) -> list[FlowRun]:
        found = self.client.read_flow_runs(limit=200)
        return [run for run in found if run.deployment_id == self.ids[flow.name]]

    def state(self, run_id: object) -> State[Any]:
        return self.client.read_flow_run(UUID(str(run_id))).state


@contextmanager
def deployed(flows: Sequence[Flow[..., Any]] = FLOWS) -> Iterator[Deployed]:
    """Deploy, and take everything away again."""
    pool = f"pool-{uuid4()}"
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        ids = {
            flow.name: client.create_deployment(
                client.create_flow(flow),
                flow.name,
                work_pool_name=pool,
                entrypoint=f"{flow.fn.__module__}.{flow.fn.__name__}",
                path=str(ROOT),
                parameter_openapi_schema=flow.parameters.model_dump_for_openapi(),
            )
            for flow in flows
        }
        try:
            yield Deployed(client, pool, ids)
        finally:
            for deployment in ids.values():
                client.delete_deployment(deployment)
            client.delete_work_pool(pool)

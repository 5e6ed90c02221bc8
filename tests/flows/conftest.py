import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from availability.outcome import EnsureOutcome
from flows.ensure_models import ensure_models
from service.faults import FaultyHub
from tasks.ending import RunFailedError
from tests.builders import write_tiny_model
from tests.prefect_api import Api, wait_for


@task(cache_policy=NO_CACHE)
def last_word():
    """Say something after a run: the server takes note of task runs in the order in which they happen."""


COMPLETED = {"type": {"any_": ["COMPLETED"]}}


@dataclass(frozen=True)
class EndedRun:
    """A flow run that has ended, and what the server shows of it."""

    api: Api
    state: State[Any]

    @property
    def id(self) -> str:
        return str(self.state.state_details.flow_run_id)

    @property
    def returned(self) -> Any:
        """What its flow has returned, or would have."""
        result = self.state.result(raise_on_failure=False)
        return result.outcome if isinstance(result, RunFailedError) else result

    @property
    def outcomes(self) -> Sequence[EnsureOutcome]:
        return self.returned

    @property
    def outcome(self) -> EnsureOutcome:
        (only,) = self.outcomes
        return only

    @cached_property
    def tasks(self) -> list[dict[str, Any]]:
        """Its task runs in their order, once all of them have arrived."""
        said = str(last_word(return_state=True).state_details.task_run_id)
        wait_for(lambda: self.api.post("/task_runs/filter", task_runs={"id": {"any_": [said]}, "state": COMPLETED}))
        # The events worker has kept the context of the first flow run, so the server may count the last word as its.
        return [run for run in self.api.task_runs(self.id) if run["name"] != last_word.name]

    @property
    def steps(self) -> list[str]:
        """The names of the task runs in their order; looking at all models is one, whatever its number."""
        return [task["name"].partition("-")[0] for task in self.tasks]

    def task(self, name: str) -> dict[str, Any]:
        (only,) = (task for task in self.tasks if task["name"] == name)
        return only

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        return self.api.artifacts(self.id)

    def table(self, key: str = "ensure-models") -> list[dict[str, Any]]:
        return json.loads(self.artifacts[key]["data"])

    def event(self, name: str) -> dict[str, Any]:
        """Its only event of this name."""
        (only,) = self.told(name, at_least=1)
        return only

    def told(self, name: str, *, at_least: int = 0) -> list[dict[str, Any]]:
        """Its events of this name, once as many have arrived as there must be, and one that is sent now.

        They nearly always arrive in their order, but nobody promises it.
        """
        mark = f"test.{uuid4()}"
        emit_event(event="test.mark", resource={"prefect.resource.id": mark})
        wait_for(lambda: self.api.post("/events/filter", filter={"resource": {"id": [mark]}})["events"])
        wait_for(lambda: len(self.api.events(self.id, name)) >= at_least)
        return self.api.events(self.id, name)

    def progress_events(self, *, last: str) -> list[dict[str, Any]]:
        """The events of its progress, once the one has arrived that tells of this phase."""

        def look() -> list[dict[str, Any]] | None:
            events = self.api.events(self.id, "model.download.progress")
            return events if events and events[-1]["payload"]["phase"] == last else None

        return wait_for(look)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The store of the hub, with one model."""
    write_tiny_model(tmp_path / "published")
    return tmp_path / "published"


@pytest.fixture
def hub(published: Path) -> Iterator[FaultyHub]:
    with FaultyHub(published) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path, hub: FaultyHub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of an installation that asks this hub, and retries after a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY", str(tmp_path / "store"))
    monkeypatch.setenv("ENHANCED_MODEL_HUB_ENDPOINT", hub.url)
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS", "1")
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRY_DELAY_SECONDS", "1.5")
    return tmp_path / "store"


@pytest.fixture
def api(prefect_server: str) -> Api:
    return Api(prefect_server)


@pytest.fixture
def run(api: Api, store: Path) -> Callable[..., EndedRun]:
    """Run the flow here, against the server, with these parameters."""
    assert not store.exists()
    return lambda **parameters: EndedRun(api, ensure_models(**parameters, return_state=True))

"""What a server must know of us, read from `prefect.yaml`, with the settings carried over. Nothing is asked or changed.

A deployment's version is a digest of all that is deployed of it: the same version on the server means that there is
nothing to do.
"""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from availability.settings import Settings
from deployments.documents import ROOT
from tasks.schedules import is_switched_off, wanted_interval

POOL_TYPES = ("process", "docker", "kubernetes", "ecs")
"""The kinds of work pools there are profiles for: the kind of worker is also the profile's name."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue of the work pool; what waits in the one with the smallest priority begins first."""

    name: str
    priority: int
    description: str


@dataclass(frozen=True, slots=True)
class Pool:
    """The work pool.

    Attributes:
        name: how deployments and workers call it.
        type: the kind of worker.
        template: its base job template; None takes the one that Prefect has for the kind.
        concurrency_limit: how many runs there are at once.
        queues: all of them, but for the one named `default` that every pool has.
    """

    name: str
    type: str
    template: Mapping[str, Any] | None
    concurrency_limit: int | None
    queues: tuple[Queue, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it: the pool, and what `prefect deploy` is handed."""

    pool: Pool
    deployments: tuple[Mapping[str, Any], ...]

    def text(self) -> str:
        """Return it as a `prefect.yaml`."""
        return yaml.safe_dump({"deployments": [deepcopy(dict(each)) for each in self.deployments]}, sort_keys=False)


def read_manifest(settings: Settings, pool_type: str | None = None, root: Path = ROOT) -> Manifest:
    """Read `prefect.yaml`, and give its schedules the intervals and the switches of the settings.

    Args:
        settings: what schedules follow.
        pool_type: where runs happen, one of `POOL_TYPES`; None takes what the file says.
        root: the folder of the file.

    Raises:
        click.ClickException: the file has no such profile.
    """
    raw = yaml.safe_load((root / "prefect.yaml").read_text(encoding="utf-8"))
    shared = raw["definitions"]
    profiles = {name: shared[name] for name in POOL_TYPES if name in shared}
    kind = pool_type or next(name for name in profiles if profiles[name]["name"] == shared["pool"]["name"])
    if kind not in profiles:
        raise click.ClickException(f"prefect.yaml has no profile {kind!r}; there are {', '.join(profiles)}.")
    template = root / f"deployments/pools/{kind}.json"
    pool = Pool(
        name=profiles[kind]["name"],
        type=kind,
        template=json.loads(template.read_text(encoding="utf-8")) if template.exists() else None,
        concurrency_limit=shared["concurrency_limit"],
        queues=tuple(Queue(**queue) for queue in shared["queues"]),
    )
    return Manifest(pool, tuple(_deployed(entry, profiles[kind], settings) for entry in raw["deployments"]))


def _deployed(entry: Mapping[str, Any], profile: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    work_pool = {**entry["work_pool"], **profile}
    schedules = [_scheduled(entry["name"], schedule, settings) for schedule in entry["schedules"]]
    made = {**entry, "work_pool": work_pool, "schedules": schedules}
    return {**made, "version": _version(made)}


def _scheduled(name: str, schedule: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    interval = wanted_interval(schedule["slug"], settings)
    often = {} if interval is None else {"interval": interval.total_seconds()}
    return {**schedule, **often, "active": schedule["active"] and not is_switched_off(name, settings)}


def _version(entry: Mapping[str, Any]) -> str:
    """Return a digest of what is deployed: the entry, and the form that is made from the flow."""
    flow: Flow[..., Any] = load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)
    form = parameter_schema(flow).model_dump(mode="json")
    whole = json.dumps([entry, form, str(Path.cwd())], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:12]

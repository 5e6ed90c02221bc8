"""The built-in kinds of sources, registered like anybody's: twins, replicas, peers, mirrors and the hub.

Only the hub is trusted, and only the hub is sent the token.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import field_validator

from availability.registry import ExtensionSettings, sources
from availability.settings import Settings
from availability.sources.base import Source
from availability.sources.context import REFERENCE, SourceContext
from availability.sources.hub import HubSource
from availability.sources.replica import ReplicaSource
from availability.sources.twins import TwinSource

HUB = "hub"
_SECRET_OPTION = re.compile(r"secret|password|token|(^|_)key$|credential", re.IGNORECASE)

Option = str | int | float | bool


class ReplicaSettings(ExtensionSettings):
    """What the file systems of replicas need: by URL, the options that fsspec hands to it; secrets by reference."""

    options: Mapping[str, Mapping[str, Option]] = {}

    @field_validator("options")
    @classmethod
    def _no_secrets(cls, options: Mapping[str, Mapping[str, Option]]) -> Mapping[str, Mapping[str, Option]]:
        for name, value in (pair for said in options.values() for pair in said.items()):
            if _SECRET_OPTION.search(name) and not (isinstance(value, str) and REFERENCE.fullmatch(value)):
                raise ValueError(f"{name} is a secret: refer to it as env:NAME or block:name")
        return options


@sources.register("twin", priority=100)
def twins(context: SourceContext, settings: ExtensionSettings) -> Sequence[Source]:  # noqa: ARG001  has none
    """Return the same content elsewhere on this machine, as one source."""
    return [TwinSource(context.store, context.settings.sources.twins)]


@sources.register("replica", priority=80, settings=ReplicaSettings)
def replicas(context: SourceContext, settings: ReplicaSettings) -> Sequence[Source]:
    """Return the copies on other file systems."""
    seconds = context.settings.download.stall_seconds
    made: list[Source] = []
    for url in context.wanted.replicas:
        options = {name: context.resolved(value) for name, value in settings.options.get(url, {}).items()}
        made.append(ReplicaSource(url, options, timeout_seconds=seconds))
    return made


@sources.register("peer", priority=60)
def peers(context: SourceContext, settings: ExtensionSettings) -> Sequence[Source]:  # noqa: ARG001  has none
    """Return the other installations that serve their store."""
    return [_unknown_hub(context.settings, endpoint) for endpoint in context.wanted.peers]


@sources.register("mirror", priority=40)
def mirrors(context: SourceContext, settings: ExtensionSettings) -> Sequence[Source]:  # noqa: ARG001  has none
    """Return the mirrors of the hub."""
    return [_unknown_hub(context.settings, endpoint) for endpoint in context.wanted.mirrors]


@sources.register(HUB, priority=20)
def hub(context: SourceContext, settings: ExtensionSettings) -> Sequence[Source]:  # noqa: ARG001  has none
    """Return the hub."""
    download = context.settings.download
    made = HubSource(
        context.settings.hub.endpoint,
        token=context.token,
        timeout_seconds=download.stall_seconds,
        max_files=context.settings.admission.max_files,
        budgets=_budgets(context.settings),
    )
    return [made]


def _unknown_hub(settings: Settings, endpoint: str) -> HubSource:
    """Return a source that speaks the hub's protocol and is no hub: it gets no token and less patience."""
    seconds = settings.download.stall_seconds
    return HubSource(
        endpoint,
        token="",
        timeout_seconds=seconds,
        answer_seconds=min(seconds, settings.sources.answer_seconds),
        max_files=settings.admission.max_files,
        budgets=_budgets(settings),
    )


def _budgets(settings: Settings) -> Path:
    """Return where all who share a state folder keep how often a hub may be asked."""
    return settings.storage.cache_directory / "budgets"

"""The settings of where bytes come from: which sources there are, in which order, and when one is left alone.

Part of `groups`, which is the place to look; apart because that file is long enough.
"""

from typing import Annotated

from pydantic import Field

from availability.settings.group import Group
from availability.settings.words import (
    Endpoints,
    Folders,
    Percent,
    Replicas,
    Seconds,
    Shown,
    SourceNames,
    YamlFile,
)


class SourcesSettings(Group):
    """Where bytes come from beside the hub. None of them is trusted: what a file must be, only the hub says."""

    mirrors: Endpoints = Field((), description="Mirrors of the hub, the preferred one first. They are sent no token.")
    peers: Endpoints = Field(
        (), description="Other installations that serve their store, the preferred one first. They are sent no token."
    )
    replicas: Replicas = Field((), description="Copies by content on any fsspec file system, the preferred one first.")
    twins: Folders = Field((), description="Other Hugging Face caches of this machine; the store itself always is one.")
    order: SourceNames = Field(
        ("twin", "replica", "peer", "mirror", "hub"),
        description="Which kind of source is asked first; others follow by priority, but a last hub stays last.",
    )
    configuration: Annotated[YamlFile | None, Shown(expected="a YAML file", default="none")] = Field(
        None, description="Settings of registered sources, by name; secrets are only referred to in it."
    )
    spread: bool = Field(True, description="Ask several sources at once when the line of the first is what is slow.")
    answer_seconds: Seconds = Field(
        5, ge=0.5, le=600, description="How long a source other than the hub may take to begin its answer."
    )
    slow_percent: Percent = Field(
        10, ge=0, le=90, description="A source slower than this share of what another gives is left; 0 switches it off."
    )
    max_failures: int = Field(
        5, ge=1, le=1000, description="So many failures in a row open a source's breaker; wrong bytes do so at once."
    )
    cool_down_seconds: Seconds = Field(
        60, ge=1, le=86400, description="How long a breaker stays open; each time wrong bytes came it doubles."
    )

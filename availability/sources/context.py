"""What a source is made with: the settings, which members are wanted for a model, and secrets by reference.

A secret is never a setting. Where one is needed, a configuration says `env:NAME` or `block:name` (a Prefect Secret
block), and the value is looked up when the source is made.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from availability.errors import SettingsError
from availability.settings import Settings
from availability.sources.base import Source

REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|block:[a-z0-9]+(-[a-z0-9]+)*")
SecretReference = Annotated[str, Field(pattern=rf"^({REFERENCE.pattern})$")]
"""Where a secret is found, as a setting of a source."""

Made = Source | Sequence[Source]
"""What a provider makes: one source, or several of its kind in their order."""


def secret_of(reference: str) -> str:
    """Return a secret out of the environment.

    Raises:
        SettingsError: it is not there, or only Prefect can read it.
    """
    where, _, name = reference.partition(":")
    if where == "block":
        raise SettingsError(
            f"The secret {reference} is a Prefect Secret block, which only a flow can read.",
            advice=("Refer to a variable instead, such as env:MY_TOKEN, where no server is asked.",),
        )
    if not os.environ.get(name):
        raise SettingsError(f"The secret {reference} is not there: the variable {name} is not set.")
    return os.environ[name]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which members a model's chain has beside the built-in ones and those that are registered.

    Attributes:
        mirrors: endpoints of mirrors.
        peers: endpoints of other installations.
        replicas: fsspec URLs or folders.
        order: names of kinds, the first one asked first.
    """

    mirrors: tuple[str, ...]
    peers: tuple[str, ...]
    replicas: tuple[str, ...]
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a provider is made with, beside its own settings.

    Attributes:
        settings: what is in force.
        store: the Hugging Face cache that is filled.
        wanted: the members that are asked for.
        token: for the hub and nobody else; None takes the one that huggingface_hub knows.
        secret: returns the secret behind a reference.
    """

    settings: Settings
    store: Path
    wanted: Wanted
    token: str | None = None
    secret: Callable[[str], str] = secret_of

    def resolved(self, value: object) -> object:
        """Return an option of a configuration: the secret it refers to, or itself."""
        return self.secret(value) if isinstance(value, str) and REFERENCE.fullmatch(value) else value

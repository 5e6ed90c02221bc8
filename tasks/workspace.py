"""The installation a run works on: its settings, its catalog, and secrets from Prefect Secret blocks."""

from collections.abc import Mapping
from contextvars import copy_context
from typing import cast

from prefect.blocks.system import Secret

from availability.history import Attempt
from availability.logs import set_levels
from availability.settings import Settings, load_settings
from availability.sources.account import BreakerChange
from availability.sources.context import secret_of
from availability.workspace import Workspace
from tasks.context import attempt_of_run
from tasks.events import tell_breaker
from tasks.schedules import tell_disagreements


def open_workspace(overrides: Mapping[str, object]) -> Workspace:
    """Return the doors of the installation of this worker, and say where its schedules no longer agree with it.

    When a source's breaker opens or closes, it is told.

    Args:
        overrides: the run's parameters that are settings, by dotted name; None means not given.

    Raises:
        SettingsError: a value is out of its bounds.
        ValueError: the settings name a Secret block that does not exist.
    """
    settings = load_settings(overrides)
    set_levels(settings)
    tell_disagreements(settings)
    context, opener = copy_context(), attempt_of_run()

    def attempt() -> Attempt | None:
        # A thread that brings bytes knows of no run; what it records belongs to the one that opened the workspace.
        return attempt_of_run() or opener

    def on_breaker(change: BreakerChange) -> None:
        context.copy().run(tell_breaker, change)

    return Workspace(settings, _token(settings), attempt=attempt, secret=secret_of_run, on_breaker=on_breaker)


def secret_of_run(reference: str) -> str:
    """Return the secret behind `block:name`, a Prefect Secret block, or `env:NAME`.

    Raises:
        SettingsError: the variable is not set.
        ValueError: there is no such block.
    """
    where, _, name = reference.partition(":")
    return _block(name) if where == "block" else secret_of(reference)


def _token(settings: Settings) -> str | None:
    block = settings.hub.token_secret_block
    return None if block is None else _block(block)


def _block(name: str) -> str:
    return cast("Secret[str]", Secret.load(name)).get()

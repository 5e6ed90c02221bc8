"""Where a command finds everything of one history, and how it fails: one sentence and an exit code.

A group that mounts the commands puts a `Place` into its context's `obj`; without one the environment says where.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from analytics.errors import AnalyticsError

URL, STATE = "ENHANCED_MODEL_ANALYTICS_URL", "ENHANCED_MODEL_STORAGE_CACHE_DIRECTORY"
_FAILED = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything of one history lies.

    Attributes:
        url: the history itself.
        spool: the events that were not shipped yet, None when nobody said.
        cache: copies of a remote history's files, None for the user's cache.
        options: what the filesystem needs.
        salt: with which users are hashed; empty when nobody said.
        retention_days: how many days are kept besides today; 0 keeps all.
        published_days: how much of the history the published file holds.
        keep: takes the figures of each model after tending, and when they were asked for.
        is_elsewhere: whether an option has named another history than the one that the spool belongs to.
    """

    url: str
    spool: Path | None = None
    cache: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    salt: bytes = b""
    retention_days: int = 0
    published_days: float = 90
    keep: Callable[[Any, datetime], None] | None = None
    is_elsewhere: bool = False


def default_url() -> str:
    """Return where the environment says that history lies; empty when it does not say."""
    state = os.environ.get(STATE)
    return os.environ.get(URL) or (f"{state}/history" if state else "")


def place_of(context: click.Context, url: str | None) -> Place:
    """Return where history lies: as an option says, or the group above, or the environment."""
    place = context.find_object(Place)
    if place is None:
        state = os.environ.get(STATE)
        place = Place(default_url(), Path(state) / "spool" if state else None)
    if url:
        place = replace(place, url=url, is_elsewhere=True)
    if not place.url:
        raise click.UsageError(f"Say where the history lies: --url, or the variable {URL}.")
    return place


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what can go wrong into one sentence and an exit code."""
    try:
        yield
    except (AnalyticsError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_FAILED)


def with_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --url, and its place as the first argument."""

    @click.option("--url", metavar="URL", help="Where the history lies, instead of where the settings say.")
    @click.pass_context
    def run(context: click.Context, /, url: str | None, **given: Any) -> Any:
        with clear_errors():
            return command(place_of(context, url), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    inner = getattr(command, "__click_params__", [])
    vars(run)["__click_params__"] = [*vars(run)["__click_params__"], *inner]  # where click's decorators keep options
    return run

"""What every command shares: its settings, its catalog, its two ways of answering, and its exit code."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from availability.catalog import Catalog, load_catalog
from availability.errors import EnhancedModelAvailabilityError, ModelNotFoundError, UsageError
from availability.inventory import known_ids
from availability.model import ModelId
from availability.outcome import ExitCode
from availability.settings import Effective, effective
from availability.workspace import Workspace

_LOGGERS = ("availability", "huggingface_hub", "urllib3")


@dataclass(frozen=True)
class Session:
    """One run of a command.

    Attributes:
        settings: what is in force, with origins.
        as_json: whether a program is asking.
    """

    settings: Effective
    as_json: bool

    @cached_property
    def workspace(self) -> Workspace:
        """The doors of this installation."""
        return Workspace(self.settings.settings)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog that the settings name."""
        settings = self.settings.settings
        return load_catalog(settings.catalog, required=settings.catalog_was_chosen)

    @cached_property
    def out(self) -> Console:
        """Where answers for people go."""
        return Console(highlight=False)

    @cached_property
    def err(self) -> Console:
        """Where progress and remarks go, so that standard output holds the answer and nothing else."""
        return Console(stderr=True, highlight=False)

    def resolve(self, text: str) -> ModelId:
        """Return the model that a text means.

        Raises:
            InvalidModelIdError, ModelNotFoundError: it means none.
        """
        return self.catalog.resolve(text, known_ids(self.workspace))

    def origin(self, name: str) -> str:
        """Return where the value of a setting comes from."""
        return next(value.origin for value in self.settings.values if value.name == name)

    def answer(self, models: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
        """Print the one JSON answer of a command."""
        click.echo(json.dumps({"models": list(models), "summary": dict(summary)}, indent=2, default=str))


@contextmanager
def session(overrides: Mapping[str, object], *, as_json: bool) -> Iterator[Session]:
    """Run a command: errors of usage become one clear message and exit code 2.

    Args:
        overrides: the command's options that are settings, by dotted name; None means not given.
        as_json: whether a program is asking.
    """
    debug = False
    try:
        settings = effective(overrides)
        debug = settings.settings.debug
        _set_up_logging(settings)
        for unknown in settings.unknown:
            click.echo(f"Warning: {unknown.sentence}", err=True)
        yield Session(settings, as_json)
    except UsageError as error:
        stop(error, ExitCode.WRONG_USAGE, as_json=as_json)
    except EnhancedModelAvailabilityError as error:
        if debug:
            raise
        code = ExitCode.NOT_VERIFIED if isinstance(error, ModelNotFoundError) else ExitCode.UNKNOWN
        stop(error, code, as_json=as_json)
    except OSError as error:
        if debug:
            raise
        click.echo(f"Error: {error.strerror}: {error.filename}", err=True)
        sys.exit(ExitCode.UNKNOWN)
    except KeyboardInterrupt:
        click.echo("Interrupted; what has arrived is kept.", err=True)
        sys.exit(130)


def stop(error: EnhancedModelAvailabilityError, code: ExitCode, *, as_json: bool) -> NoReturn:
    """Say what is wrong, and end with an exit code."""
    if as_json:
        click.echo(json.dumps({"models": [], "summary": {"exit_code": code, "error": error.as_dict()}}, indent=2))
    else:
        click.echo(describe(error), err=True)
    sys.exit(code)


def describe(error: EnhancedModelAvailabilityError) -> str:
    """Return an error as people read it: what happened, what was tried, what to do."""
    lines = [f"Error: {error.message}"]
    lines += [f"  tried: {line}" for line in error.tried]
    lines += [f"  to do: {line}" for line in error.advice]
    return "\n".join(lines)


store_option = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="The Hugging Face cache to work on, instead of the one in the settings.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def _set_up_logging(settings: Effective) -> None:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(settings.settings.log_level)

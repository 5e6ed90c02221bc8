"""What every command shares: its settings, its catalog, its two ways of answering, and its exit code."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypedDict

import click
from rich.console import Console

from availability.catalog import Catalog
from availability.error import ErrorRecord
from availability.errors import (
    DownloadCancelledError,
    EnhancedModelAvailabilityError,
    ModelNotFoundError,
    StorageError,
    UsageError,
)
from availability.logs import LogFile, Masked, set_levels
from availability.opening import catalog_of
from availability.outcome import ExitCode
from availability.settings import Effective, Settings, effective
from availability.workspace import Workspace

_UNFOLDED_COLUMNS = 1000


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
        return catalog_of(self.settings.settings)

    @cached_property
    def out(self) -> Console:
        """Where answers for people go; what is read by another program is not folded to a width nobody has."""
        return Console(highlight=False, width=None if sys.stdout.isatty() else _UNFOLDED_COLUMNS)

    @cached_property
    def err(self) -> Console:
        """Where progress and remarks go, so that standard output holds the answer and nothing else."""
        return Console(stderr=True, highlight=False)

    def end(self) -> None:
        """Leave what the command may have recorded to a shipper."""
        if "workspace" in vars(self):
            from commands.shipping import start_shipper  # noqa: PLC0415  only where there may be something to ship

            start_shipper(self.workspace)

    def origin(self, name: str) -> str:
        """Return where the value of a setting comes from."""
        return next(value.origin for value in self.settings.values if value.name == name)

    def answer(self, models: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
        """Print the one JSON answer of a command."""
        _print_json(models, summary)

    def tell(self, error: EnhancedModelAvailabilityError, model: str) -> None:
        """Say what is wrong with one of several models."""
        self.err.print(f"\n{describe(error, model)}", markup=False, soft_wrap=True)


class RefusalSummary(TypedDict):
    """The `summary` when the command as a whole came to nothing; `models` is empty then."""

    exit_code: int
    error: ErrorRecord


@contextmanager
def session(overrides: Mapping[str, object], *, as_json: bool, strict: bool = False) -> Iterator[Session]:
    """Run a command: errors of usage become one clear message and exit code 2.

    Args:
        overrides: the command's options that are settings, by dotted name; None means not given.
        as_json: whether a program is asking.
        strict: variables that look like settings and are none are an error, not a warning.
    """
    debug = False
    try:
        settings = effective(overrides, strict=strict)
        debug = settings.settings.debug
        _set_up_logging(settings.settings)
        for unknown in settings.unknown:
            click.echo(f"Warning: {unknown.sentence}", err=True)
        run = Session(settings, as_json)
        try:
            yield run
        finally:
            run.end()
    except UsageError as error:
        stop(error, ExitCode.WRONG_USAGE, as_json=as_json)
    except EnhancedModelAvailabilityError as error:
        if debug:
            traceback.print_exc()
        code = ExitCode.NOT_VERIFIED if isinstance(error, ModelNotFoundError) else ExitCode.UNKNOWN
        stop(error, code, as_json=as_json)
    except OSError as error:
        if debug:
            traceback.print_exc()
        stop(StorageError(f"{error.strerror or error}: {error.filename}"), ExitCode.UNKNOWN, as_json=as_json)
    except KeyboardInterrupt:
        interrupted = DownloadCancelledError(
            "interrupted; what has arrived is kept", advice=("Run the same command again: it goes on from there.",)
        )
        stop(interrupted, ExitCode.INTERRUPTED, as_json=as_json)


def stop(error: EnhancedModelAvailabilityError, code: ExitCode, *, as_json: bool) -> NoReturn:
    """Say what is wrong, and end with an exit code."""
    if as_json:
        _print_json([], RefusalSummary(exit_code=code, error=error.as_dict()))
    else:
        click.echo(describe(error), err=True)
    sys.exit(code)


def describe(error: EnhancedModelAvailabilityError, model: str = "") -> str:
    """Return an error as people read it: what happened, what was tried or found, what to do.

    Args:
        error: what to describe.
        model: which model it is about, where the sentence itself does not say.
    """
    about = f"{model}: " if model not in error.message else ""
    lines = [f"Error: {about}{error.message}"]
    lines += [f"  - {line}" for line in error.tried]
    lines += [f"  To do: {line}" for line in error.advice]
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in "\n".join(lines))


json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


class _LateStandardError(logging.StreamHandler[Any]):
    """Writes to what is standard error at that moment: while bars are shown, they lie in between."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.stream = sys.stderr
        super().emit(record)


def _set_up_logging(settings: Settings) -> None:
    """Let warnings reach people, everything the log file, and with `debug` everything both."""
    terminal = _LateStandardError()
    terminal.setFormatter(Masked("%(levelname)s %(name)s: %(message)s"))
    terminal.setLevel(logging.NOTSET if settings.debug else logging.WARNING)
    # Several commands may run in one process, each with settings of its own.
    handlers = [terminal, *([LogFile(settings)] if settings.log_file_mib else [])]
    for handler in [*logging.getLogger().handlers]:
        if isinstance(handler, _LateStandardError | LogFile):
            logging.getLogger().removeHandler(handler)
            handler.close()
    for handler in handlers:
        logging.getLogger().addHandler(handler)
    set_levels(settings)


def _print_json(models: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    click.echo(json.dumps({"models": list(models), "summary": dict(summary)}, indent=2, default=str))

"""`availability downloads`: see what is fetched and what waits, and say what shall become of it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict

import click
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from availability.catalog import Priority
from availability.controls import DownloadState, current_user
from availability.downloads import ListedDownload, find_download, list_downloads
from availability.errors import NoDownloadError
from availability.inventory import known_ids
from availability.managing import cancel, pause, request_again, resume, set_limit, set_priority
from availability.model import ModelId
from availability.outcome import ExitCode
from availability.requests import requests_for
from commands.common import Session, json_option, session, stop
from commands.ensure import ensure_and_show
from commands.options import SPEED, limit_option, pattern_options, setting_option, store_option

_PRIORITIES = click.Choice([priority.value for priority in Priority])


class DownloadsSummary(TypedDict):
    """The `summary` of `availability downloads … --json`: how many there are now, whatever was asked or ordered."""

    running: int
    queued: int
    paused: int
    slots: int
    bandwidth_limit_mbps: float
    exit_code: int


@click.group(name="downloads", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Manage downloads, whichever process or machine runs them: all that share the state folder.

    \b
    Exit codes:
      0  done; with start and resume: every model is verified
      1  there is no such download; with start and resume: a model is not
      2  wrong usage or settings; nothing was done
      3  the state folder cannot be read; with start and resume: nobody could say
    """  # noqa: D301  click's sign for lines that it must not fold


@command.command(name="list")
@click.option("--all", "ended", is_flag=True, help="List last how the other models' latest downloads ended, too.")
@store_option
@json_option
def list_(*, ended: bool, store: Path | None, as_json: bool) -> None:
    """List what runs, what waits in its order, and what is paused."""
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        sys.exit(_show(run, list_downloads(run.workspace, ended=ended)))


@command.command(name="pause")
@click.argument("model")
@store_option
@json_option
def pause_(model: str, *, store: Path | None, as_json: bool) -> None:
    """Stop the download of MODEL within a second, and keep it from starting until it is resumed.

    It holds over restarts, for whatever asks for the model. What has arrived is kept.
    """
    with _ordering(model, store, as_json=as_json) as (run, target):
        pause(run.workspace, run.catalog, target, by=current_user())


@command.command(name="cancel")
@click.argument("model")
@store_option
@json_option
def cancel_(model: str, *, store: Path | None, as_json: bool) -> None:
    """End the download of MODEL for good, whether it runs, waits or is paused. What has arrived is kept."""
    with _ordering(model, store, as_json=as_json) as (run, target):
        cancel(run.workspace, target, by=current_user())


@command.command(name="priority")
@click.argument("model")
@click.argument("priority", type=_PRIORITIES)
@store_option
@json_option
def priority_(model: str, priority: str, *, store: Path | None, as_json: bool) -> None:
    """Say how urgent the download of MODEL is; one that waits takes its new place at once."""
    with _ordering(model, store, as_json=as_json) as (run, target):
        set_priority(run.workspace, target, Priority(priority), by=current_user())


@command.command(name="limit")
@click.argument("model")
@click.argument("mbps", type=SPEED, metavar="MBIT/S")
@store_option
@json_option
def limit_(model: str, mbps: float, *, store: Path | None, as_json: bool) -> None:
    """Limit the speed of the download of MODEL alone, within a second; 0 lifts its limit."""
    with _ordering(model, store, as_json=as_json) as (run, target):
        set_limit(run.workspace, target, mbps, by=current_user())


@command.command(name="start")
@click.argument("models", nargs=-1, required=True)
@pattern_options
@click.option("--variant", metavar="NAME", help="A dtype (fp16), a quantisation (Q4_K_M) or a format (safetensors).")
@click.option("--priority", type=_PRIORITIES, help="How urgent it is; what the catalog says when not given.")
@setting_option("--max-retries", "download.max_retries")
@limit_option
@store_option
@json_option
def start_(
    models: Sequence[str],
    *,
    include: Sequence[str],
    exclude: Sequence[str],
    variant: str | None,
    priority: str | None,
    max_retries: int | None,
    bandwidth_limit_mbps: float,
    store: Path | None,
    as_json: bool,
) -> None:
    """Download MODELS in this process: what `availability ensure` does, with a priority."""
    overrides = {"storage.models_directory": store, "download.max_retries": max_retries}
    with session(overrides, as_json=as_json) as run:
        urgency = Priority(priority) if priority else None
        requests, refused = requests_for(
            run.workspace, run.catalog, models, include=include, exclude=exclude, variant=variant, priority=urgency
        )
        sys.exit(ensure_and_show(run, requests, refused, bandwidth_limit_mbps))


@command.command(name="resume")
@click.argument("model")
@click.option("--no-start", is_flag=True, help="Only lift the pause: whoever asks for the model next goes on.")
@setting_option("--max-retries", "download.max_retries")
@limit_option
@store_option
@json_option
def resume_(
    model: str,
    *,
    no_start: bool,
    max_retries: int | None,
    bandwidth_limit_mbps: float,
    store: Path | None,
    as_json: bool,
) -> None:
    """Let the paused download of MODEL go on: in this process, where it was, with the files asked for then."""
    if no_start:
        with _ordering(model, store, as_json=as_json) as (run, target):
            resume(run.workspace, target, by=current_user())
    overrides = {"storage.models_directory": store, "download.max_retries": max_retries}
    with session(overrides, as_json=as_json) as run, _refusals(as_json=as_json):
        target = _resolve(run, model)
        request = request_again(run.workspace, run.catalog, target)
        resume(run.workspace, target, by=current_user())
        sys.exit(ensure_and_show(run, [request], [], bandwidth_limit_mbps))


@contextmanager
def _ordering(model: str, store: Path | None, *, as_json: bool) -> Iterator[tuple[Session, ModelId]]:
    """Run a command that gives an order, then show what has become of the download."""
    with session({"storage.models_directory": store}, as_json=as_json) as run, _refusals(as_json=as_json):
        target = _resolve(run, model)
        yield run, target
        found = find_download(run.workspace, target)
        code = _show(run, [found] if found else [], f"No download of {target} runs, waits or is paused now.")
        if found and found.state.is_active and found.position is None and not as_json:
            run.out.print(f"  {target}: ordered; what runs follows within a second", markup=False, soft_wrap=True)
        sys.exit(code)


@contextmanager
def _refusals(*, as_json: bool) -> Iterator[None]:
    """Say that there is nothing that the order could be meant for, and end."""
    try:
        yield
    except NoDownloadError as error:
        stop(error, ExitCode.NOT_VERIFIED, as_json=as_json)


def _resolve(run: Session, model: str) -> ModelId:
    return run.catalog.resolve(model, frozenset(known_ids(run.workspace)))


def _show(run: Session, shown: Sequence[ListedDownload], nothing: str = "Nothing runs, waits or is paused.") -> int:
    if run.as_json:
        run.answer([download.as_dict() for download in shown], _summary(run))
        return ExitCode.OK
    run.out.print(_table(shown) if shown else nothing)
    for download in shown:
        note = _note(download)
        if note:
            run.out.print(f"  {download.model}: {note}", markup=False, soft_wrap=True)
    return ExitCode.OK


def _summary(run: Session) -> DownloadsSummary:
    now = list_downloads(run.workspace)
    limits = run.settings.settings.download
    queued = sum(one.position is not None for one in now)
    paused = sum(one.state is DownloadState.PAUSED for one in now)
    return DownloadsSummary(
        running=len(now) - queued - paused,
        queued=queued,
        paused=paused,
        slots=limits.max_concurrent_downloads,
        bandwidth_limit_mbps=limits.bandwidth_limit_mbps,
        exit_code=ExitCode.OK,
    )


def _table(shown: Sequence[ListedDownload]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in ("place", "done", "size", "speed", "left", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("priority", no_wrap=True)
    table.add_column("who", overflow="fold")
    for download in shown:
        told = download.as_dict()
        left = told["seconds_left"]
        table.add_row(
            escape(str(download.model)),
            f"[{_COLOURS[download.state]}]{download.state.value}",
            "" if download.position is None else str(download.position),
            "" if told["percent"] is None else f"{told['percent']:.0f} %",
            "" if told["bytes_total"] is None else decimal(told["bytes_total"]),
            "" if not told["bytes_per_second"] else f"{decimal(round(told['bytes_per_second']))}/s",
            "" if left is None else str(timedelta(seconds=round(left))),
            "" if not download.limit_mbps else f"{download.limit_mbps:g} Mbit/s",
            download.priority,
            escape(download.runner or ""),
        )
    return table


def _note(download: ListedDownload) -> str | None:
    waiting = download.as_dict()["waiting"]
    starts = download.starts_in_seconds
    if download.state is DownloadState.PAUSED:
        since = datetime.fromtimestamp(download.since).astimezone()
        how = f"availability downloads resume {download.model}"
        return f"{download.reason} since {since:%Y-%m-%d %H:%M}; let it go on: {how}"
    if download.position is not None and starts:
        return f"its turn comes in about {timedelta(seconds=round(starts))}"
    return download.reason or (waiting and f"waits: {waiting}")


_COLOURS = {
    DownloadState.QUEUED: "yellow",
    DownloadState.DOWNLOADING: "cyan",
    DownloadState.VERIFYING: "cyan",
    DownloadState.PAUSED: "yellow",
    DownloadState.COMPLETED: "green",
    DownloadState.FAILED: "red",
    DownloadState.CANCELLED: "red",
}

"""`availability status`: how available models are, from the disk alone."""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import click
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from availability.errors import ModelNotFoundError, UsageError
from availability.inventory import ModelStatus, known_ids, model_status
from availability.model import parse_model_id
from availability.outcome import ExitCode
from availability.overview import Overview, status_all
from availability.status import Availability
from commands.common import Session, json_option, session
from commands.options import store_option

_Answer = tuple[ModelStatus, ModelNotFoundError | None]


class StatusSummary(TypedDict):
    """The `summary` of `availability status --json`: how many there are of each word, and the disk they take.

    The figures are those of all models, whichever page is shown; `age_seconds` is how long ago the disk was looked at.
    """

    models: int
    available: int
    downloading: int
    missing: int
    corrupted: int
    updating: int
    total_storage_mb: float
    store: str
    age_seconds: float
    page: int
    pages: int
    exit_code: int


@click.command(name="status")
@click.argument("models", nargs=-1)
@click.option("--page", type=click.IntRange(min=1), help="Which page of all models to show.")
@click.option("--page-size", type=click.IntRange(min=1), metavar="MODELS", help="Models on a page; all when not given.")
@click.option("--refresh", is_flag=True, help="Read every record and reference anew, trusting no index of them.")
@store_option
@json_option
def command(
    models: Sequence[str], *, page: int | None, page_size: int | None, refresh: bool, store: Path | None, as_json: bool
) -> None:
    """Say how available MODELS are; without a name, all that the store, the catalog or a download knows.

    Reads the disk only: no network, no hashing.

    \b
    Exit codes:
      0  every model is available
      1  a model is not
      2  wrong usage or settings
      3  the store could not be read
    """  # noqa: D301  click's sign for lines that it must not fold
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        if models and (page or page_size or refresh):
            raise UsageError("--page, --page-size and --refresh are for all models; none may be named with them.")
        if refresh:
            run.workspace.overviews.forget()
        overview = None if models else status_all(run.workspace, run.catalog, page=page or 1, page_size=page_size)
        answers = _named(run, models) if overview is None else [(status, None) for status in overview.statuses]
        summary = _summary(run, answers) if overview is None else _summary_of_all(run, overview)
        if run.as_json:
            run.answer([status.as_dict(error) for status, error in answers], summary)
        else:
            _show(run, answers, summary)
        sys.exit(summary["exit_code"])


def _named(run: Session, texts: Sequence[str]) -> list[_Answer]:
    known = frozenset(known_ids(run.workspace))
    answers: list[_Answer] = []
    for text in texts:
        try:
            answers.append((model_status(run.workspace, run.catalog.resolve(text, known), run.catalog), None))
        except ModelNotFoundError as error:
            answers.append((model_status(run.workspace, parse_model_id(text), run.catalog), error))
    return answers


def _summary(run: Session, answers: Sequence[_Answer]) -> StatusSummary:
    statuses = [status for status, _ in answers]
    told = Counter(status.availability_status for status in statuses)
    counts = {word: told[word] for word in Availability}
    return _summary_of_all(run, Overview(statuses, counts, _stored_bytes(run, statuses), 0.0, 1, 1))


def _summary_of_all(run: Session, overview: Overview) -> StatusSummary:
    return StatusSummary(
        **overview.as_dict(),
        store=str(run.workspace.store.root),
        exit_code=ExitCode.OK if overview.all_available else ExitCode.NOT_VERIFIED,
    )


def _stored_bytes(run: Session, statuses: Sequence[ModelStatus]) -> int:
    """Return what these models take on the disk: revisions share content, and staging counts."""
    shown = {status.model.repo_id for status in statuses}
    return sum(size for model, size in run.workspace.store.stored_bytes().items() if model.repo_id in shown)


def _show(run: Session, answers: Sequence[_Answer], summary: StatusSummary) -> None:
    statuses = [status for status, _ in answers]
    if statuses:
        run.out.print(_table(statuses), "")
    counts = {
        "available": summary["available"],
        "downloading": summary["downloading"],
        "missing": summary["missing"],
        "corrupted": summary["corrupted"],
        "updating": summary["updating"],
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "No models"
    stored = decimal(round(summary["total_storage_mb"] * 1e6))
    page = f" (page {summary['page']} of {summary['pages']})" if summary["pages"] > 1 else ""
    run.out.print(f"{told}; {stored} in {summary['store']}{page}", markup=False, soft_wrap=True)
    for status, error in answers:
        if error is not None:
            run.tell(error, status.model.repo_id)
            continue
        for step in status.next_steps():
            run.out.print(f"  {status.model}: {step}", markup=False, soft_wrap=True)


def _table(statuses: Sequence[ModelStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("commit", no_wrap=True)
    table.add_column("checked", no_wrap=True)
    is_used = any(status.past.last_used for status in statuses)
    if is_used:
        table.add_column("uses a day", justify="right", no_wrap=True)
        table.add_column("last used", no_wrap=True)
    table.add_column("remark")
    for status in statuses:
        checked = status.oldest_check.astimezone() if status.oldest_check else None
        table.add_row(
            str(status.model),
            f"[{_COLOURS[status.availability_status]}]{status.availability_status.value}",
            "" if status.size_bytes is None else decimal(status.size_bytes),
            (status.commit or "")[:8],
            f"{checked:%Y-%m-%d %H:%M}" if checked else "",
            *(_uses(status) if is_used else ()),
            escape(_remark(status)),
        )
    return table


def _uses(status: ModelStatus) -> tuple[str, str]:
    past = status.past
    used = datetime.fromtimestamp(past.last_used, UTC).astimezone() if past.last_used else None
    return "" if past.uses_per_day is None else f"{past.uses_per_day:.1f}", f"{used:%Y-%m-%d %H:%M}" if used else ""


def _remark(status: ModelStatus) -> str:
    if status.is_running and status.download and status.download.progress:
        progress = status.download.progress
        return progress.waiting or f"{progress.percent:.0f} %"
    remarks = {
        "damaged": [damage["file"] for damage in status.damaged],
        "missing": status.missing,
        "unverified": status.unverified,
    }
    return ", ".join(f"{len(files)} {word}" for word, files in remarks.items() if files)


_COLOURS = {
    Availability.AVAILABLE: "green",
    Availability.UPDATING: "green",
    Availability.DOWNLOADING: "cyan",
    Availability.MISSING: "yellow",
    Availability.CORRUPTED: "red",
}

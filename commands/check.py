"""`availability check`: read what is stored, offline, and say what is wrong with it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import time
from typing import TypedDict

import click
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from availability.api import check
from availability.check import exit_code
from availability.checks import CheckOutcome
from availability.checkup import observe_health
from availability.error import ErrorRecord
from availability.errors import UsageError
from availability.health import HealthRecord, HealthReport
from availability.outcome import ExitCode
from commands.common import Session, json_option, session
from commands.health import HEALTH_COLOURS, show_findings
from commands.options import DURATION, setting_option, store_option

_SECONDS_A_DAY = 24 * 3600


class CheckAnswer(HealthRecord):
    """One model as `availability check --json` tells it: its health, and how far the check has come.

    `oldest_check` is when the byte that was read longest ago was read; `is_complete` whether this run read all that it
    set out to; `reused` whether this is an earlier result that still holds.
    """

    unverified_files: list[str]
    oldest_check: str | None
    is_complete: bool
    reused: bool
    error: ErrorRecord | None


class CheckSummary(TypedDict):
    """The `summary` of `availability check --json`; `coverage` is the share of all their bytes that this run judged."""

    models: int
    healthy: int
    findings: int
    bytes_read: int
    bytes_total: int
    coverage: float | None
    seconds: float
    oldest_check_age_days: float | None
    exit_code: int


@click.command(name="check")
@click.argument("models", nargs=-1)
@click.option("--everything", is_flag=True, help="Every model in the store, not only those of the catalog.")
@click.option("--quick", is_flag=True, help="Only names, links and signatures; read no content.")
@click.option("--share", metavar="PART", help="Read a part of all bytes, such as 1/7, the longest unread first.")
@click.option(
    "--within-days",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DAYS",
    help="Read what is due, so that every byte is read within so many days.",
)
@click.option("--max-duration", type=DURATION, help="Stop after so long, such as 90s, 30m or 2h; the rest comes next.")
@setting_option("--max-mib-per-second", "health.max_mib_per_second")
@click.option("--from-memory", is_flag=True, help="Read through the page cache: faster, blind to what the disk has.")
@click.option("--force", is_flag=True, help="Check anew, however young the last result is.")
@store_option
@json_option
def command(
    models: Sequence[str],
    *,
    everything: bool,
    quick: bool,
    share: str | None,
    within_days: float | None,
    max_duration: float | None,
    max_mib_per_second: float | None,
    from_memory: bool,
    force: bool,
    store: Path | None,
    as_json: bool,
) -> None:
    """Read MODELS from the disk and say what is wrong with them; without a name, those of the catalog.

    Offline: every byte is held against its recorded digest. Nothing is repaired and nothing is fetched.

    \b
    Exit codes:
      0  nothing is wrong
      1  something is
      2  wrong usage or settings; nothing was read
      3  a model could not be checked
    """  # noqa: D301  click's sign for lines that it must not fold
    if models and everything:
        raise click.UsageError("Name models, or use --everything.")
    if sum((quick, share is not None, within_days is not None)) > 1:
        raise click.UsageError("Only one of --quick, --share and --within-days can be meant.")
    overrides = {"storage.models_directory": store, "health.max_mib_per_second": max_mib_per_second}
    with session(overrides, as_json=as_json) as run, _stopping() as stop, _spinner(run) as on_outcome:
        outcomes = check(
            models,
            everything=everything,
            mode="quick" if quick else "share" if share or within_days else "full",
            share=share,
            within_days=within_days,
            max_seconds=max_duration,
            from_memory=from_memory,
            force=force,
            on_outcome=on_outcome,
            stop=stop,
            workspace=run.workspace,
        )
        if not outcomes:
            raise UsageError(
                "There is nothing to check: no model of the catalog is in the store.",
                advice=("Check what is in the store: availability check --everything",),
            )
        reports = [observe_health(run.workspace, outcome.model, run.catalog, outcome=outcome) for outcome in outcomes]
        summary = _summary(outcomes, reports)
        _show(run, outcomes, reports, summary)
        sys.exit(summary["exit_code"])


@contextmanager
def _stopping() -> Iterator[Event]:
    """Let threads that read come to their end when somebody presses Ctrl-C."""
    stop = Event()
    try:
        yield stop
    finally:
        stop.set()


class _Told:
    """Shows which models are done."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._count = 0
        self._task = bar.add_task("Reading ...") if bar else None

    def __call__(self, outcome: CheckOutcome) -> None:
        self._count += 1
        if self._bar is not None and self._task is not None:
            told = f"{self._count} checked, last {outcome.model} ({decimal(outcome.bytes_read)} read)"
            self._bar.update(self._task, description=escape(told))


@contextmanager
def _spinner(run: Session) -> Iterator[_Told]:
    if run.as_json or not run.err.is_terminal:
        yield _Told(None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=run.err, transient=True) as bar:
        yield _Told(bar)


def _summary(outcomes: Sequence[CheckOutcome], reports: Sequence[HealthReport]) -> CheckSummary:
    total = sum(outcome.bytes_total for outcome in outcomes)
    judged = sum(outcome.coverage * outcome.bytes_total for outcome in outcomes)
    oldest = [outcome.oldest_check for outcome in outcomes if outcome.oldest_check is not None]
    code = exit_code(outcomes)
    if code is ExitCode.OK and not all(report.is_healthy for report in reports):
        code = ExitCode.NOT_VERIFIED
    return CheckSummary(
        models=len(outcomes),
        healthy=sum(report.is_healthy for report in reports),
        findings=sum(len(report.findings) for report in reports),
        bytes_read=sum(0 if outcome.reused else outcome.bytes_read for outcome in outcomes),
        bytes_total=total,
        coverage=round(judged / total, 6) if total else None,
        seconds=round(sum(0.0 if outcome.reused else outcome.seconds for outcome in outcomes), 3),
        oldest_check_age_days=round((time() - min(oldest)) / _SECONDS_A_DAY, 3) if oldest else None,
        exit_code=code,
    )


def _show(
    run: Session, outcomes: Sequence[CheckOutcome], reports: Sequence[HealthReport], summary: CheckSummary
) -> None:
    if run.as_json:
        run.answer([_answer(*pair) for pair in zip(outcomes, reports, strict=True)], summary)
        return
    run.out.print(_table(outcomes, reports))
    for outcome, report in zip(outcomes, reports, strict=True):
        if outcome.error is not None:
            run.tell(outcome.error, str(outcome.model))
        else:
            show_findings(run, report)
    coverage = "nothing to read" if summary["coverage"] is None else f"{summary['coverage']:.0%} of the bytes judged"
    age = summary["oldest_check_age_days"]
    oldest = "" if age is None else f"; the oldest check is {age:.1f} days old"
    read = f"{decimal(summary['bytes_read'])} read in {summary['seconds']:.1f} s"
    run.out.print(f"\n{summary['healthy']} of {summary['models']} healthy; {read}, {coverage}{oldest}.")


def _answer(outcome: CheckOutcome, report: HealthReport) -> CheckAnswer:
    told = outcome.as_dict()
    return CheckAnswer(
        **report.as_dict(),
        unverified_files=told["unverified_files"],
        oldest_check=told["oldest_check"],
        is_complete=told["is_complete"],
        reused=told["reused"],
        error=told["error"],
    )


def _table(outcomes: Sequence[CheckOutcome], reports: Sequence[HealthReport]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("health", no_wrap=True)
    for heading in ("read", "coverage", "findings"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome, report in zip(outcomes, reports, strict=True):
        score = "" if report.overall_score is None else f" {report.overall_score:.2f}"
        word = "healthy" if report.is_healthy else "not healthy"
        table.add_row(
            str(outcome.model),
            report.availability_status.value,
            f"[{HEALTH_COLOURS[report.is_healthy]}]{word}{score}",
            "reused" if outcome.reused else decimal(outcome.bytes_read),
            f"{outcome.coverage:.0%}",
            str(len(report.findings)),
        )
    return table

"""`availability health`: how healthy everything in the store is, or single models, without reading content."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import click
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from availability.checkup import observe_health, observe_system
from availability.health import HealthReport
from availability.inventory import known_ids
from availability.outcome import ExitCode
from availability.system_health import StorageRecord, SystemHealth
from commands.common import Session, json_option, session
from commands.options import store_option

HEALTH_COLOURS = {True: "green", False: "red"}

_LEVEL_COLOURS = {"ok": "green", "warning": "yellow", "critical": "red"}
_BAR_WIDTH = 30
_MOST_SHOWN = 10


class HealthSummary(TypedDict):
    """The `summary` of `availability health --json`: the whole store, whichever models are named."""

    checked_at: str
    overall_score: float | None
    models: int
    healthy: int
    degraded: int
    corrupted: int
    missing: int
    downloading: int
    storage: StorageRecord
    recommendations: list[str]
    age_seconds: float
    exit_code: int


@click.command(name="health")
@click.argument("models", nargs=-1)
@click.option("--refresh", is_flag=True, help="Look at the disk anew, however young the last look is.")
@store_option
@json_option
def command(models: Sequence[str], *, refresh: bool, store: Path | None, as_json: bool) -> None:
    """Say how healthy everything is, or MODELS: scores, room on the disk, what is worst, and what to do.

    Reads headers and signatures, and the results of earlier checks; `availability check` reads content.

    \b
    Exit codes:
      0  everything that was asked about is healthy, and there is room
      1  it is not
      2  wrong usage or settings
      3  the store could not be read
    """  # noqa: D301  click's sign for lines that it must not fold
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        system = observe_system(run.workspace, run.catalog, refresh=refresh)
        if not models:
            summary = _summary(system, is_well=_is_well(system))
            _show_system(run, system, summary)
            sys.exit(summary["exit_code"])
        known = frozenset(known_ids(run.workspace))
        named = [run.catalog.resolve(text, known) for text in models]
        reports = [observe_health(run.workspace, model, run.catalog) for model in named]
        summary = _summary(system, is_well=all(report.is_healthy for report in reports))
        _show_models(run, reports, summary)
        sys.exit(summary["exit_code"])


def _is_well(system: SystemHealth) -> bool:
    return system.storage_level != "critical" and all(model.is_healthy for model in system.models)


def _summary(system: SystemHealth, *, is_well: bool) -> HealthSummary:
    told = system.as_dict()
    return HealthSummary(
        checked_at=told["checked_at"],
        overall_score=told["overall_score"],
        models=told["models"],
        healthy=told["healthy"],
        degraded=told["degraded"],
        corrupted=told["corrupted"],
        missing=told["missing"],
        downloading=told["downloading"],
        storage=told["storage"],
        recommendations=told["recommendations"],
        age_seconds=told["age_seconds"],
        exit_code=ExitCode.OK if is_well else ExitCode.NOT_VERIFIED,
    )


def _show_system(run: Session, system: SystemHealth, summary: HealthSummary) -> None:
    worst = system.as_dict()["worst_models"]
    if run.as_json:
        run.answer(worst, summary)
        return
    score = "" if system.overall_score is None else f", overall score {system.overall_score:.2f}"
    counts = ", ".join(f"{count} {word}" for word, count in system.counts.items() if count) or "no models"
    run.out.print(f"{counts}{score}")
    run.out.print(_storage_bar(system))
    if worst:
        table = Table(box=None, pad_edge=False)
        for heading in ("worst first", "status", "score"):
            table.add_column(heading, overflow="fold", justify="right" if heading == "score" else "left")
        for model in worst[:_MOST_SHOWN]:
            known = "" if model["overall_score"] is None else f"{model['overall_score']:.2f}"
            table.add_row(escape(model["model_id"]), model["availability_status"], known)
        run.out.print("", table)
        if len(worst) > _MOST_SHOWN:
            run.out.print(f"... and {len(worst) - _MOST_SHOWN} more")
    for sentence in system.recommendations:
        run.out.print(f"  {sentence}", markup=False, soft_wrap=True)


def _storage_bar(system: SystemHealth) -> str:
    room = system.storage
    filled = round(min(100.0, room.used_percent) / 100 * _BAR_WIDTH)
    colour = _LEVEL_COLOURS[system.storage_level]
    bar = f"[{colour}]{'━' * filled}[/{colour}]{'─' * (_BAR_WIDTH - filled)}"
    used = f"{room.used_percent:.0f} % used ({system.storage_level})"
    quota = f" of a quota of {decimal(room.quota_bytes)}" if room.quota_bytes else ""
    free = f"models take {decimal(room.models_bytes)}{quota}, {decimal(room.disk.free_bytes)} free on the disk"
    return f"storage {bar} {used}: {free}"


def _show_models(run: Session, reports: Sequence[HealthReport], summary: HealthSummary) -> None:
    if run.as_json:
        run.answer([report.as_dict() for report in reports], summary)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("status", no_wrap=True)
    names = list(dict.fromkeys(name for report in reports for name in report.scores))
    for heading in (*names, "overall"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        scores = [report.scores.get(name) for name in names]
        told = ["" if score is None else f"{score:.2f}" for score in (*scores, report.overall_score)]
        colour = HEALTH_COLOURS[report.is_healthy]
        table.add_row(str(report.model), f"[{colour}]{report.availability_status.value}", *told)
    run.out.print(table)
    for report in reports:
        show_findings(run, report)


def show_findings(run: Session, report: HealthReport) -> None:
    """Say what is wrong with a model and what to do about it, for people."""
    for finding in report.findings:
        told = finding.as_dict()
        about = f"{report.model} {told['file']}".rstrip()
        ranges = ", ".join(f"{start}-{stop}" for start, stop in told["ranges"][:_MOST_SHOWN])
        where = f" (bytes {ranges}{', ...' if len(told['ranges']) > _MOST_SHOWN else ''})" if ranges else ""
        line = f"  {told['severity']}: {about}: {told['kind']}{where}: {told['cause']}"
        run.out.print(line, markup=False, soft_wrap=True)
    for sentence in report.recommendations:
        run.out.print(f"  To do: {sentence}", markup=False, soft_wrap=True)

"""`availability ensure`: make models available, and say how it went."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.filesize import decimal
from rich.table import Table

from availability.ensure import Request, ensure_all, plan_one, request_for
from availability.errors import ModelNotFoundError, OfflineError, TransientError
from availability.outcome import EnsureOutcome, ExitCode, refused_outcome, summarise
from availability.plan import Plan
from commands.bars import progress_bars
from commands.common import Session, describe, json_option, session, store_option


@click.command(name="ensure")
@click.argument("models", nargs=-1)
@click.option("--all", "whole_catalog", is_flag=True, help="Every model of the catalog, the most urgent first.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files that match, such as '*.json'; repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No files that match; repeatable.")
@click.option("--variant", metavar="NAME", help="A dtype (fp16), a quantisation (Q4_K_M) or a format (safetensors).")
@click.option("--dry-run", is_flag=True, help="Show files and bytes; fetch and write nothing.")
@click.option("--max-retries", type=int, help="Retries after the first attempt.")
@click.option("--bandwidth-limit-mbps", type=float, help="Speed limit in megabits per second; 0 for none.")
@store_option
@json_option
def command(
    models: Sequence[str],
    *,
    whole_catalog: bool,
    include: Sequence[str],
    exclude: Sequence[str],
    variant: str | None,
    dry_run: bool,
    max_retries: int | None,
    bandwidth_limit_mbps: float | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Make MODELS (org/name[@revision], or an alias of the catalog) available: verified, complete, ready to use.

    What is there and proven is left alone, what is there and not proven is verified, what is missing or damaged is
    fetched, and continues where an earlier run left off. Ends with 0 only when every model is verified.
    """
    if not models and not whole_catalog:
        raise click.UsageError("Name a model (org/name), or use --all for the whole catalog.")
    overrides = {
        "storage.models_directory": store,
        "download.max_retries": max_retries,
        "download.bandwidth_limit_mbps": bandwidth_limit_mbps,
    }
    with session(overrides, as_json=as_json) as run:
        requests, refused = _requests(run, models, include, exclude, variant, whole_catalog=whole_catalog)
        sys.exit(_dry_run(run, requests, refused) if dry_run else _ensure(run, requests, refused))


def _requests(
    run: Session,
    texts: Sequence[str],
    include: Sequence[str],
    exclude: Sequence[str],
    variant: str | None,
    *,
    whole_catalog: bool,
) -> tuple[list[Request], list[EnsureOutcome]]:
    """Return what is asked for, once each, and an outcome for each name that nobody knows."""
    requests: dict[object, Request] = {}
    refused: list[EnsureOutcome] = []
    ids = list(texts) + ([str(entry.model) for entry in run.catalog] if whole_catalog else [])
    for text in ids:
        try:
            model = run.resolve(text)
        except ModelNotFoundError as error:
            refused.append(refused_outcome(text, error))
            continue
        requests[model] = request_for(
            model,
            run.catalog.entry(model),
            include=include,
            exclude=exclude,
            variant=variant,
            pickle_policy=run.settings.settings.admission.pickle_policy,
        )
    return list(requests.values()), refused


def _ensure(run: Session, requests: Sequence[Request], refused: Sequence[EnsureOutcome]) -> ExitCode:
    settings = run.settings.settings.download
    limit = f"{settings.bandwidth_limit_mbps:g} Mbit/s" if settings.bandwidth_limit_mbps else "none"
    remark = f"Speed limit: {limit} ({run.origin('download.bandwidth_limit_mbps')})"
    with progress_bars(run.err, remark, hidden=run.as_json) as listener:
        outcomes = [*ensure_all(run.workspace, requests, catalog=run.catalog, on_progress=listener), *refused]
    summary = summarise(outcomes)
    if run.as_json:
        run.answer([outcome.as_dict() for outcome in outcomes], summary)
    else:
        run.out.print(_outcome_table(outcomes))
        for outcome in outcomes:
            if outcome.error is not None:
                run.err.print(f"\n{outcome.model_id}: {describe(outcome.error)}", markup=False)
    return ExitCode(summary["exit_code"])


def _outcome_table(outcomes: Sequence[EnsureOutcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "status", "size", "fetched", "attempts", "seconds", "path"):
        table.add_column(heading, overflow="fold", justify="right" if heading in _FIGURES else "left")
    for outcome in outcomes:
        table.add_row(
            outcome.model_id if outcome.revision == "main" else f"{outcome.model_id}@{outcome.revision}",
            outcome.availability_status if outcome.success else f"[red]{outcome.availability_status}[/red]",
            "" if outcome.bytes_total is None else decimal(outcome.bytes_total),
            decimal(outcome.bytes_fetched),
            str(outcome.attempts),
            f"{outcome.seconds:.1f}",
            str(outcome.path or ""),
        )
    return table


def _dry_run(run: Session, requests: Sequence[Request], refused: Sequence[EnsureOutcome]) -> ExitCode:
    answers = [(request, plan_one(run.workspace, request)) for request in requests]
    plans = [answer for _, answer in answers if isinstance(answer, Plan)]
    failures = [
        (str(request.model), answer) for request, answer in answers if not isinstance(answer, Plan)
    ] + [(outcome.model_id, outcome.error) for outcome in refused if outcome.error]
    unknown = any(isinstance(error, TransientError | OfflineError) for _, error in failures)
    code = ExitCode.OK if not failures else ExitCode.UNKNOWN if unknown else ExitCode.NOT_VERIFIED
    summary = {
        "requested": len(requests) + len(refused),
        "planned": len(plans),
        "failed": len(failures),
        "bytes_total": sum(plan.bytes_total for plan in plans),
        "bytes_to_fetch": sum(plan.bytes_to_fetch for plan in plans),
        "exit_code": code,
    }
    if run.as_json:
        records = [dict(plan.as_dict()) for plan in plans]
        run.answer([*records, *({"model_id": name, "error": error.as_dict()} for name, error in failures)], summary)
        return code
    for plan in plans:
        run.out.print(_plan_table(plan))
    for name, error in failures:
        run.err.print(f"\n{name}: {describe(error)}", markup=False)
    run.out.print(f"\nTo fetch: {decimal(int(summary['bytes_to_fetch']))}. Nothing was written.")
    return code


def _plan_table(plan: Plan) -> Table:
    commit = plan.listing.commit
    table = Table(title=f"{plan.listing.model} ({commit[:12]})", title_justify="left", box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("what would happen")
    table.add_column("to fetch", justify="right")
    for item in plan.as_dict()["files"]:
        fetched = decimal(item["bytes_to_fetch"]) if item["bytes_to_fetch"] else ""
        table.add_row(item["path"], decimal(item["size"]), item["action"], fetched)
    for path, reason in plan.choice.left_out:
        table.add_row(path, "", f"left out: {reason}", "")
    return table


_FIGURES = frozenset(("size", "fetched", "attempts", "seconds"))

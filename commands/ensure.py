"""`availability ensure`: make models available, and say how it went."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.filesize import decimal

from availability.ensure import Request, ensure_all, plan_one, requests_for
from availability.errors import OfflineError, TransientError
from availability.outcome import EnsureOutcome, ExitCode, summarise
from availability.plan import Plan
from commands.bars import progress_bars
from commands.common import Session, describe, json_option, session, store_option
from commands.tables import plan_table, show_outcomes


@click.command(name="ensure")
@click.argument("models", nargs=-1)
@click.option("--all", "whole_catalog", is_flag=True, help="Every model of the catalog, the most urgent first.")
@click.option(
    "--include", multiple=True, metavar="PATTERN", help="Only files that match, such as '*.json'; repeatable."
)
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
    if bool(models) == whole_catalog:
        raise click.UsageError("Name models (org/name), or use --all for the whole catalog.")
    overrides = {
        "storage.models_directory": store,
        "download.max_retries": max_retries,
        "download.bandwidth_limit_mbps": bandwidth_limit_mbps,
    }
    with session(overrides, as_json=as_json) as run:
        requests, refused = requests_for(
            run.workspace, run.catalog, models, include=include, exclude=exclude, variant=variant
        )
        sys.exit(_dry_run(run, requests, refused) if dry_run else _ensure(run, requests, refused))


def _ensure(run: Session, requests: Sequence[Request], refused: Sequence[EnsureOutcome]) -> int:
    settings = run.settings.settings.download
    limit = f"{settings.bandwidth_limit_mbps:g} Mbit/s" if settings.bandwidth_limit_mbps else "none"
    remark = f"Speed limit: {limit} ({run.origin('download.bandwidth_limit_mbps')})"
    with progress_bars(run.err, remark, hidden=run.as_json) as listener:
        outcomes = [*ensure_all(run.workspace, requests, catalog=run.catalog, on_progress=listener), *refused]
    summary = summarise(outcomes)
    show_outcomes(run, outcomes, summary)
    return summary["exit_code"]


def _dry_run(run: Session, requests: Sequence[Request], refused: Sequence[EnsureOutcome]) -> ExitCode:
    answers = [(request, plan_one(run.workspace, request)) for request in requests]
    plans = [answer for _, answer in answers if isinstance(answer, Plan)]
    failures = [(str(request.model), answer) for request, answer in answers if not isinstance(answer, Plan)] + [
        (outcome.model_id, outcome.error) for outcome in refused if outcome.error
    ]
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
        run.out.print(plan_table(plan))
    for name, error in failures:
        run.err.print(f"\n{name}: {describe(error)}", markup=False, soft_wrap=True)
    run.out.print(f"\nTo fetch: {decimal(int(summary['bytes_to_fetch']))}. Nothing was written.")
    return code

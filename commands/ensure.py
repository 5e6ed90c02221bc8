"""`availability ensure`: make models available, and say how it went."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import click
from rich.filesize import decimal

from availability.ensure import Request, ensure_all, name_near_ones, plan_one, requests_for
from availability.errors import ModelNotFoundError, UsageError
from availability.model import ModelId
from availability.outcome import NOBODY_COULD_SAY, EnsureOutcome, exit_code_of, summarise
from availability.plan import Plan, unplanned
from commands.bars import progress_bars
from commands.common import Session, json_option, session
from commands.options import pattern_options, setting_option, store_option
from commands.tables import plan_table, show_outcomes


class DryRunSummary(TypedDict):
    """The `summary` of `availability ensure --dry-run --json`; its counts are those of `EnsureSummary`."""

    requested: int
    planned: int
    failed: int
    unknown: int
    bytes_total: int
    bytes_to_fetch: int
    exit_code: int


@click.command(name="ensure")
@click.argument("models", nargs=-1)
@click.option("--all", "whole_catalog", is_flag=True, help="Every model of the catalog, the most urgent first.")
@pattern_options
@click.option("--variant", metavar="NAME", help="A dtype (fp16), a quantisation (Q4_K_M) or a format (safetensors).")
@click.option("--dry-run", is_flag=True, help="Show files and bytes; fetch and write nothing.")
@setting_option("--max-retries", "download.max_retries")
@setting_option("--bandwidth-limit-mbps", "download.bandwidth_limit_mbps")
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
    """Make MODELS available: complete, verified, ready to use.

    A model is org/name[@revision], or an alias of the catalog. What is there and proven is left alone, what is there
    and not proven is verified, what is missing or damaged is fetched, going on where an earlier run left off.

    \b
    Exit codes:
      0  every model is verified
      1  a model is not
      2  wrong usage or settings; nothing was started
      3  nobody could be asked what a model must be (no network, hub down)
    """  # noqa: D301  click's sign for lines that it must not fold
    if bool(models) == whole_catalog:
        raise click.UsageError("Name models (org/name), or use --all for the whole catalog.")
    overrides = {
        "storage.models_directory": store,
        "download.max_retries": max_retries,
        "download.bandwidth_limit_mbps": bandwidth_limit_mbps,
    }
    with session(overrides, as_json=as_json) as run:
        if whole_catalog and not len(run.catalog):
            raise UsageError(f"The catalog {run.catalog.path} names no models, so --all would do nothing.")
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


def _dry_run(run: Session, requests: Sequence[Request], refused: Sequence[EnsureOutcome]) -> int:
    plans: list[Plan] = []
    failures = [(ModelId(outcome.model_id, outcome.revision), outcome.error) for outcome in refused if outcome.error]
    for request in requests:
        answer = plan_one(run.workspace, request)
        if isinstance(answer, ModelNotFoundError):
            answer = name_near_ones(run.workspace, run.catalog, answer)
        if isinstance(answer, Plan):
            plans.append(answer)
        else:
            failures.append((request.model, answer))
    unknown = sum(isinstance(error, NOBODY_COULD_SAY) for _, error in failures)
    code = exit_code_of(failed=len(failures), unknown=unknown)
    to_fetch = sum(plan.bytes_to_fetch for plan in plans)
    if run.as_json:
        summary = DryRunSummary(
            requested=len(requests) + len(refused),
            planned=len(plans),
            failed=len(failures),
            unknown=unknown,
            bytes_total=sum(plan.bytes_total for plan in plans),
            bytes_to_fetch=to_fetch,
            exit_code=code,
        )
        run.answer([*(plan.as_dict() for plan in plans), *(unplanned(*failure) for failure in failures)], summary)
        return code
    for plan in plans:
        run.out.print(plan_table(plan), "")
    for model, error in failures:
        run.tell(error, model.repo_id)
    run.out.print(f"To fetch: {decimal(to_fetch)}. Nothing was written.")
    return code

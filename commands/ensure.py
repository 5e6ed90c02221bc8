"""`availability ensure`: make models available, and say how it went."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import click
from rich.filesize import decimal

from availability.ensure import ensure_all, name_near_ones, plan_one
from availability.errors import ModelNotFoundError
from availability.model import ModelId
from availability.outcome import NOBODY_COULD_SAY, EnsureOutcome, exit_code_of, summarise
from availability.plan import Plan, unplanned
from availability.requests import Request, requests_for
from availability.sweep import record_end
from commands.bars import progress_bars
from commands.common import Session, json_option, session
from commands.options import limit_option, pattern_options, setting_option, store_option
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
@limit_option
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
    bandwidth_limit_mbps: float,
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
    overrides = {"storage.models_directory": store, "download.max_retries": max_retries}
    with session(overrides, as_json=as_json) as run:
        if whole_catalog:
            run.catalog.require_models()
        requests, refused = requests_for(
            run.workspace, run.catalog, models, include=include, exclude=exclude, variant=variant
        )
        if dry_run:
            sys.exit(_dry_run(run, requests, refused))
        sys.exit(ensure_and_show(run, requests, refused, bandwidth_limit_mbps, whole_catalog=whole_catalog))


def ensure_and_show(
    run: Session,
    requests: Sequence[Request],
    refused: Sequence[EnsureOutcome],
    limit_mbps: float,
    *,
    whole_catalog: bool = False,
) -> int:
    """Make what is asked for available in this process, answer, and return the exit code.

    Args:
        run: the command's session.
        requests: what.
        refused: outcomes of names that nobody knows, to be told with the others.
        limit_mbps: the speed limit of this run alone, in Mbit/s; 0 is none.
        whole_catalog: whether nothing was named, so that it is the catalog that was ensured.
    """
    with progress_bars(run.err, _speed_limit(run, limit_mbps), hidden=run.as_json) as listener:
        brought = ensure_all(run.workspace, requests, catalog=run.catalog, on_progress=listener, limit_mbps=limit_mbps)
    record_end(run.workspace, run.catalog, brought, refused, whole_catalog=whole_catalog)
    outcomes = [*brought, *refused]
    summary = summarise(outcomes)
    show_outcomes(run, outcomes, summary)
    return summary["exit_code"]


def _speed_limit(run: Session, limit_mbps: float) -> str:
    shared = run.settings.settings.download.bandwidth_limit_mbps
    origin = run.origin("download.bandwidth_limit_mbps")
    told = [f"{limit_mbps:g} Mbit/s (this run)"] if limit_mbps else []
    told += [f"{shared:g} Mbit/s ({origin}, all downloads together)"] if shared else []
    return f"Speed limit: {', '.join(told) or f'none ({origin})'}"


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
    run.out.print(f"To fetch: {decimal(to_fetch) if plans else 'not known'}. Nothing was written.")
    return code

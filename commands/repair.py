"""`availability repair`: mend a model by the least that mends it, and say what a check afterwards saw."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict, cast, get_args

import click
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from availability.inventory import known_ids
from availability.mending import repair_model
from availability.outcome import NOBODY_COULD_SAY, exit_code_of
from availability.repairs import RepairOutcome, RepairType
from commands.bars import progress_bars
from commands.common import Session, json_option, session
from commands.options import store_option


class RepairSummary(TypedDict):
    """The `summary` of `availability repair --json`."""

    models: int
    repaired: int
    failed: int
    bytes_fetched: int
    exit_code: int


@click.command(name="repair")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--type",
    "repair_type",
    type=click.Choice(get_args(RepairType)),
    default="auto",
    show_default=True,
    help="The one kind of action that may be taken.",
)
@click.option("--dry-run", is_flag=True, help="Check, and show what would be done; fetch and write nothing.")
@click.option("--from-memory", is_flag=True, help="Check through the page cache: faster, blind to what the disk has.")
@store_option
@json_option
def command(
    models: Sequence[str],
    *,
    repair_type: str,
    dry_run: bool,
    from_memory: bool,
    store: Path | None,
    as_json: bool,
) -> None:
    """Repair MODELS: check, fetch only what is damaged, heal it in place, check again.

    \b
    Exit codes:
      0  every model is intact now (with --dry-run: could be planned)
      1  a model is not
      2  wrong usage or settings; nothing was done
      3  nobody could be asked for the right bytes
    """  # noqa: D301  click's sign for lines that it must not fold
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        known = frozenset(known_ids(run.workspace))
        named = list(dict.fromkeys(run.catalog.resolve(text, known) for text in models))
        outcomes: list[RepairOutcome] = []
        with progress_bars(run.err, "", hidden=run.as_json) as listener:
            for model in named:
                told = partial(listener, model) if listener else None
                kind = cast("RepairType", repair_type)
                outcomes.append(
                    repair_model(run.workspace, model, kind, dry_run=dry_run, from_memory=from_memory, on_progress=told)
                )
        summary = _summary(outcomes)
        _show(run, outcomes, summary)
        sys.exit(summary["exit_code"])


def _is_well(outcome: RepairOutcome) -> bool:
    return outcome.error is None if outcome.dry_run else outcome.success


def _summary(outcomes: Sequence[RepairOutcome]) -> RepairSummary:
    failed = [outcome for outcome in outcomes if not _is_well(outcome)]
    unknown = sum(isinstance(outcome.error, NOBODY_COULD_SAY) and outcome.before is None for outcome in failed)
    return RepairSummary(
        models=len(outcomes),
        repaired=sum(outcome.success and bool(outcome.actions) and not outcome.dry_run for outcome in outcomes),
        failed=len(failed),
        bytes_fetched=sum(outcome.bytes_fetched for outcome in outcomes),
        exit_code=exit_code_of(failed=len(failed), unknown=unknown),
    )


def _show(run: Session, outcomes: Sequence[RepairOutcome], summary: RepairSummary) -> None:
    if run.as_json:
        run.answer([outcome.as_dict() for outcome in outcomes], summary)
        return
    for outcome in outcomes:
        run.out.print(f"[bold]{escape(str(outcome.model))}[/bold]: {_verdict(outcome)}")
        if outcome.actions:
            run.out.print(_table(outcome))
        if outcome.error is not None:
            run.tell(outcome.error, str(outcome.model))


def _verdict(outcome: RepairOutcome) -> str:
    if outcome.dry_run and outcome.error is None:
        needed = sum(step.bytes_needed for step in outcome.actions)
        return f"{decimal(needed)} would be fetched; nothing was written" if outcome.actions else "nothing to repair"
    if not outcome.success:
        return "[red]not repaired[/red]"
    if not outcome.actions:
        return "[green]intact[/green], nothing to repair"
    return f"[green]repaired[/green], {decimal(outcome.bytes_fetched)} fetched in {outcome.seconds:.1f} s"


def _table(outcome: RepairOutcome) -> Table:
    words = {
        True: "[green]done[/green]",
        False: "[red]failed[/red]",
        None: "planned" if outcome.dry_run else "not done",
    }
    table = Table(box=None, pad_edge=False)
    for heading in ("action", "result", "details"):
        table.add_column(heading, overflow="fold")
    for step in outcome.actions:
        table.add_row(step.action, words[step.success], escape(step.details))
    return table

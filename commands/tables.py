"""Outcomes and plans as tables, for people."""

from collections.abc import Sequence

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from availability.outcome import EnsureOutcome, EnsureSummary
from availability.plan import Plan
from commands.common import Session

_FIGURES = frozenset(("size", "fetched", "attempts", "seconds"))


def show_outcomes(run: Session, outcomes: Sequence[EnsureOutcome], summary: EnsureSummary) -> None:
    """Answer with outcomes: as a table and errors in words, or as JSON."""
    if run.as_json:
        run.answer([outcome.as_dict() for outcome in outcomes], summary)
        return
    run.out.print(_outcome_table(outcomes))
    paths = [outcome for outcome in outcomes if outcome.path is not None]
    if paths:
        run.out.print()
    for outcome in paths:
        run.out.print(f"{_name(outcome)}: {outcome.path}", markup=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.error is not None:
            run.tell(outcome.error, outcome.model_id)


def _outcome_table(outcomes: Sequence[EnsureOutcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "result", "size", "fetched", "attempts", "seconds"):
        table.add_column(heading, overflow="fold", justify="right" if heading in _FIGURES else "left")
    for outcome in outcomes:
        table.add_row(
            _name(outcome),
            _result(outcome),
            "" if outcome.bytes_total is None else decimal(outcome.bytes_total),
            decimal(outcome.bytes_fetched),
            str(outcome.attempts),
            f"{outcome.seconds:.1f}",
        )
    return table


def _name(outcome: EnsureOutcome) -> str:
    return outcome.model_id if outcome.revision == "main" else f"{outcome.model_id}@{outcome.revision}"


def _result(outcome: EnsureOutcome) -> str:
    if outcome.success:
        return "[green]verified[/green]"
    return "[yellow]not found out[/yellow]" if outcome.is_unknown else "[red]not verified[/red]"


def plan_table(plan: Plan) -> Table:
    """Return what a plan would do, file by file."""
    commit = plan.listing.commit
    table = Table(title=f"{plan.listing.model} ({commit[:12]})", title_justify="left", box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("what would happen")
    table.add_column("to fetch", justify="right")
    for item in plan.as_dict()["files"]:
        fetched = decimal(item["bytes_to_fetch"]) if item["bytes_to_fetch"] else ""
        table.add_row(escape(item["path"]), decimal(item["size"]), item["action"], fetched)
    for path, reason in plan.choice.left_out:
        table.add_row(escape(path), "", f"left out: {escape(reason)}", "")
    return table

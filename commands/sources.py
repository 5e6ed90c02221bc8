"""`availability sources`: where bytes come from, how each source does, and who is left alone for now."""

import sys
from collections.abc import Sequence
from itertools import islice
from time import time
from typing import TypedDict

import click
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from availability.inventory import known_ids
from availability.model import ModelId
from availability.outcome import ExitCode
from availability.sources.standing import iso
from availability.supply import SourceState, SourceStateRecord, observe_sources, probe_sources
from commands.common import Session, json_option, session
from commands.options import store_option

_MOST_MODELS = 25
_FIGURES = frozenset(("asked", "failed", "strikes", "proven", "ms", "MiB/s"))
_BREAKERS = {
    "closed": "[green]asked[/green]",
    "open": "[red]left alone[/red]",
    "half-open": "[yellow]on trial[/yellow]",
}


class SourceProblemRecord(TypedDict):
    """A source that could not be made: an entry of `summary.problems`."""

    source: str
    problem: str


class SourcesSummary(TypedDict):
    """The `summary` of `availability sources --json`."""

    observed_at: str | None
    sources: list[SourceStateRecord]
    problems: list[SourceProblemRecord]
    exit_code: int


@click.command(name="sources")
@click.argument("model", required=False)
@click.option("--probe", is_flag=True, help="Ask each of them now, for what it has and for one small file.")
@store_option
@json_option
def command(model: str | None, *, probe: bool, store: str | None, as_json: bool) -> None:
    """Say where bytes come from, in the order in which they are asked: for MODEL, or for all that say nothing else.

    Reads the records that every download leaves, and asks nobody unless --probe is given.

    \b
    Exit codes:
      0  every source is asked like any other
      1  one is left alone for now, does not answer, or cannot be made
      2  wrong usage or settings
    """  # noqa: D301  click's sign for lines that it must not fold
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        named = None if model is None else run.catalog.resolve(model, frozenset(known_ids(run.workspace)))
        states = _probed(run, named) if probe else observe_sources(run.workspace, named)
        summary = _summary(run, states)
        if run.as_json:
            run.answer([], summary)
        else:
            _show(run, summary, probed=probe)
        sys.exit(summary["exit_code"])


def _probed(run: Session, named: ModelId | None) -> list[SourceState]:
    models: Sequence[ModelId] = [named] if named else [*islice(sorted(run.workspace.store.models()), _MOST_MODELS)]
    return probe_sources(run.workspace, models, named)


def _summary(run: Session, states: Sequence[SourceState]) -> SourcesSummary:
    problems = [
        SourceProblemRecord(source=problem.name, problem=problem.sentence)
        for problem in run.workspace.assembly.problems.values()
    ]
    is_well = not problems and all(state.is_usable for state in states)
    return SourcesSummary(
        observed_at=iso(time()),
        sources=[state.as_dict() for state in states],
        problems=problems,
        exit_code=ExitCode.OK if is_well else ExitCode.NOT_VERIFIED,
    )


def _show(run: Session, summary: SourcesSummary, *, probed: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("source", "kind", "state", "asked", "failed", "strikes", "proven", "ms", "MiB/s", "behind"):
        table.add_column(heading, overflow="fold", justify="right" if heading in _FIGURES else "left")
    for state in summary["sources"]:
        known = state["record"]
        table.add_row(
            escape(state["source"]) + (" (trusted)" if state["is_trusted"] else ""),
            state["kind"],
            "[red]does not answer[/red]" if state["is_well"] is False else _BREAKERS[state["breaker"]],
            str(known["requests"]),
            str(sum(count for kind, count in known["errors"].items() if kind not in {"absent", "refused"})),
            str(known["strikes"]),
            decimal(known["bytes_proven"]),
            _figure(known["latency_ms"]),
            _figure(known["mib_per_second"]),
            _behind(state),
        )
    run.out.print(table)
    for state in summary["sources"]:
        for sentence in _remarks(state, probed=probed):
            run.out.print(f"  {state['source']}: {sentence}", markup=False, soft_wrap=True)
    for problem in summary["problems"]:
        run.out.print(f"  {problem['source']} is not used. {problem['problem']}", markup=False, soft_wrap=True)


def _remarks(state: SourceStateRecord, *, probed: bool) -> list[str]:
    said = [state["error"]] if state["error"] else []
    if state["next_try_at"] is not None:
        said.append(f"is tried again from {state['next_try_at']} on; it was left because of: {state['breaker_cause']}")
    elif state["record"]["last_error"] and not probed:
        said.append(f"failed last at {state['record']['last_error_at']}: {state['record']['last_error']}")
    return said


def _behind(state: SourceStateRecord) -> str:
    known = state["record"]
    if known["models_compared"] is None:
        return ""
    return f"{known['models_behind']} of {known['models_compared']} models" if known["models_behind"] else "up to date"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"

"""`availability request`: say whether a model can be had now, and if not, why, and what could stand in for it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import click
from rich.markup import escape
from rich.table import Table

from availability.answer import ActionTaken, RequestAnswer
from availability.desk import Desk
from availability.fallback.decision import FallbackDecision, Option
from availability.fallback.requirements import Requirements
from availability.outcome import NOBODY_COULD_SAY, exit_code_of
from commands.common import Session, json_option, session
from commands.options import store_option

_LIMIT = click.FloatRange(min=0, min_open=True)


class RequestSummary(TypedDict):
    """The `summary` of `availability request --json`."""

    requested: int
    ready: int
    substituted: int
    exit_code: int


@click.command(name="request")
@click.argument("models", nargs=-1, required=True)
@click.option("--task", metavar="NAME", help="What a stand-in must be for; else the same as the model.")
@click.option("--modality", metavar="NAME", help="What it must read and write; else the same as the model.")
@click.option("--licence", "licences", multiple=True, metavar="NAME", help="A licence that will do; repeatable.")
@click.option("--format", "formats", multiple=True, metavar="NAME", help="A format that will do; repeatable.")
@click.option("--max-size-gb", type=_LIMIT, metavar="GB", help="The most its files may take.")
@click.option("--max-vram-gb", type=_LIMIT, metavar="GB", help="The most memory of the accelerator it may need.")
@click.option(
    "--min-context-length", type=click.IntRange(min=1), metavar="TOKENS", help="The least input it must take."
)
@click.option("--capability", "capabilities", multiple=True, metavar="NAME", help="What it should be able to do.")
@store_option
@json_option
def command(
    models: Sequence[str],
    *,
    task: str | None,
    modality: str | None,
    licences: tuple[str, ...],
    formats: tuple[str, ...],
    max_size_gb: float | None,
    max_vram_gb: float | None,
    min_context_length: int | None,
    capabilities: tuple[str, ...],
    store: Path | None,
    as_json: bool,
) -> None:
    """Say whether MODELS can be had now, and if not, why, and what could stand in for each.

    It starts nothing, and decides nothing for good: `availability ensure` fetches, and the flow request_model begins
    what takes time. Whether another model may stand in, the catalog says (`substitution`).

    \b
    Exit codes:
      0  every model is ready, or has a stand-in that may be used
      1  a model is not
      2  wrong usage or settings
      3  nobody could be asked about a model
    """  # noqa: D301  click's sign for lines that it must not fold
    requirements = Requirements(
        task, modality, licences, formats, max_size_gb, max_vram_gb, min_context_length, capabilities
    )
    with session({"storage.models_directory": store}, as_json=as_json) as run:
        desk = Desk(run.workspace, run.catalog, remembers=False)
        answers = [desk.answer(model, requirements=requirements) for model in models]
        summary = _summary(answers)
        _show(run, answers, summary)
        sys.exit(summary["exit_code"])


def _summary(answers: Sequence[RequestAnswer]) -> RequestSummary:
    ready = sum(answer.action_taken is ActionTaken.MODEL_READY for answer in answers)
    unknown = sum(isinstance(answer.error, NOBODY_COULD_SAY) for answer in answers)
    return RequestSummary(
        requested=len(answers),
        ready=ready,
        substituted=sum(answer.is_substituted for answer in answers),
        exit_code=exit_code_of(failed=len(answers) - ready, unknown=unknown),
    )


def _show(run: Session, answers: Sequence[RequestAnswer], summary: RequestSummary) -> None:
    if run.as_json:
        run.answer([answer.as_dict() for answer in answers], summary)
        return
    for answer in answers:
        colour = "green" if answer.action_taken is ActionTaken.MODEL_READY else "yellow"
        run.out.print(f"[bold]{escape(str(answer.model))}[/bold]: [{colour}]{answer.action_taken.value}[/{colour}]")
        run.out.print(f"  {answer.message}", markup=False, soft_wrap=True)
        if answer.path is not None:
            run.out.print(f"  {answer.path}", markup=False, soft_wrap=True)
        if answer.way_back is not None:
            run.out.print(f"  {answer.way_back}", markup=False, soft_wrap=True)
        if answer.resolution is not None:
            _show_decision(run, answer.resolution.decision)
        if answer.error is not None:
            run.tell(answer.error, str(answer.model))


def _show_decision(run: Session, decision: FallbackDecision) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("way on", "stand-in", "score", "why", "what is lost"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "score" else "left")
    for option in decision.options:
        table.add_row(*_cells(option))
    run.out.print(table)
    if decision.recovery is not None:
        steps = " ".join(step.sentence for step in decision.recovery.steps)
        run.out.print(f"What a run does about it ({decision.recovery.kind}): {steps}", markup=False, soft_wrap=True)
    counts = ", ".join(f"{count} by {gate}" for gate, count in decision.excluded_by().items())
    if counts:
        run.out.print(f"Excluded: {counts}.", markup=False)
    for exclusion in decision.excluded[:10]:
        run.out.print(f"  - {exclusion.model}: {exclusion.reason}", markup=False, soft_wrap=True)
    for sentence in decision.problems:
        run.out.print(f"  ! {sentence}", markup=False, soft_wrap=True)


def _cells(option: Option) -> tuple[str, ...]:
    score = "" if option.score is None else f"{option.score:.2f}"
    stand_in = str(option.model) if option.model else ""
    return option.kind.value, escape(stand_in), score, escape(option.reason), escape(" ".join(option.lost))

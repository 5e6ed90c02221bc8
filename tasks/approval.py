"""Asking a person which model may stand in: a form in the run that was started, with a time-out and its default.

The run pauses and stays alive. When nobody answers in time, it goes on by itself with the default: Prefect would fail a
pause that runs out, so that its end is ours and comes before Prefect's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from threading import Event, Timer
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from pydantic import Field, create_model

from availability.fallback.decision import FallbackDecision, Option
from availability.fallback.standing import DecidedBy
from availability.settings import FallbackSettings
from tasks.context import flow_run_id

NOBODY = "nobody"
"""The choice that leaves the place empty."""

_GRACE_SECONDS = 120
_LOOK_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Approval:
    """What was answered: for each decision its stand-in, or None for nobody; and by whom."""

    chosen: tuple[Option | None, ...]
    by: DecidedBy


def ask_for_stand_ins(decisions: Sequence[FallbackDecision], settings: FallbackSettings) -> Approval:
    """Pause the run until somebody has said who stands in for each model, or nobody has in time."""
    form = _form(decisions, settings).with_initial_data(description=_description(decisions, settings))
    seconds = settings.approval_minutes * 60
    timed_out = Event()
    timer = Timer(seconds, _answer_by_default, (UUID(flow_run_id()), _defaults(decisions, settings), timed_out))
    timer.daemon = True
    timer.start()
    try:
        told = pause_flow_run(
            wait_for_input=form, timeout=round(seconds) + _GRACE_SECONDS, poll_interval=_LOOK_SECONDS
        ).model_dump()
    except FlowPauseTimeout:  # the server could not be told of the default
        timed_out.set()
        told = _defaults(decisions, settings)
    finally:
        timer.cancel()
    by: DecidedBy = "default" if timed_out.is_set() else "person"
    chosen = tuple(_option(decision, told[_field(place)]) for place, decision in enumerate(decisions))
    for decision, option in zip(decisions, chosen, strict=True):
        get_run_logger().info("%s: %s stands in, by %s", decision.wanted, option.model if option else NOBODY, by)
    return Approval(chosen, by)


def _answer_by_default(run_id: UUID, answers: dict[str, str], timed_out: Event) -> None:
    timed_out.set()
    with get_client(sync_client=True) as client:
        if client.resume_flow_run(run_id, run_input=answers).status != SetStateStatus.ACCEPT:
            timed_out.clear()  # a person was faster


def _form(decisions: Sequence[FallbackDecision], settings: FallbackSettings) -> type[RunInput]:
    fields: dict[str, Any] = {}
    defaults = _defaults(decisions, settings)
    for place, decision in enumerate(decisions):
        names = (NOBODY, *(str(option.model) for option in decision.alternatives))
        words = Field(
            defaults[_field(place)], title=str(decision.wanted), description=f"Who stands in for {decision.wanted}?"
        )
        fields[_field(place)] = (Literal[names], words)
    made: type[RunInput] = create_model("StandIns", __base__=RunInput, **fields)
    return made


def _defaults(decisions: Sequence[FallbackDecision], settings: FallbackSettings) -> dict[str, str]:
    accepts = settings.approval_default == "accept"
    return {
        _field(place): str(decision.chosen.model) if accepts else NOBODY for place, decision in enumerate(decisions)
    }


def _field(place: int) -> str:
    return f"stand_in_{place + 1}"


def _option(decision: FallbackDecision, name: str) -> Option | None:
    return next((option for option in decision.alternatives if str(option.model) == name), None)


def _description(decisions: Sequence[FallbackDecision], settings: FallbackSettings) -> str:
    default = "the first is taken" if settings.approval_default == "accept" else "nobody stands in"
    parts = [f"Without an answer within {settings.approval_minutes:g} minutes {default}."]
    for decision in decisions:
        own = [option.reason for option in decision.options if option.model is None]
        rows = [
            f"| {_cell(str(option.model))} | {option.score:.2f} | {option.readiness} "
            f"| {_cell(option.reason)} | {_cell(' '.join(option.lost) or 'Nothing that is known.')} |"
            for option in decision.alternatives
        ]
        head = ["| model | score | is | why | what is lost |", "| --- | --- | --- | --- | --- |"]
        parts.append(f"## {_cell(str(decision.wanted))}")
        parts += [_cell(sentence) for sentence in own]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")

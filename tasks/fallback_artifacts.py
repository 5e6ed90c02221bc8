"""Decisions and answers as tables in the Prefect UI."""

from collections.abc import Mapping, Sequence
from html import escape

from prefect.artifacts import create_table_artifact

from availability.answer import RequestAnswer
from availability.fallback.decision import Option
from availability.fallback.resolving import Resolution

FALLBACK_KEY = "fallback"
REQUEST_KEY = "request-model"
_MOST_ROWS = 500


def publish_fallback(resolutions: Sequence[Resolution]) -> None:
    """Show what was decided about each model: every way on, the chosen one first, with its terms."""
    rows = [
        _row(resolution, option, place)
        for resolution in resolutions
        for place, option in enumerate(resolution.decision.options)
    ]
    taken = sum(resolution.taken is not None for resolution in resolutions)
    told = f"**{len(resolutions)} models could not be had; another stands in for {taken} of them.**"
    if len(rows) > _MOST_ROWS:
        told = f"{told} The first {_MOST_ROWS} of {len(rows)} rows are shown."
    create_table_artifact(rows[:_MOST_ROWS], key=FALLBACK_KEY, description=told)


def publish_answer(answer: RequestAnswer, remark: str = "") -> None:
    """Show what a request is answered with."""
    told = answer.as_dict()
    shown = {name: value for name, value in told.items() if name not in {"fallback_decision", "error"}}
    if answer.error is not None:
        shown["what to do"] = " ".join(answer.error.advice)
    rows = [{"": name, "answer": escape(str(value))} for name, value in shown.items() if value is not None]
    create_table_artifact(rows, key=REQUEST_KEY, description=f"**{escape(answer.message)}** {escape(remark)}".strip())
    if answer.resolution is not None:
        publish_fallback([answer.resolution])


def _row(resolution: Resolution, option: Option, place: int) -> dict[str, object]:
    decision = resolution.decision
    terms: Mapping[str, object] = dict(option.terms.as_dict()) if option.terms else {}
    is_taken = resolution.standing.action == option.kind and resolution.standing.substitute == (
        str(option.model) if option.model else None
    )
    return {
        "model": escape(str(decision.wanted)),
        "taken": f"by {resolution.standing.decided_by}" if is_taken else "",
        "way": option.kind.value,
        "stand-in": escape(str(option.model)) if option.model else "",
        "score": option.score,
        **{name: terms.get(name) for name in ("compatibility", "capability", "requirement")},
        "wait (s)": option.as_dict()["estimated_wait_seconds"],
        "reason": escape(option.reason),
        "what is lost": escape(" ".join(option.lost)),
        "excluded": _excluded(resolution) if place == 0 else "",
        "what is done": _recovery(resolution) if place == 0 else "",
    }


def _excluded(resolution: Resolution) -> str:
    return ", ".join(f"{count} by {gate}" for gate, count in resolution.decision.excluded_by().items())


def _recovery(resolution: Resolution) -> str:
    recovery = resolution.decision.recovery
    return escape(" ".join(step.sentence for step in recovery.steps)) if recovery else ""

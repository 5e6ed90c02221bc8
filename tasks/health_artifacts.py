"""Health as people look at it in the Prefect UI: the table of a check, that of a repair, the page of the whole."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from time import time

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from availability.errors import EnhancedModelAvailabilityError
from availability.repairs import RepairOutcome
from availability.settings import HealthSettings
from availability.system_health import SystemHealth
from tasks.events import is_corrupted
from tasks.health import Checked
from tasks.pictures import data_uri, storage_bar

CHECK_KEY, REPAIR_KEY, SYSTEM_KEY = "check-health", "repair-model", "system-health"

_DAY_SECONDS = 86400
_MOST_FINDINGS, _MOST_MODELS = 5, 25


def publish_checks(
    checked: Sequence[Checked],
    refused: Mapping[str, EnhancedModelAvailabilityError],
    health: HealthSettings,
    headline: str,
) -> None:
    """Show what a check saw, the worst model first."""
    rows = [
        *({**_ROW, "model": escape(name), **_trouble(error)} for name, error in refused.items()),
        *(_check_row(one, health) for one in sorted(checked, key=_worst_first)),
    ]
    create_table_artifact(rows, key=CHECK_KEY, description=f"**{escape(headline)}**")


def publish_repairs(outcomes: Sequence[RepairOutcome], headline: str) -> None:
    """Show what repairs did or would do, in order."""
    rows = [row for outcome in outcomes for row in _repair_rows(outcome)]
    advice = "".join(f" {escape(' '.join(outcome.error.advice))}" for outcome in outcomes if outcome.error)
    create_table_artifact(rows, key=REPAIR_KEY, description=f"**{escape(headline)}**{advice}")


def publish_system(system: SystemHealth, limits: HealthSettings, headline: str) -> None:
    """Show the health of the whole as a page."""
    create_markdown_artifact(system_page(system, limits, headline), key=SYSTEM_KEY, description=escape(headline))


def system_page(system: SystemHealth, limits: HealthSettings, headline: str) -> str:
    """Return the page: headline, room, the worst models, what to do."""
    room = system.storage
    title = f"{room.used_percent:.0f} % of the room used, {room.disk.free_bytes / 1e9:,.1f} GB free on the disk"
    bar = storage_bar(
        title,
        room.used_percent,
        system.storage_level,
        warning=limits.storage_warning_percent,
        critical=limits.storage_critical_percent,
    )
    quota = f" of a quota of {room.quota_bytes / 1e9:,.1f} GB" if room.quota_bytes else ""
    return "\n\n".join(
        [
            f"## {escape(headline)}",
            f"![{title}]({data_uri(bar)})",
            f"The models take {room.models_bytes / 1e9:,.2f} GB{quota} in {_cell(room.store)}.",
            "### Worst first\n\n" + _worst_table(system),
            "### What to do\n\n" + ("\n".join(_bullets(system.recommendations)) or "Nothing."),
        ]
    )


def what_to_do(one: Checked, health: HealthSettings) -> list[str]:
    """Return what a person has to do about a model, which depends on who may start a repair."""
    if not is_corrupted(one.outcome):
        return [*(one.outcome.error.advice if one.outcome.error else one.report.recommendations)]
    if health.auto_repair_enabled == "auto":
        return ["Nothing: the deployment repair-model starts by itself."]
    if health.auto_repair_enabled == "ask":
        return [f"Start the deployment repair-model, with {one.outcome.model} in the field model of its form."]
    return [*one.report.recommendations]


_ROW: Mapping[str, object] = dict.fromkeys(
    ("model", "status", "health", "findings", "coverage", "oldest check (days)", "read (MB)", "error", "what to do")
)
"""The columns; what a model that could not be checked has nothing to say about stays empty."""


def _trouble(error: EnhancedModelAvailabilityError) -> dict[str, object]:
    return {"error": escape(error.message), "what to do": escape(" ".join(error.advice))}


def _check_row(one: Checked, health: HealthSettings) -> dict[str, object]:
    outcome, report = one.outcome, one.report
    oldest, score = outcome.oldest_check, report.overall_score
    word = "healthy" if one.is_healthy else "not checked" if outcome.error else "not healthy"
    return {
        **_ROW,
        "model": escape(str(outcome.model)),
        "status": report.availability_status.value,
        "health": word if score is None else f"{word} ({score:.2f})",
        "findings": escape(_findings(one)),
        "coverage": f"{outcome.coverage:.0%}",
        "oldest check (days)": None if oldest is None else round((time() - oldest) / _DAY_SECONDS, 2),
        "read (MB)": 0.0 if outcome.reused else round(outcome.bytes_read / 1e6, 1),
        "error": escape(outcome.error.message) if outcome.error else "",
        "what to do": escape(" ".join(what_to_do(one, health))),
    }


def _repair_rows(outcome: RepairOutcome) -> Iterable[dict[str, object]]:
    words = {True: "done", False: "failed", None: "planned" if outcome.dry_run else "not come to"}
    for step in outcome.actions:
        yield {
            "model": escape(str(outcome.model)),
            "action": step.action,
            "result": words[step.success],
            "files": escape(", ".join(file.path for file in step.files)),
            "to fetch (MB)": round(step.bytes_needed / 1e6, 3),
            "details": escape(step.details),
        }


def _findings(one: Checked) -> str:
    told = [finding.as_dict() for finding in one.report.findings]
    said = [f"{record['kind']} {record['file']}".rstrip() for record in told[:_MOST_FINDINGS]]
    return "; ".join([*said, *([f"{len(told) - _MOST_FINDINGS} more"] if len(told) > _MOST_FINDINGS else [])])


def _worst_first(one: Checked) -> tuple[bool, bool, bool, float, str]:
    score = one.report.overall_score
    return (
        not is_corrupted(one.outcome),
        one.outcome.error is None,
        one.is_healthy,
        -1.0 if score is None else score,
        str(one.outcome.model),
    )


def _worst_table(system: SystemHealth) -> str:
    worst = [model for model in system.models if not model.is_healthy]
    if not worst:
        return "Every model is healthy." if system.models else "There are no models."
    rows = [
        f"| {_cell(str(model.status.model))} | {model.status.availability_status.value} "
        f"| {'' if model.score is None else f'{model.score:.2f}'} |"
        for model in worst[:_MOST_MODELS]
    ]
    more = f"\n\nand {len(worst) - _MOST_MODELS} more" if len(worst) > _MOST_MODELS else ""
    return "\n".join(["| model | status | score |", "| --- | --- | ---: |", *rows]) + more


def _bullets(sentences: Iterable[str]) -> Iterable[str]:
    return (f"- {_cell(sentence)}" for sentence in sentences)


def _cell(text: str) -> str:
    # Escaped for HTML, and for the table it stands in.
    return escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")

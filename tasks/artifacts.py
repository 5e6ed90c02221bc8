"""Results as tables in the Prefect UI."""

from collections.abc import Sequence
from html import escape

from prefect.artifacts import create_table_artifact

from availability.outcome import EnsureOutcome, EnsureSummary
from availability.plan import Plan


def publish_outcomes(outcomes: Sequence[EnsureOutcome], summary: EnsureSummary) -> None:
    """Show how a run over several models ended."""
    rows = [
        {
            "model": _safe(outcome.model_id),
            "revision": _safe(outcome.revision),
            "status": outcome.availability_status.value,
            "served by": _safe(str(outcome.stand_in)) if outcome.stand_in else "itself" if outcome.success else "",
            "size (MB)": None if outcome.bytes_total is None else round(outcome.bytes_total / 1e6, 1),
            "fetched (MB)": round(outcome.bytes_fetched / 1e6, 1),
            "attempts": outcome.attempts,
            "seconds": round(outcome.seconds, 1),
            "of which (s)": ", ".join(f"{step} {seconds:.1f}" for step, seconds in outcome.step_seconds.items()),
            "sources": _safe(", ".join(sorted(outcome.sources))),
            "error": _safe(outcome.error.message) if outcome.error else "",
            "what to do": _safe(" ".join(outcome.error.advice)) if outcome.error else "",
        }
        for outcome in outcomes
    ]
    substituted = sum(outcome.stand_in is not None for outcome in outcomes)
    create_table_artifact(
        rows,
        key="ensure-models",
        description=f"**{summary['verified']} of {summary['requested']} models verified**"
        f"{f', {substituted} substituted' if substituted else ''}, {summary['bytes_fetched'] / 1e6:,.1f} MB fetched.",
    )


def publish_plans(plans: Sequence[Plan]) -> None:
    """Show what a run would do."""
    rows = [
        {
            "model": _safe(str(plan.listing.model)),
            "file": _safe(item["path"]),
            "size (MB)": round(item["size"] / 1e6, 3),
            "what would happen": item["action"],
            "to fetch (MB)": round(item["bytes_to_fetch"] / 1e6, 3),
        }
        for plan in plans
        for item in plan.as_dict()["files"]
    ]
    total = sum(plan.bytes_to_fetch for plan in plans)
    create_table_artifact(rows, key="ensure-models-dry-run", description=f"**{total / 1e6:,.1f} MB** would be fetched.")


def _safe(text: str) -> str:
    # The UI takes HTML in a cell for HTML, and these texts come from hubs.
    return escape(text)

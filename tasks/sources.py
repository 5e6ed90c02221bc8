"""The probe of the sources as a Prefect task, and its table."""

from collections.abc import Sequence
from html import escape

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from availability.model import ModelId
from availability.registry import Problem
from availability.supply import SourceState, probe_sources
from availability.workspace import Workspace

SOURCES_KEY = "sources"


# Never cached: it observes who answers now.
@task(name="probe", cache_policy=NO_CACHE, persist_result=False)
def ask_sources(workspace: Workspace, models: Sequence[ModelId]) -> list[SourceState]:
    """Ask each source how it does; a failure is part of the answer."""
    states = probe_sources(workspace, models)
    for state in states:
        if state.error is not None:
            get_run_logger().warning("%s: %s", state.member.name, state.error.message)
    return states


def publish_sources(states: Sequence[SourceState], problems: Sequence[Problem], headline: str) -> None:
    """Show the sources in the order in which they are asked, then those that could not be made."""
    rows = [_row(state) for state in states]
    rows += [{**_ROW, "source": escape(problem.name), "remark": escape(problem.sentence)} for problem in problems]
    create_table_artifact(rows, key=SOURCES_KEY, description=f"**{escape(headline)}**")


_ROW: dict[str, object] = dict.fromkeys(
    ("source", "kind", "answered", "breaker", "strikes", "failures", "latency (ms)", "MiB/s", "models behind", "remark")
)
"""The columns; what is not known stays empty."""


def _row(state: SourceState) -> dict[str, object]:
    told = state.as_dict()
    known = told["record"]
    return {
        **_ROW,
        "source": escape(told["source"]),
        "kind": escape(told["kind"]),
        "answered": {True: "yes", False: "no", None: ""}[told["is_well"]],
        "breaker": told["breaker"],
        "strikes": known["strikes"],
        "failures": sum(count for kind, count in known["errors"].items() if kind not in {"absent", "refused"}),
        "latency (ms)": known["latency_ms"],
        "MiB/s": known["mib_per_second"],
        "models behind": known["models_behind"],
        "remark": escape(told["error"] or told["breaker_cause"]),
    }

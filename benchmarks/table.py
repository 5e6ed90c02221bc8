"""What was measured, as a table for people and as plain data for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich import box
from rich.table import Table

from benchmarks.harness import OURS, Goal, Result, Row

_MET, _MISSED, _UNMEASURED, _SCALED = "met", "MISSED", "not measured", "not judged: scaled down"


def table(results: Iterable[Result], *, judged: bool) -> Table:
    """Return one line for each contestant of each row; `judged` where the goals apply."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for header in ("row", "who"):
        made.add_column(header)
    for header in ("wall s", "min-max", "CPU s", "peak MiB", "ours / it", "by round"):
        made.add_column(header, justify="right", no_wrap=True)
    made.add_column("goal", no_wrap=True)
    made.add_column("", no_wrap=True)
    for result in results:
        _add(made, result, judged=judged)
        made.add_section()
    return made


def remarks(results: Iterable[Result]) -> list[str]:
    """Return what the table has no room for."""
    lines = []
    for result in results:
        parts = [result.title, f"rounds: {result.rounds}", f"load {result.load:.2f} before", result.remark]
        lines.append(f"{result.row.name}: {', '.join(part for part in parts if part)}.")
    return lines


def as_data(results: Iterable[Result], *, judged: bool) -> list[dict[str, object]]:
    """Return every figure as plain data."""
    return [_data(result, judged=judged) for result in results]


def _add(made: Table, result: Result, *, judged: bool) -> None:
    title = result.row.name
    if result.skipped:
        word = "failed" if result.failed else "skipped"
        made.add_row(title, f"{word}: {result.skipped}")
        return
    for name in [*result.samples, *result.absent]:
        goals = _goals(result.row, name)
        words = [f"<= {goal.most:g}{_unit(result.row, goal)}" for goal in goals]
        verdicts = [_verdict(result, goal, judged=judged) for goal in goals]
        made.add_row(title, name, *_figures(result, name), "\n".join(words), "\n".join(verdicts))
        title = ""


def _figures(result: Result, name: str) -> Sequence[str]:
    if name in result.absent:
        return f"skipped: {result.absent[name]}", "", "", "", "", ""
    walls = [sample.seconds for sample in result.samples[name]]
    peak = result.peak_mib(name)
    by_round = result.ratios(name)
    is_theirs = name != OURS and OURS in result.samples
    return (
        f"{result.seconds(name):.3f}",
        f"{min(walls):.2f}-{max(walls):.2f}",
        f"{result.cpu_seconds(name):.2f}",
        "" if peak is None else f"{peak:.1f}",
        f"{result.ratio(name):.2f}" if is_theirs else "",
        f"{min(by_round):.2f}-{max(by_round):.2f}" if is_theirs and result.row.measure == "seconds" else "",
    )


def _goals(row: Row, name: str) -> list[Goal]:
    """Return the goals that stand on a contestant's line."""
    return [goal for goal in row.goals if (goal.against or OURS) == name]


def _unit(row: Row, goal: Goal) -> str:
    if goal.against:
        return ""
    return " MiB" if row.measure == "peak_mib" else " s"


def _verdict(result: Result, goal: Goal, *, judged: bool) -> str:
    got = result.got(goal)
    if got is None:
        return _UNMEASURED
    if not judged:
        return _SCALED
    return _MET if got <= goal.most else _MISSED


def _data(result: Result, *, judged: bool) -> dict[str, object]:
    return {
        "name": result.row.name,
        "title": result.title,
        "rounds": result.rounds,
        "load_before": result.load,
        "remark": result.remark,
        "skipped": result.skipped,
        "failed": result.failed,
        "absent": result.absent,
        "contestants": {
            name: {
                "median_seconds": result.seconds(name),
                "median_cpu_seconds": result.cpu_seconds(name),
                "peak_mib": result.peak_mib(name),
                "samples": [asdict(sample) for sample in samples],
            }
            for name, samples in result.samples.items()
        },
        "goals": [
            {
                "most": goal.most,
                "against": goal.against,
                "got": result.got(goal),
                "verdict": _verdict(result, goal, judged=judged),
            }
            for goal in result.row.goals
        ],
    }

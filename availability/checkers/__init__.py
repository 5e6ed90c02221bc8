"""The health checkers: built in or added, all through `availability.registry.health_checkers`.

Here they are run. One that raises is one issue of the report and not the end of it.
"""

from collections.abc import Mapping
from pathlib import Path

from availability.checkers.base import CheckResult, HealthChecker, HealthContext, Issue
from availability.findings import Severity
from availability.model import ModelId
from availability.registry import health_checkers

__all__ = ["CheckResult", "HealthChecker", "HealthContext", "Issue", "run_checkers"]

CHECK_FAILED = "check_failed"
"""The kind of an issue that says that a checker could not do its work."""


def run_checkers(
    context: HealthContext,
    model: ModelId,
    path: Path,
    configuration: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, CheckResult]:
    """Let every enabled checker judge a model; return what each says by its name, the highest priority first.

    A checker that cannot be used or fails has no score and one issue.

    Args:
        context: what is known already.
        model: which.
        path: its snapshot's folder.
        configuration: by a checker's name, its settings, and `enabled` and `priority`.
    """
    chosen = health_checkers.choose(context, configuration)
    results = {name: _run(name, checker, model, path) for name, checker in chosen.items.items()}
    broken = {problem.name: _failed(problem.name, problem.sentence) for problem in chosen.problems}
    return {**results, **broken}


def _run(name: str, checker: HealthChecker, model: ModelId, path: Path) -> CheckResult:
    try:
        result = checker.check(model, path)
    except Exception as error:  # noqa: BLE001  a checker may be anybody's code
        return _failed(name, f"It raised {type(error).__name__}: {error}")
    # A protocol is not checked when it is called, and a wrong answer would fail far from who gave it.
    if not isinstance(result, CheckResult):
        return _failed(name, f"It returned {type(result).__name__} instead of a CheckResult")
    return result


def _failed(name: str, why: str) -> CheckResult:
    cause = f"The health checker {name!r} told nothing. {why.rstrip('.')}."
    return CheckResult(None, (Issue(CHECK_FAILED, cause, Severity.WARNING),))

"""A health checker of your own: is the licence that a model's card names one that we may use?

    python examples/custom_health_checker.py org/name

The model is made available first. The same class works as an entry point of an installed package; docs/extending.md
says how.
"""

import re
import sys
from pathlib import Path

from availability import ensure, open_workspace
from availability.catalog import Catalog
from availability.checkers import CheckResult, HealthContext, Issue
from availability.checkup import observe_health
from availability.model import ModelId, parse_model_id
from availability.registry import ExtensionSettings, health_checkers


class LicenceSettings(ExtensionSettings):
    """What may be configured; anything else is refused."""

    allowed: tuple[str, ...] = ("apache-2.0", "mit")


@health_checkers.register("licence", priority=10, settings=LicenceSettings)
class LicenceChecker:
    """Reads the first lines of the model's card."""

    def __init__(self, context: HealthContext, settings: LicenceSettings) -> None:  # noqa: ARG002  what it is made with
        """Take the settings; `context` tells what is known of the model already."""
        self._allowed = settings.allowed

    def check(self, model: ModelId, path: Path) -> CheckResult:  # noqa: ARG002  the protocol
        """Judge the model whose files lie in `path`."""
        card = path / "README.md"
        named = re.search(r"^license: *(\S+)", card.read_text(), re.MULTILINE) if card.exists() else None
        if named is None:
            return CheckResult(None, details={"licence": None})  # nothing to judge by is no score, not a bad one
        licence = named[1].lower()
        if licence in self._allowed:
            return CheckResult(1.0, details={"licence": licence})
        issue = Issue("licence", f"its licence {licence} is not among {', '.join(self._allowed)}", file="README.md")
        return CheckResult(0.0, (issue,), {"licence": licence})


def main(text: str) -> None:
    """Make a model available and print its health."""
    workspace = open_workspace()
    ensure(text, workspace=workspace)
    configuration = {"licence": {"allowed": ["apache-2.0"]}}
    report = observe_health(workspace, parse_model_id(text), Catalog(), configuration=configuration)
    for name, score in report.scores.items():
        print(f"{name}: {'not known' if score is None else f'{score:.2f}'}")
    for finding in report.findings:
        print(f"{finding.as_dict()['kind']}: {finding.cause}")
    print(f"{report.model} is {'healthy' if report.is_healthy else 'not healthy'}.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

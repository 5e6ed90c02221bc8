"""What was decided about models that could not be had, for as long as it stands: who stands in for whom, since when.

Small records in the state folder, one a model. A decision ends by itself when its model is available again: whoever
reads it looks first, and whoever ends it is the only one who does, so that its end is told once.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time
from typing import Any, Literal

from availability.durable import write_atomically
from availability.fallback.decision import FallbackDecision, FallbackKind, Option
from availability.model import ModelId

DecidedBy = Literal["policy", "person", "default"]
"""Who took the way: the catalog's `auto`, a person, or what is set for when no person answers."""

_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Standing:
    """A decision that stands.

    Attributes:
        decision_id: its id.
        repo_id: the model that could not be had.
        revision: its branch, tag or commit.
        action: what was decided; a `FallbackKind`.
        substitute: who stands in, None when nobody does.
        score: how well, 0 to 1.
        reason: why, as a sentence.
        decided_by: who took the way.
        decided_at: when, seconds since the epoch.
        attempts: how often it was tried again by itself since the first failure.
        failed_at: when that was, seconds since the epoch; None when nothing had failed.
    """

    decision_id: str
    repo_id: str
    revision: str
    action: str
    substitute: str | None
    score: float | None
    reason: str
    decided_by: DecidedBy
    decided_at: float
    attempts: int = 0
    failed_at: float | None = None

    @property
    def model(self) -> ModelId:
        """The model that could not be had."""
        return ModelId(self.repo_id, self.revision)

    @property
    def is_substitution(self) -> bool:
        """Whether another model stands in."""
        return self.substitute is not None


def standing_of(
    decision_id: str, decision: FallbackDecision, option: Option, *, by: DecidedBy, now: float | None = None
) -> Standing:
    """Return a decision as it stands from now on, with the option that was taken."""
    return Standing(
        decision_id=decision_id,
        repo_id=decision.wanted.repo_id,
        revision=decision.wanted.revision,
        action=option.kind.value,
        substitute=str(option.model) if option.kind is FallbackKind.ALTERNATIVE_MODEL else None,
        score=option.score,
        reason=option.reason,
        decided_by=by,
        decided_at=time() if now is None else now,
    )


class Decisions:
    """The decisions that stand in a store: `<root>/<model>.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, model: ModelId) -> Standing | None:
        """Return the decision that stands about a model, None when there is none."""
        return _read(self._path(model))

    def all(self) -> Iterator[Standing]:
        """Yield every decision that stands, in the order of the models' names."""
        for path in sorted(self._root.glob(f"*{_ENDING}")):
            standing = _read(path)
            if standing is not None:
                yield standing

    def write(self, standing: Standing) -> None:
        """Let a decision stand in place of what stood about its model."""
        write_atomically(self._path(standing.model), json.dumps(asdict(standing)).encode())

    def end(self, model: ModelId) -> Standing | None:
        """End what stands about a model; of several who do so at once one gets it, the others None."""
        path = self._path(model)
        standing = _read(path)
        if standing is None:
            return None
        try:
            path.unlink()
        except FileNotFoundError:
            return None
        return standing

    def _path(self, model: ModelId) -> Path:
        return self._root / f"{model.key}{_ENDING}"


def _read(path: Path) -> Standing | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        return Standing(**content)
    except (FileNotFoundError, ValueError, TypeError):
        return None

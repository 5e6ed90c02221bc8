"""Models of which this store may hold the last copy: their publisher no longer has them. Nobody proposes to delete one.

A marker a model in the state folder. It goes when a source is seen to have the model again.
"""

import json
from pathlib import Path
from time import time

from availability.durable import write_atomically
from availability.model import ModelId


class LastCopies:
    """The markers of a store: `<root>/models--org--name.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def protect(self, model: ModelId, why: str) -> None:
        """Mark a model, whatever its revision; one that is marked already stays as it is."""
        if not self.is_protected(model):
            marker = {"repo_id": model.repo_id, "why": why, "at": time()}
            write_atomically(self._path(model), json.dumps(marker).encode())

    def is_protected(self, model: ModelId) -> bool:
        """Say whether a model is marked."""
        return self._path(model).exists()

    def release(self, model: ModelId) -> None:
        """Take the mark away: a source has the model again."""
        self._path(model).unlink(missing_ok=True)

    def _path(self, model: ModelId) -> Path:
        return self._root / f"{model.folder}.json"

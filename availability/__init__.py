"""Keeps AI models available: downloaded, proven byte for byte, and repaired; with no orchestrator and no database.

    >>> from availability import ensure
    >>> ensure("org/name").path  # doctest: +SKIP
    PosixPath('.../models--org--name/snapshots/...')

The names below are the face for other programs; they are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from availability.api import adopt as adopt
    from availability.api import cancel as cancel
    from availability.api import ensure as ensure
    from availability.api import ensure_models as ensure_models
    from availability.api import open_workspace as open_workspace
    from availability.api import progress as progress
    from availability.api import status as status
    from availability.errors import EnhancedModelAvailabilityError as EnhancedModelAvailabilityError
    from availability.inventory import ModelStatus as ModelStatus
    from availability.outcome import EnsureOutcome as EnsureOutcome

_FACE = {
    "EnhancedModelAvailabilityError": "availability.errors",
    "EnsureOutcome": "availability.outcome",
    "ModelStatus": "availability.inventory",
    "adopt": "availability.api",
    "cancel": "availability.api",
    "ensure": "availability.api",
    "ensure_models": "availability.api",
    "open_workspace": "availability.api",
    "progress": "availability.api",
    "status": "availability.api",
}

__all__ = sorted(_FACE)  # noqa: PLE0605  one list of the names


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module 'availability' has no attribute {name!r}")
    return getattr(import_module(_FACE[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_FACE]

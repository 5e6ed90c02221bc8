"""Keeps AI models available: downloaded, proven byte for byte, and repaired; with no orchestrator and no database.

    >>> from availability import ensure
    >>> ensure("org/name").path  # doctest: +SKIP
    PosixPath('.../models--org--name/snapshots/...')

The names below are the face for other programs; they are loaded when they are first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from availability.answer import RequestAnswer as RequestAnswer
    from availability.api import adopt as adopt
    from availability.api import check as check
    from availability.api import ensure as ensure
    from availability.api import ensure_models as ensure_models
    from availability.api import progress as progress
    from availability.api import repair as repair
    from availability.api import status as status
    from availability.api import status_all as status_all
    from availability.api import system_health as system_health
    from availability.api_controls import cancel as cancel
    from availability.api_controls import downloads as downloads
    from availability.api_controls import pause as pause
    from availability.api_controls import resume as resume
    from availability.api_controls import set_limit as set_limit
    from availability.api_controls import set_priority as set_priority
    from availability.checks import CheckOutcome as CheckOutcome
    from availability.downloads import ListedDownload as ListedDownload
    from availability.errors import EnhancedModelAvailabilityError as EnhancedModelAvailabilityError
    from availability.fallback.requirements import Requirements as Requirements
    from availability.inquiry import request as request
    from availability.inventory import ModelStatus as ModelStatus
    from availability.opening import open_workspace as open_workspace
    from availability.outcome import EnsureOutcome as EnsureOutcome
    from availability.repairs import RepairOutcome as RepairOutcome

_FACE = {
    "CheckOutcome": "availability.checks",
    "EnhancedModelAvailabilityError": "availability.errors",
    "EnsureOutcome": "availability.outcome",
    "ListedDownload": "availability.downloads",
    "ModelStatus": "availability.inventory",
    "RepairOutcome": "availability.repairs",
    "RequestAnswer": "availability.answer",
    "Requirements": "availability.fallback.requirements",
    "adopt": "availability.api",
    "cancel": "availability.api_controls",
    "check": "availability.api",
    "downloads": "availability.api_controls",
    "ensure": "availability.api",
    "ensure_models": "availability.api",
    "open_workspace": "availability.opening",
    "pause": "availability.api_controls",
    "progress": "availability.api",
    "repair": "availability.api",
    "request": "availability.inquiry",
    "resume": "availability.api_controls",
    "set_limit": "availability.api_controls",
    "set_priority": "availability.api_controls",
    "status": "availability.api",
    "status_all": "availability.api",
    "system_health": "availability.api",
}

__all__ = sorted(_FACE)  # noqa: PLE0605  one list of the names


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module 'availability' has no attribute {name!r}")
    return getattr(import_module(_FACE[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_FACE]


class _Face(ModuleType):
    """The package, on which no room takes the place of the function that has its name (`status`, `ensure`, `adopt`)."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system hangs every room on its package when it is first loaded.
        if not (name in _FACE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face

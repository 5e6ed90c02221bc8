"""Timing the steps of the road: for the outcome, and as lines of the log."""

import logging
from collections.abc import Callable
from functools import wraps
from time import monotonic
from typing import Concatenate, ParamSpec, TypeVar

from availability.download import Download

P = ParamSpec("P")
R = TypeVar("R")


def timed(step: Callable[Concatenate[Download, P], R]) -> Callable[Concatenate[Download, P], R]:
    """Return a step that counts its time, however it ends, and says so in the log of its module."""
    log = logging.getLogger(step.__module__)

    @wraps(step)
    def taken(download: Download, /, *args: P.args, **kwargs: P.kwargs) -> R:
        log.debug("%s: %s begins (download %s)", download, step.__name__, download.download_id)
        began, word = monotonic(), "failed after"
        try:
            result = step(download, *args, **kwargs)
            word = "took"
            return result
        finally:
            seconds = monotonic() - began
            download.meter.took(step.__name__, seconds)
            log.info("%s: %s %s %.2f s (download %s)", download, step.__name__, word, seconds, download.download_id)

    return taken

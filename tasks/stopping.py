"""Long steps that end when their run does: a cancelled run gets its exception in the main thread, and only there."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import TypeVar

R = TypeVar("R")


def run_until_stopped(step: Callable[[Event], R]) -> R:
    """Run a step in a thread, tell it to end when the run is told to, and wait until it has."""
    stop = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="step") as pool:
        try:
            return pool.submit(copy_context().run, step, stop).result()
        except BaseException:
            stop.set()
            raise

"""A line of a limited speed: what is sent over it waits until it would have got through."""

import threading
import time

_CATCH_UP_SECONDS = 0.1


class Line:
    """One line, for one connection or for all that share it; safe to call from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._free_at = time.monotonic()

    def wait(self, seconds: float, ended: threading.Event) -> None:
        """Wait until the line has carried what takes it so long; what oversleeping lost is caught up with."""
        with self._guard:
            now = time.monotonic()
            until = self._free_at = max(self._free_at + seconds, now - _CATCH_UP_SECONDS)
        if until > now:
            ended.wait(until - now)

"""A hub that counts requests: so many in each window of time, told with every answer and refused beyond."""

import threading
import time
from dataclasses import replace

from service.protocol import Answer, json_answer


class Ration:
    """Counts requests in fixed windows, as the Hub does (`RateLimit`, `RateLimit-Policy`); safe from any thread."""

    def __init__(self, allowed: int, seconds: float) -> None:
        """Allow so many requests in so many seconds; the first window begins with the first request."""
        self._allowed = allowed
        self._seconds = seconds
        self._guard = threading.Lock()
        self._ends_at = 0.0
        self._taken = 0

    def judge(self, reply: Answer) -> Answer:
        """Count a request; return its answer with what is left, or the refusal."""
        with self._guard:
            now = time.monotonic()
            if now >= self._ends_at:
                self._ends_at, self._taken = now + self._seconds, 0
            self._taken += 1
            left, seconds = self._allowed - self._taken, self._ends_at - now
        told = {
            "RateLimit": f'"api";r={max(0, left)};t={seconds:.0f}',
            "RateLimit-Policy": f'"fixed window";"api";q={self._allowed};w={self._seconds:.0f}',
        }
        if left < 0:
            refusal = json_answer({"error": "Too many requests"}, 429, told)
            return replace(refusal, headers={**refusal.headers, "Retry-After": f"{max(1.0, seconds):.0f}"})
        return replace(reply, headers={**reply.headers, **told})

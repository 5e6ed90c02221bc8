"""The one retry policy, as values: how long to wait, and what is worth another attempt.

Prefect tasks and the command line take the same delays; nobody below them loops or sleeps on failure.
"""

from random import Random

from availability.errors import LeaseLostError, TransientError

JITTER = (0.10, 0.30)
"""Share of a delay that is added at random, so that a fleet does not come back at one moment."""


def retry_delays(max_retries: int, base_seconds: float, cap_seconds: float, random: Random) -> tuple[float, ...]:
    """Return the waits before each retry, in seconds: as many as there are retries.

    Delay k is `min(base * 2**k, cap)` with 10 to 30 % added, and never more than the cap
    (exponential backoff with jitter).
    """
    return tuple(
        min(base_seconds * 2**attempt * (1 + random.uniform(*JITTER)), cap_seconds) for attempt in range(max_retries)
    )


def may_pass(error: BaseException) -> bool:
    """Say whether another attempt can end differently; whoever has lost a model to another process has lost it."""
    return isinstance(error, TransientError) and not isinstance(error, LeaseLostError)

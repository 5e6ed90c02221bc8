"""The circuit breaker of one source: after failures in a row, or one strike, it is left alone for a while.

The state machine is pybreaker's (closed, open, half-open). It is told outcomes after the fact, because its own call
would hold a lock around every request; who may be asked is read off its state. Open, a source is asked only when nobody
else can help: a breaker must never be the reason why a model cannot be had.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import time

from pybreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
    CircuitMemoryStorage,
)

from availability.sources.standing import Circuit, CircuitState

_MOST_COOL_DOWN_SECONDS = 24 * 3600.0
_TRIAL_SECONDS = 60.0
"""A trial that has not ended by then does not keep others from making one."""

_STATES: dict[str, CircuitState] = {"closed": "closed", "open": "open", "half-open": "half-open"}


class _FailedCallError(Exception):
    """What pybreaker is shown for a request that failed."""


class Breaker(CircuitBreakerListener):
    """Opens, cools down, and lets one request try."""

    def __init__(
        self,
        circuit: Circuit,
        *,
        max_failures: int = 5,
        cool_down_seconds: float = 60.0,
        on_change: Callable[[Circuit], None] = lambda _: None,
    ) -> None:
        """Go on from a recorded state.

        Args:
            circuit: the state.
            max_failures: so many in a row open it.
            cool_down_seconds: how long it stays open; each strike in a row doubles that, up to a day.
            on_change: told every new state, in whatever thread brought it about.
        """
        self._on_change = on_change
        self._cool_down_seconds = cool_down_seconds
        self._cause = circuit.cause
        self._trial_until = 0.0
        self._follows = False
        # A trial that was under way when it was recorded is nobody's any more.
        self._storage = CircuitMemoryStorage("closed" if circuit.state == "closed" else "open")
        self._storage.opened_at = datetime.fromtimestamp(circuit.changed_at, UTC)
        self._circuit = CircuitBreaker(
            fail_max=max_failures,
            reset_timeout=cool_down_seconds,
            state_storage=self._storage,
            listeners=[self],
            throw_new_error_on_trip=False,
        )

    @property
    def is_closed(self) -> bool:
        """Whether the source is asked like any other."""
        return self._storage.state == "closed"

    @property
    def may_be_asked(self) -> bool:
        """Whether it is closed, or has cooled down and nobody tries it yet."""
        if self.is_closed:
            return True
        return time() >= max(self.next_try_at, self._trial_until)

    @property
    def next_try_at(self) -> float:
        """When it has cooled down, in seconds since the epoch; of one that is closed it means nothing."""
        opened_at = self._storage.opened_at
        return (opened_at.timestamp() if opened_at else 0.0) + (self._circuit.reset_timeout or 0.0)

    def begin_trial(self) -> None:
        """Note that a request goes out: unless it is closed, that is the one that tries."""
        if not self.is_closed:
            self._trial_until = time() + _TRIAL_SECONDS

    def succeeded(self) -> None:
        """Note that a request went well."""
        # Most requests do: nothing has to be counted then.
        if not self.is_closed or self._storage.counter:
            with suppress(CircuitBreakerError):
                self._circuit.call(lambda: None)
            self._trial_until = 0.0

    def failed(self, cause: str) -> None:
        """Note that a request failed."""

        def fail() -> None:
            raise _FailedCallError

        self._cause = cause if self.is_closed else self._cause
        with suppress(CircuitBreakerError, _FailedCallError):
            self._circuit.call(fail)
        self._trial_until = 0.0

    def strike(self, cause: str, strikes_in_a_row: int) -> None:
        """Open it at once, for the longer the more strikes there were in a row."""
        self._cause = cause
        self.weigh(strikes_in_a_row)
        self._circuit.open()

    def weigh(self, strikes_in_a_row: int) -> None:
        """Let the time for which it stays open follow from the strikes."""
        longer = self._cool_down_seconds * 2.0 ** min(strikes_in_a_row, 20)
        self._circuit.reset_timeout = min(longer, _MOST_COOL_DOWN_SECONDS)

    def follow(self, circuit: Circuit) -> None:
        """Take over a state that another process has recorded."""
        if circuit.state in ("half-open", self._storage.state):
            return
        self._cause = circuit.cause
        self._storage.opened_at = datetime.fromtimestamp(circuit.changed_at, UTC)
        self._follows, self._storage.state = True, circuit.state
        _ = self._circuit.state  # here pybreaker takes notice
        self._follows = False

    def state_change(
        self,
        cb: CircuitBreaker,  # noqa: ARG002  pybreaker's signature
        old_state: CircuitBreakerState | None,
        new_state: CircuitBreakerState,
    ) -> None:
        """Be told by pybreaker."""
        if not self._follows and (old_state is None or old_state.name != new_state.name):
            cause = "" if new_state.name == "closed" else self._cause
            self._on_change(Circuit(_STATES[new_state.name], time(), cause))

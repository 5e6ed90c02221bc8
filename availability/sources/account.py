"""What this process sees of one source while it works: counted in memory, and now and then added to the record.

Nothing is written here, and no request waits for a disk; `availability.sources.standings` keeps it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import time

from availability.errors import (
    AccessDeniedError,
    BudgetSpentError,
    DownloadIntegrityError,
    FileNotServedError,
    ModelNotFoundError,
    OfflineError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from availability.sources.breaker import Breaker
from availability.sources.standing import Circuit, CircuitState, Freshness, Standing, Tally, running_mean

ABSENT = (FileNotServedError, ModelNotFoundError, RevisionNotFoundError)
"""It does not have that, which is no failure."""
REFUSED = (AccessDeniedError, SourceRefusedError)
_SAMPLE_SECONDS = 0.25
"""Of connection time: less says nothing about a speed."""


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A breaker that opened or closed.

    Attributes:
        source: whose.
        state: what it is now.
        cause: the failure that opened it, empty when it closed.
        strikes: how often the source was shown to have sent wrong bytes.
    """

    source: str
    state: CircuitState
    cause: str
    strikes: int

    def as_fields(self) -> dict[str, object]:
        """Return it as the fields of its event."""
        details = {"cause": self.cause, "strikes": self.strikes}
        return {"source": self.source, "action": self.state, "details": details}


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Attributes:
        max_failures: so many failures in a row open it; a strike does so alone.
        cool_down_seconds: how long it stays open; each strike in a row doubles that.
    """

    max_failures: int = 5
    cool_down_seconds: float = 60.0


class Account:
    """One source's account; safe to call from any thread."""

    def __init__(
        self,
        name: str,
        standing: Standing | None = None,
        policy: BreakerPolicy | None = None,
        on_change: Callable[[BreakerChange], None] = lambda _: None,
    ) -> None:
        """Go on from a recorded standing; see `BreakerChange` for what `on_change` is told."""
        policy = policy or BreakerPolicy()
        self.name = name
        self._recorded = standing or Standing()
        self._tally = Tally()
        self._on_change = on_change
        self._told: CircuitState = self._recorded.circuit.state
        self._lock = Lock()
        self._sample_bytes, self._sample_seconds = 0, 0.0
        self.breaker = Breaker(
            self._recorded.circuit,
            max_failures=policy.max_failures,
            cool_down_seconds=policy.cool_down_seconds,
            on_change=self._changed,
        )
        self.breaker.weigh(self._recorded.strikes_in_a_row)
        self.credit_bytes = self._recorded.credit_bytes
        self.bytes_per_second = self._recorded.bytes_per_second

    @property
    def standing(self) -> Standing:
        """The record as it would be now."""
        with self._lock:
            return self._recorded.after(self._tally)

    # --- what happens ---

    def asked(self) -> None:
        """Count a request."""
        self.breaker.begin_trial()
        with self._lock:
            self._tally.requests += 1

    def answered(self, seconds: float) -> None:
        """Note how long an answer took to begin."""
        with self._lock:
            before = self._tally.latency_seconds or self._recorded.latency_seconds
            self._tally.latency_seconds = running_mean(before, seconds)

    def sent(self, count: int, seconds: float) -> None:
        """Count bytes of one connection, and the time that passed over them."""
        with self._lock:
            self._tally.bytes_received += count
            self._sample_bytes += count
            self._sample_seconds += seconds
            if self._sample_seconds >= _SAMPLE_SECONDS and self._sample_bytes:
                pace = self._sample_bytes / self._sample_seconds
                self.bytes_per_second = self._tally.bytes_per_second = running_mean(self.bytes_per_second, pace)
                self._sample_bytes, self._sample_seconds = 0, 0.0

    def succeeded(self) -> None:
        """Note that a request went well."""
        self.breaker.succeeded()
        with self._lock:
            self._tally.last_success_at = time()

    def failed(self, error: Exception, *, opens: bool = True) -> None:
        """Note that a request failed; what the source does not have, or does not give us, is no failure of it.

        Args:
            error: how.
            opens: whether its breaker may open for it; of a disk, one rotten file says nothing about the others.
        """
        kind = kind_of(error)
        if kind is None:
            return
        with self._lock:
            self._tally.errors[kind] += 1
            self._tally.last_error_at, self._tally.last_error = time(), str(error)
        if isinstance(error, DownloadIntegrityError):
            self._strike(str(error), opens=opens)
        elif not opens:
            return
        elif isinstance(error, SourceUnavailableError) and not isinstance(error, RateLimitedError):
            self.breaker.failed(str(error))
        else:
            # It lives, and said so.
            self.breaker.succeeded()

    def proven(self, count: int, *, is_large: bool) -> None:
        """Count bytes that came from here and were proven."""
        with self._lock:
            self._tally.bytes_proven += count
            if is_large:
                self._tally.credit_bytes += count
                self._tally.strikes_in_a_row = 0
                self.credit_bytes += count

    def compared(self, freshness: Freshness) -> None:
        """Note how far it is behind."""
        with self._lock:
            self._tally.freshness = freshness

    # --- keeping it ---

    @property
    def has_news(self) -> bool:
        """Whether there is anything to write down."""
        return self._tally != Tally()

    def take_tally(self) -> Tally:
        """Return what was seen since the last time, and begin anew."""
        with self._lock:
            self._recorded = self._recorded.after(self._tally)
            taken, self._tally = self._tally, Tally()
            return taken

    def follow(self, standing: Standing) -> None:
        """Take over what is recorded now, other processes' share included."""
        with self._lock:
            self._recorded = standing
            self.credit_bytes = standing.after(self._tally).credit_bytes
        self.breaker.weigh(standing.strikes_in_a_row)
        self._told = standing.circuit.state if standing.circuit.state != "half-open" else self._told
        self.breaker.follow(standing.circuit)

    def _strike(self, cause: str, *, opens: bool) -> None:
        with self._lock:
            before = self._tally.strikes_in_a_row
            in_a_row = 1 + (self._recorded.strikes_in_a_row if before is None else before)
            self._tally.strikes += 1
            self._tally.strikes_in_a_row = in_a_row
            self._tally.credit_bytes = self.credit_bytes = 0
        if opens:
            self.breaker.strike(cause, in_a_row)

    def _changed(self, circuit: Circuit) -> None:
        with self._lock:
            self._tally.circuit = circuit
            strikes = self._recorded.strikes + self._tally.strikes
            is_news = circuit.state not in ("half-open", self._told)
            self._told = circuit.state if is_news else self._told
        if is_news:
            self._on_change(BreakerChange(self.name, circuit.state, circuit.cause, strikes))


def kind_of(error: Exception) -> str | None:
    """Return as what a failure is counted, None for what is not the source's."""
    match error:
        case DownloadIntegrityError():
            return "wrong_bytes"
        case OfflineError() | BudgetSpentError():  # it was not asked
            return None
        case SourceUnavailableError():
            return error.kind
        case _ if isinstance(error, ABSENT):
            return "absent"
        case _ if isinstance(error, REFUSED):
            return "refused"
        case _:
            return "unavailable"

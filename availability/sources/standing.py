"""What is known of a source, as a value: what it was asked, gave, failed and lied about, and whether it is asked now.

It outlives the process and is shared by all of them; how it is kept is `availability.sources.standings`. Nothing here
reads a clock: what happened comes as a `Tally`, and the value after it is computed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, TypedDict

CircuitState = Literal["closed", "open", "half-open"]
_NEWEST_WEIGHT = 0.3
"""Of the newest figure in a running mean of latency or speed (exponentially weighted moving average)."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state of a source's circuit breaker.

    Attributes:
        state: `closed`: it is asked; `open`: it is asked only when nobody else can help; `half-open`: one request
            tries it.
        changed_at: when it came to be so, in seconds since the epoch.
        cause: the failure that opened it, empty while closed.
    """

    state: CircuitState = "closed"
    changed_at: float = 0.0
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a source is behind the trusted revisions.

    Attributes:
        compared_at: when it was last compared, in seconds since the epoch.
        models: of how many models.
        behind: of how many of them it has another commit, or none.
        behind_since: since when it has been behind with any, None when it is with none.
    """

    compared_at: float
    models: int
    behind: int
    behind_since: float | None = None


class StandingRecord(TypedDict):
    """A `Standing` as plain data, in `availability sources --json`."""

    requests: int
    bytes_received: int
    bytes_proven: int
    errors: dict[str, int]
    strikes: int
    latency_ms: float | None
    mib_per_second: float | None
    last_success_at: str | None
    last_error_at: str | None
    last_error: str | None
    models_compared: int | None
    models_behind: int | None
    seconds_behind: float | None


@dataclass(slots=True)
class Tally:
    """What one process has seen of a source since its record was last written."""

    requests: int = 0
    latency_seconds: float | None = None
    bytes_received: int = 0
    bytes_proven: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    strikes: int = 0
    strikes_in_a_row: int | None = None
    credit_bytes: int = 0
    bytes_per_second: float | None = None
    last_success_at: float | None = None
    last_error_at: float | None = None
    last_error: str | None = None
    freshness: Freshness | None = None
    circuit: Circuit | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The record of one source.

    Attributes:
        requests: how often it was asked for bytes.
        bytes_received: what came from it.
        bytes_proven: of the files it took part in and that had their publisher's digest, what came from it.
        errors: how often it failed, by kind: those of `availability.errors.FailureKind`, and `absent` (it does not
            have that), `refused` (it does not let us) and `wrong_bytes`.
        strikes: how often it was shown to have sent wrong bytes.
        strikes_in_a_row: those since it last sent a large file that was proven.
        credit_bytes: what came from it, since the last strike, of large files that were proven.
        latency_seconds: from a request to its answer, recent mean; None when it never answered.
        bytes_per_second: of one connection, recent mean; None when it never sent enough to tell.
        last_success_at: when bytes last came, in seconds since the epoch.
        last_error_at: when it last failed.
        last_error: how.
        freshness: how far it is behind, None when it was never compared.
        circuit: its circuit breaker.
    """

    requests: int = 0
    bytes_received: int = 0
    bytes_proven: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    strikes: int = 0
    strikes_in_a_row: int = 0
    credit_bytes: int = 0
    latency_seconds: float | None = None
    bytes_per_second: float | None = None
    last_success_at: float | None = None
    last_error_at: float | None = None
    last_error: str | None = None
    freshness: Freshness | None = None
    circuit: Circuit = Circuit()

    def after(self, tally: Tally) -> "Standing":
        """Return the record with what a process has seen since."""
        is_newer = tally.circuit is not None and tally.circuit.changed_at >= self.circuit.changed_at
        return replace(
            self,
            requests=self.requests + tally.requests,
            bytes_received=self.bytes_received + tally.bytes_received,
            bytes_proven=self.bytes_proven + tally.bytes_proven,
            errors=dict(sorted((Counter(self.errors) + tally.errors).items())),
            strikes=self.strikes + tally.strikes,
            strikes_in_a_row=self.strikes_in_a_row if tally.strikes_in_a_row is None else tally.strikes_in_a_row,
            credit_bytes=tally.credit_bytes + (0 if tally.strikes else self.credit_bytes),
            latency_seconds=tally.latency_seconds or self.latency_seconds,
            bytes_per_second=tally.bytes_per_second or self.bytes_per_second,
            last_success_at=_later(self.last_success_at, tally.last_success_at),
            last_error_at=_later(self.last_error_at, tally.last_error_at),
            last_error=tally.last_error or self.last_error,
            freshness=tally.freshness or self.freshness,
            circuit=tally.circuit if is_newer and tally.circuit else self.circuit,
        )

    def as_dict(self, now: float) -> StandingRecord:
        """Return the record as plain data."""
        fresh, speed, latency = self.freshness, self.bytes_per_second, self.latency_seconds
        since = fresh.behind_since if fresh else None
        return StandingRecord(
            requests=self.requests,
            bytes_received=self.bytes_received,
            bytes_proven=self.bytes_proven,
            errors=dict(self.errors),
            strikes=self.strikes,
            latency_ms=None if latency is None else round(latency * 1000, 1),
            mib_per_second=None if speed is None else round(speed / 2**20, 2),
            last_success_at=iso(self.last_success_at),
            last_error_at=iso(self.last_error_at),
            last_error=self.last_error,
            models_compared=fresh.models if fresh else None,
            models_behind=fresh.behind if fresh else None,
            seconds_behind=None if since is None else round(max(0.0, now - since), 1),
        )


def running_mean(before: float | None, newest: float) -> float:
    """Return an exponentially weighted mean after one more figure."""
    return newest if before is None else (1 - _NEWEST_WEIGHT) * before + _NEWEST_WEIGHT * newest


def iso(moment: float | None) -> str | None:
    """Return a moment as UTC in ISO 8601."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def _later(one: float | None, other: float | None) -> float | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)

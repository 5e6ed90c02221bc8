"""What is known of one run of a download: how long it took, how often it was tried, and what went wrong on the way."""

from collections.abc import Sequence
from time import monotonic

from availability.findings import Damage, Finding
from availability.recorder import reason_of
from availability.transfer.meter import Meter


class Account:
    """The account of a run, kept from its beginning.

    Attributes:
        meter: the bytes and the retries.
        begun: whether anything had to be done.
        damage: what was wrong with published content, None when nothing was.
    """

    def __init__(self) -> None:
        """Begin now."""
        self.meter = Meter()
        self.begun = False
        self.damage: Damage | None = None
        self._causes: list[str] = []
        self._failures: list[str] = []
        self._began = monotonic()
        self._held_since: float | None = None
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has been going on, or how long it took."""
        return (self._ended or monotonic()) - self._began

    @property
    def was_held(self) -> bool:
        """Whether it came so far that it was the only one at work on the model."""
        return self._held_since is not None

    @property
    def seconds_at_work(self) -> float | None:
        """The same without the wait for others who worked on the model; None before it came to that."""
        return None if self._held_since is None else (self._ended or monotonic()) - self._held_since

    @property
    def attempts(self) -> int:
        """How often it was tried: 0 when nothing had to be done, else once and once for each retry."""
        return 1 + self.meter.retries if self.begun else 0

    @property
    def causes(self) -> tuple[str, ...]:
        """Why each attempt that failed did so, in order."""
        return tuple(self._causes)

    @property
    def failures(self) -> tuple[str, ...]:
        """What kind of failure ended each attempt that failed, in order."""
        return tuple(self._failures)

    def note_failure(self, error: BaseException) -> None:
        """Note why an attempt failed."""
        self._causes.append(f"attempt {len(self._causes) + 1}: {reason_of(error)}")
        self._failures.append(type(error).__name__)

    def note_damage(self, unknown: Sequence[Finding], bytes_needed: int) -> None:
        """Note, once, that published content is wrong and about to be healed."""
        if self.damage is None:
            self.damage = Damage(tuple(unknown), bytes_needed, self.meter.bytes_by_source, self.seconds)

    def note_retry(self) -> None:
        """Count a retry."""
        self.meter.retries += 1

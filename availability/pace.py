"""How fast and how long somebody may read: the one value by which a scrub is throttled, time-boxed and stopped."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Self

from availability.transfer.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Pace:
    """How a scrub may read.

    Attributes:
        from_memory: through the page cache, which tells what readers get now; else from the disk.
        throttle: the speed limit.
        stop: set to end it.
        until: when the time box ends, by `clock`; None for no end.
        clock: seconds, never going back.
    """

    from_memory: bool = False
    throttle: Throttle = field(default_factory=lambda: Throttle(0.0))
    stop: Event = field(default_factory=Event)
    until: float | None = None
    clock: Callable[[], float] = monotonic

    @classmethod
    def of(
        cls,
        *,
        from_memory: bool = False,
        bytes_per_second: float = 0.0,
        max_seconds: float | None = None,
        stop: Event | None = None,
    ) -> Self:
        """Return a pace that begins now."""
        until = None if max_seconds is None else monotonic() + max_seconds
        return cls(from_memory, Throttle(bytes_per_second), stop or Event(), until)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be begun."""
        return self.stop.is_set() or (self.until is not None and self.clock() >= self.until)

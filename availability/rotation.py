"""Which bytes to read now, so that all are read again in time: a plan for one run of a scrub.

Pure: what there is and when each was last read go in, portions come out, the longest unread first. A plan never asks
for more than the bound needs, so the work is spread evenly over the runs, and a run that was missed is made up for by
the next ones. Files with a ledger may be read in part and gone on with later; the rest are read whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from availability.digests import CHUNK_BYTES

_HOUR_SECONDS, _DAY_SECONDS = 3600.0, 86400.0
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Due:
    """A file that is to be read again and again.

    Attributes:
        path: its name.
        size: bytes.
        checked_at: when its last whole reading began, seconds since the epoch; None when it never was read.
        position: how far a reading that is under way has come.
        is_divisible: whether it may be read in part.
    """

    path: str
    size: int
    checked_at: float | None
    position: int = 0
    is_divisible: bool = True

    @property
    def age_key(self) -> float:
        """When it was checked, for comparing: never is the longest ago."""
        return _NEVER if self.checked_at is None else self.checked_at

    @property
    def left(self) -> int:
        """Bytes until it is read; an empty file takes a look, too."""
        return max(1, self.size - self.position)


@dataclass(frozen=True, slots=True)
class Portion:
    """What to read of a file now: bytes `start` to `stop`, exclusive."""

    path: str
    start: int
    stop: int


def whole(files: Iterable[Due]) -> tuple[Portion, ...]:
    """Return all of every file, those under way from where they are."""
    return tuple(Portion(file.path, file.position, file.size) for file in _longest_unread_first(files))


def share(files: Sequence[Due], of: Fraction) -> tuple[Portion, ...]:
    """Return a share of all bytes, such as a seventh: after seven such runs every byte was read."""
    total = sum(max(1, file.size) for file in files)
    return _portions(files, -(-total * of.numerator // of.denominator))


def within(files: Sequence[Due], *, days: float, every_hours: float, now: float) -> tuple[Portion, ...]:
    """Return what to read now, so that with a run every so many hours no check ever gets older than so many days.

    For every file there are so many runs before its time is up; what must be read before then, divided by those runs,
    is what this run must do at least. One run is held in reserve, because one may be missed.

    Args:
        files: all there are.
        days: the bound on the age of the oldest check; at least three runs must fit into it.
        every_hours: how often this is asked.
        now: seconds since the epoch.
    """
    interval = every_hours * _HOUR_SECONDS
    needed, before = 0, 0
    for file in _longest_unread_first(files):
        before += file.left
        runs = (file.age_key + days * _DAY_SECONDS - now) / interval
        # This run counts; the one at the very end is the reserve.
        needed = max(needed, -(-before // max(1, int(runs))) if runs > 1 else before)
    return _portions(files, needed)


def parse_share(text: str) -> Fraction:
    """Read a share such as `1/7`, `0.25` or `20%`.

    Raises:
        ValueError: it is none, or not more than nothing and at most everything.
    """
    number, percent = (text.strip()[:-1], True) if text.strip().endswith("%") else (text, False)
    try:
        parsed = Fraction(number.strip()) / (100 if percent else 1)
    except (ValueError, ZeroDivisionError):
        parsed = Fraction(0)
    if not 0 < parsed <= 1:
        raise ValueError(f"{text!r} is no share: expected one such as 1/7, more than 0 and at most 1")
    return parsed


def _longest_unread_first(files: Iterable[Due]) -> list[Due]:
    # Among equals what is under way comes first, or two halves would wait for each other.
    return sorted(files, key=lambda file: (file.age_key, -file.position, file.path))


def _portions(files: Iterable[Due], budget: int) -> tuple[Portion, ...]:
    portions: list[Portion] = []
    for file in _longest_unread_first(files):
        if budget <= 0:
            break
        stop = file.size
        if file.is_divisible and file.left > budget:
            stop = min(file.size, -(-(file.position + budget) // CHUNK_BYTES) * CHUNK_BYTES)
        portions.append(Portion(file.path, file.position, stop))
        budget -= max(1, stop - file.position)
    return tuple(portions)

"""How long a model will be waited for, from speeds that were measured, and how far that can be relied on.

Without a measurement nothing is known, and nothing is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

LEAST_MEASURED_BYTES = 2**20
"""A download of less says nothing about speed."""

_EVIDENCE = 5
"""With so many downloads, half of the confidence that their spread allows; as in the history's view `speeds`."""


@dataclass(frozen=True, slots=True)
class WaitEstimate:
    """How long something will take.

    Attributes:
        seconds: how long, None when nothing was measured.
        confidence: how far that can be relied on, 0 to 1; 0 when nothing is known.
        basis: what it rests on, as half a sentence.
    """

    seconds: float | None
    confidence: float
    basis: str

    def is_within(self, seconds: float) -> bool:
        """Say whether it is known to be over in less than so many seconds."""
        return self.seconds is not None and self.seconds < seconds


UNKNOWN_WAIT = WaitEstimate(None, 0.0, "no speed was measured yet")


def wait_of_running(
    seconds_left: float | None, bytes_per_second: float | None, bytes_fetched: int, seconds_running: float
) -> WaitEstimate:
    """Estimate from the meter of a download that is running.

    The confidence is agreement times evidence: the speed of the last seconds by that of the whole run (or the other
    way round, so that it is at most 1), and the time it was watched by that time and the time it will still take.
    """
    if seconds_left is None or not bytes_per_second or not bytes_fetched or seconds_running <= 0:
        return WaitEstimate(None, 0.0, "it has only begun: no speed was measured yet")
    mean = bytes_fetched / seconds_running
    agreement = min(mean, bytes_per_second) / max(mean, bytes_per_second)
    evidence = seconds_running / (seconds_running + seconds_left)
    basis = f"its own speed of {bytes_per_second / 1e6:.1f} MB/s, watched for {seconds_running:.0f} s"
    return WaitEstimate(seconds_left, agreement * evidence, basis)


def wait_for_bytes(count: int | None, speeds: Sequence[float]) -> WaitEstimate:
    """Estimate from the speeds of earlier downloads, in bytes per second.

    The wait is at their median. The confidence is n / (n + 5) times the slow speed (nine of ten were faster) by the
    usual one: it grows with the number of downloads and falls with their spread.
    """
    if count == 0:
        return WaitEstimate(0.0, 1.0, "nothing has to be fetched")
    if count is None or not speeds:
        return UNKNOWN_WAIT
    usual = median(speeds)
    slow = quantiles(speeds, n=10, method="inclusive")[0] if len(speeds) > 1 else usual
    confidence = len(speeds) / (len(speeds) + _EVIDENCE) * slow / usual
    many = f"{len(speeds)} earlier downloads" if len(speeds) > 1 else "one earlier download"
    return WaitEstimate(count / usual, confidence, f"{usual / 1e6:.1f} MB/s, the usual speed of {many}")

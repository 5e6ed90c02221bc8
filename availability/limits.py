"""Which speed limit holds at a moment: the usual one, that of business hours, or what serving models leave.

Pure but for one look whether a file is there. Keeping the limit is `availability.bandwidth`'s task.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from availability.settings import LimitSettings, Settings

_BYTES_PER_MEGABIT = 1e6 / 8


@dataclass(frozen=True, slots=True)
class Limit:
    """What all downloads together may take now.

    Attributes:
        bytes_per_second: the limit; 0 is none.
        why_closed: why nothing may be fetched at all, None while something may.
    """

    bytes_per_second: float
    why_closed: str | None = None


def bytes_per_second(mbps: float) -> float:
    """Return megabits per second in bytes per second."""
    return mbps * _BYTES_PER_MEGABIT


def limit_at(moment: datetime, settings: Settings, *, is_serving: bool) -> Limit:
    """Return the limit that holds at a moment, which has its zone.

    What serves comes first; else business hours have their own limit, and all other time has the usual one.
    """
    limits = settings.limits
    if is_serving and not limits.serving_bandwidth_mbps:
        return Limit(0.0, f"models serve, as {serving_file(settings)} says")
    usual = settings.download.bandwidth_limit_mbps
    mbps = limits.business_bandwidth_mbps if is_business(moment, limits) else usual
    if is_serving:
        mbps = min(mbps or limits.serving_bandwidth_mbps, limits.serving_bandwidth_mbps)
    return Limit(bytes_per_second(mbps))


def is_business(moment: datetime, limits: LimitSettings) -> bool:
    """Say whether a moment, which has its zone, lies in business hours."""
    if limits.business_times is None:
        return False
    begin, end = limits.business_times
    local = moment.astimezone(ZoneInfo(limits.business_zone))
    today, yesterday = local.weekday(), (local - timedelta(days=1)).weekday()
    days, at = limits.business_weekdays, local.time()
    if begin < end:
        return today in days and begin <= at < end
    # Over midnight, or all around the clock.
    return (today in days and at >= begin) or (yesterday in days and at < end)


def serving_file(settings: Settings) -> Path:
    """Return the file that says, by being there, that models serve."""
    return settings.limits.serving_file or settings.storage.cache_directory / "serving"

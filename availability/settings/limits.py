"""The settings by which downloads make room for others: people at work, and models at work."""

import re
from datetime import time
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from availability.settings.words import LowerCase, PathSetting, Shown

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As Python counts them: Monday is 0."""

_HOURS_SAID = "two times of day such as `08:00-18:00`, or `none`"
_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


def _hours(text: str) -> str:
    if not _HOURS.fullmatch(text.strip()):
        raise ValueError("a time of day is written as 08:00, and two of them with - between")
    return text.strip()


def _days(text: str) -> str:
    for part in text.split(","):
        ends = part.strip().split("-")
        if len(ends) > 2 or not all(end in WEEKDAYS for end in ends):
            raise ValueError(f"{part.strip()!r} is neither a day ({', '.join(WEEKDAYS)}) nor two days with - between")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError("this machine knows no such time zone") from None
    return name


def _none(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


Hours = Annotated[str, AfterValidator(_hours)]
Days = Annotated[str, LowerCase, AfterValidator(_days), Shown(expected="days such as `mon-fri` or `mon,wed,sat`")]
Zone = Annotated[str, AfterValidator(_zone), Shown(expected="an IANA time zone such as `Europe/Vienna`")]
MegabitsPerSecond = Annotated[float, Shown(unit="Mbit/s")]


class LimitSettings(BaseModel):
    """When downloads make room: in business hours, and while models serve."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    business_hours: Annotated[
        Hours | None,
        BeforeValidator(_none),
        Shown(expected=_HOURS_SAID, default="none"),
    ] = Field(None, description="From when to when `business_bandwidth_mbps` is the speed limit.")
    business_days: Days = Field("mon-fri", description="On which days; a night belongs to the day it begins on.")
    business_zone: Zone = Field("UTC", description="The time zone of the business hours.")
    business_bandwidth_mbps: MegabitsPerSecond = Field(
        0, ge=0, description="Speed limit of all downloads together in business hours; 0 means none."
    )
    serving_file: Annotated[PathSetting | None, Shown(expected="a file", default="`serving` in the state folder")] = (
        Field(None, description="While this file exists, models serve and downloads yield to them.")
    )
    serving_bandwidth_mbps: MegabitsPerSecond = Field(
        0, ge=0, description="Speed limit of all downloads together while models serve; 0 lets them wait."
    )

    @property
    def business_times(self) -> tuple[time, time] | None:
        """When business hours begin and end; None when there are none."""
        found = _HOURS.fullmatch(self.business_hours or "")
        return found and (time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4])))

    @property
    def business_weekdays(self) -> frozenset[int]:
        """The days on which they begin; Monday is 0."""
        days: set[int] = set()
        for part in self.business_days.split(","):
            first, last = (WEEKDAYS.index(end) for end in (part.strip().split("-") * 2)[:2])
            days |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
        return frozenset(days)

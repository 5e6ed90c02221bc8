"""Options that several commands take; those that are settings have their bounds and their words from the definition."""

import re
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from availability.settings import Definition, definitions

F = TypeVar("F", bound=Callable[..., Any])

store_option = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="The Hugging Face cache to work on, instead of the one in the settings.",
)


class _Speed(click.FloatRange):
    """A speed limit in Mbit/s, 0 for none: what floats can be beside numbers is no speed."""

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        speed = float(super().convert(cast("float", value), param, ctx))  # click converts a text as well
        if not isfinite(speed):
            self.fail(f"{value!r} is no speed", param, ctx)
        return speed


SPEED = _Speed(min=0)

limit_option = click.option(
    "--bandwidth-limit-mbps",
    type=SPEED,
    default=0,
    metavar="MBIT/S",
    help="Speed limit of this run alone, beside the one that all downloads share; 0 means none.",
)


def setting_option(flag: str, name: str) -> Callable[[F], F]:
    """Return an option that stands for a numeric setting.

    Args:
        flag: as it is typed, such as `--max-retries`.
        name: the setting's dotted name.
    """
    setting = next(definition for definition in definitions() if definition.name == name)
    return click.option(
        flag,
        type=_range_of(setting),
        metavar=setting.unit or "NUMBER",
        help=setting.sentence,
    )


def _range_of(setting: Definition) -> click.IntRange | click.FloatRange:
    low, high = setting.minimum, setting.maximum
    if setting.kind == "float":
        return click.FloatRange(low, high)
    return click.IntRange(None if low is None else int(low), None if high is None else int(high))


class _Duration(click.ParamType[float]):
    """A length of time as people write it: `90`, `90s`, `30m`, `2h`; in seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is no length of time; expected one such as 90s, 30m or 2h", param, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


DURATION = _Duration()


def pattern_options(command: F) -> F:
    """Add `--include` and `--exclude`."""
    include = click.option(
        "--include", multiple=True, metavar="PATTERN", help="Only files that match, such as '*.json'; repeatable."
    )
    exclude = click.option("--exclude", multiple=True, metavar="PATTERN", help="No files that match; repeatable.")
    return include(exclude(command))

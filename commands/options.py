"""Options that several commands take; those that are settings have their bounds and their words from the definition."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from availability.settings import Definition, definitions

F = TypeVar("F", bound=Callable[..., Any])

store_option = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="The Hugging Face cache to work on, instead of the one in the settings.",
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


def pattern_options(command: F) -> F:
    """Add `--include` and `--exclude`."""
    include = click.option(
        "--include", multiple=True, metavar="PATTERN", help="Only files that match, such as '*.json'; repeatable."
    )
    exclude = click.option("--exclude", multiple=True, metavar="PATTERN", help="No files that match; repeatable.")
    return include(exclude(command))

"""From what was given to one frozen `Settings`: argument over environment over `.env` over profile over default.

Every bad value is told at once, with its name, its place, what was expected and what was got. Unknown names are
collected, and refused on demand.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from availability.errors import SettingsError
from availability.masking import masked
from availability.settings.definitions import Definition, definitions, shown
from availability.settings.groups import Settings
from availability.settings.profiles import profile_defaults, wrong_folders
from availability.settings.sources import (
    ARGUMENT,
    Given,
    UnknownVariable,
    read_arguments,
    read_dotenv,
    read_ecosystem,
    read_environment,
)

DOTENV = Path(".env")
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One setting as it holds now; `origin` says who set it, the rest is its definition."""

    name: str
    env_name: str
    value: object
    origin: str
    default: str
    unit: str
    bounds: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Effective:
    """All settings as they hold now, and the variables that look like settings and are none."""

    settings: Settings
    values: tuple[EffectiveValue, ...]
    unknown: tuple[UnknownVariable, ...]


def load_settings(
    overrides: Mapping[str, object] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    dotenv: Path | None = DOTENV,
    strict: bool = False,
) -> Settings:
    """Return the settings that hold for a run.

    Args:
        overrides: arguments by dotted name, such as `download.max_retries`; None means not given.
        env: the environment; an empty variable is not set.
        dotenv: the `.env` file; None reads none.
        strict: refuse unknown ENHANCED_MODEL_* variables too, where otherwise `effective` only lists them.

    Raises:
        SettingsError: with every bad value in one message.
    """
    return effective(overrides, env=env, dotenv=dotenv, strict=strict).settings


def effective(
    overrides: Mapping[str, object] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    dotenv: Path | None = DOTENV,
    strict: bool = False,
) -> Effective:
    """Return every setting with its value and origin; arguments and errors are those of `load_settings`."""
    arguments, variables, file = read_arguments(overrides or {}), read_environment(env), read_dotenv(dotenv, env)
    chosen = {**file.given, **variables.given, **arguments.given}
    given = {**read_ecosystem(env).given, **profile_defaults(chosen), **chosen}
    unknown = (*variables.unknown, *file.unknown)
    refused = [*arguments.unknown, *(unknown if strict else ())]
    settings, faults = _validated(given)
    problems = [unknown.sentence for unknown in refused] + [fault.sentence for fault in faults]
    if settings is None or problems:
        raise _error(problems, faults)
    return Effective(settings, tuple(_effective_values(settings, given)), unknown)


@dataclass(frozen=True, slots=True)
class _Fault:
    sentence: str
    advice: str


def _validated(given: Mapping[str, Given]) -> tuple[Settings | None, list[_Fault]]:
    nested: dict[str, Any] = {}
    for name, said in given.items():
        group, _, field = name.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[field] = said.value
    try:
        settings = Settings(**nested)
    except ValidationError as error:
        return None, _value_faults(error, given)
    wrong = wrong_folders(settings)
    return settings, [_fault(name, why, _value(settings, name), given) for name, why in wrong]


def _value_faults(error: ValidationError, given: Mapping[str, Given]) -> list[_Fault]:
    faults: dict[str, _Fault] = {}
    by_name = {definition.name: definition for definition in definitions()}
    for detail in error.errors(include_url=False):
        location = [str(part) for part in detail["loc"]]
        name = next(name for name in (".".join(location[:2]), location[0]) if name in by_name)
        expected = by_name[name].expected
        if detail["type"] == "value_error":
            expected += f" ({detail['ctx']['error']})"
        value = given[name].value if name in given else detail["input"]
        faults.setdefault(name, _fault(name, expected, value, given))
    return list(faults.values())


def _fault(name: str, expected: str, value: object, given: Mapping[str, Given]) -> _Fault:
    definition = next(definition for definition in definitions() if definition.name == name)
    said = given.get(name, Given(value, definition.env_name, _DEFAULT))
    got = "a value that is not repeated here" if definition.hidden else masked(repr(_plain(value)))
    to_set = name if said.origin == ARGUMENT else definition.env_name
    otherwise = "" if name not in given else f", or leave it out for the default ({definition.default})"
    return _Fault(
        f"{said.variable} ({said.origin}): expected {expected}, got {got}.",
        f"Set {to_set} to what is expected{otherwise}.",
    )


def _plain(value: object) -> object:
    return value if isinstance(value, str | bool | int | float) else shown(value)


def _error(problems: list[str], faults: Iterable[_Fault]) -> SettingsError:
    advice = [fault.advice for fault in faults]
    if len(problems) == 1:
        return SettingsError(problems[0], advice=advice)
    listed = "".join(f"\n- {problem}" for problem in problems)
    return SettingsError(f"{len(problems)} settings cannot be used:{listed}", advice=advice)


def _value(settings: Settings, name: str) -> object:
    value: object = attrgetter(name)(settings)
    return value


def _effective_values(settings: Settings, given: Mapping[str, Given]) -> Iterator[EffectiveValue]:
    for definition in definitions():
        said = given.get(definition.name)
        yield EffectiveValue(
            name=definition.name,
            env_name=definition.env_name,
            value=_value(settings, definition.name),
            origin=_origin(said, definition) if said else _DEFAULT,
            default=definition.default,
            unit=definition.unit,
            bounds=definition.bounds,
            sentence=definition.sentence,
        )


def _origin(said: Given, definition: Definition) -> str:
    """Name the variable too where it is not the setting's own, such as HF_HOME."""
    borrowed = said.variable not in (definition.env_name, definition.name)
    return f"{said.origin} ({said.variable})" if borrowed else said.origin

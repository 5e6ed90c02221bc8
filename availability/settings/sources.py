"""Where settings are given: the environment, the `.env` file, the ecosystem's own variables, arguments.

Each source answers with what it says and under which name, so that an error and `effective` can tell. Whether a value
is good is not judged here.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from availability.errors import SettingsError
from availability.settings.definitions import ECOSYSTEM, definitions
from availability.settings.groups import PREFIX, Settings

ENVIRONMENT = "environment"
ARGUMENT = "argument"


@dataclass(frozen=True, slots=True)
class Given:
    """What a source says for one setting: the raw value, under which name, and where."""

    value: object
    variable: str
    origin: str


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """A variable that looks like a setting and is none.

    Attributes:
        env_name: the variable as it is written.
        origin: where it stands.
        nearest: the setting that was probably meant, None when none is near.
        sentence: all this for a person.
    """

    env_name: str
    origin: str
    nearest: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source says: known settings by name, and what nobody knows."""

    given: Mapping[str, Given]
    unknown: tuple[UnknownVariable, ...] = ()


class _Variables(EnvSettingsSource):
    """pydantic-settings' reading of variables, from a mapping that is handed in."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {**self._variables}


def read_environment(env: Mapping[str, str]) -> Reading:
    """Read our variables from the environment."""
    return _read(env, ENVIRONMENT)


def read_dotenv(path: Path | None, env: Mapping[str, str]) -> Reading:
    """Read our variables from a `.env` file; a file that is not there says nothing.

    Raises:
        SettingsError: the file is there and cannot be read.
    """
    if path is None:
        return Reading({})
    origin = f".env file {path.absolute()}"
    try:
        variables = DotEnvSettingsSource(Settings, env_file=path, env_file_encoding="utf-8").env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The {origin} cannot be read: {error}.",
            advice=("Make it readable as UTF-8 text, or remove it.",),
        ) from error
    said = {name: value for name, value in variables.items() if value}
    reading = _read(said, origin)
    return Reading(reading.given, (*reading.unknown, *_misplaced(said, origin, env)))


def read_arguments(overrides: Mapping[str, object]) -> Reading:
    """Take arguments by their dotted names; None means that an argument was not given, and 0 means 0."""
    names = {definition.name for definition in definitions()}
    said = {name: value for name, value in overrides.items() if value is not None}
    unknown = (_unknown(name, ARGUMENT, names) for name in said if name not in names)
    return Reading(
        {name: Given(value, name, ARGUMENT) for name, value in said.items() if name in names}, tuple(unknown)
    )


def read_ecosystem(env: Mapping[str, str]) -> Reading:
    """Take the store and the hub from the Hugging Face client's own variables: they stand in for our defaults."""
    given = {}
    for variable, below in (("HF_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if env.get(variable):
            folder = Path(os.path.expandvars(env[variable]), below)
            given["storage.models_directory"] = Given(folder, variable, ENVIRONMENT)
            break
    if env.get("HF_ENDPOINT"):
        given["hub.endpoint"] = Given(env["HF_ENDPOINT"], "HF_ENDPOINT", ENVIRONMENT)
    return Reading(given)


def _read(variables: Mapping[str, str], origin: str) -> Reading:
    ours = {name.lower(): value for name, value in variables.items() if value and name.upper().startswith(PREFIX)}
    known = {definition.env_name.lower(): definition for definition in definitions()}
    said = {name: value for name, value in ours.items() if name in known}
    parsed = _Variables(said)() if said else {}
    env_names = {definition.name: definition.env_name for definition in definitions()}
    given = {name: Given(value, env_names[name], origin) for name, value in _dotted(parsed)}
    names = set(env_names.values())
    unknown = (_unknown(name.upper(), origin, names) for name in ours if name not in known)
    return Reading(given, tuple(unknown))


def _dotted(parsed: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in parsed.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{field}", inner) for field, inner in value.items())
        else:
            yield name, value


def _unknown(name: str, origin: str, names: set[str]) -> UnknownVariable:
    by_rest = {known.removeprefix(PREFIX): known for known in sorted(names)}
    near = get_close_matches(name.removeprefix(PREFIX), by_rest, n=1)
    nearest = by_rest[near[0]] if near else None
    hint = f"Did you mean {nearest}?" if nearest else "docs/settings.md lists every setting."
    return UnknownVariable(name, origin, nearest, f"{name} ({origin}) is not a setting. {hint}")


def _misplaced(said: Mapping[str, str], origin: str, env: Mapping[str, str]) -> Iterator[UnknownVariable]:
    """Find the client's variables in `.env`: neither the client nor we read them there."""
    for name in (variable.env_name for variable in ECOSYSTEM if variable.env_name.startswith("HF_")):
        if name.lower() in said and not env.get(name):
            sentence = (
                f"{name} ({origin}) is not read there, because the Hugging Face client reads the environment only."
            )
            yield UnknownVariable(name, origin, None, f"{sentence} Export it instead.")

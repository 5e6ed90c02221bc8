"""The types that settings are written in: how a text becomes a folder, a list, a source or a file type.

Text in, value out, or a ValueError with half a sentence; the disk and the environment are not touched.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field


@dataclass(frozen=True, slots=True)
class Shown:
    """What people read beside a setting, where its type, bounds and default do not already say it."""

    unit: str = ""
    expected: str = ""
    default: str = ""
    hidden: bool = False


_AUTO_REPAIR_WORDS = {"true": "auto", "false": "off"}
"""What the setting's name invites to write; YAML also reads `off` as false."""


def _auto_repair(value: object) -> object:
    word = str(value).strip().lower()
    return _AUTO_REPAIR_WORDS.get(word, word)


def _absolute(value: object) -> object:
    if not isinstance(value, str | Path):
        return value
    if not str(value).strip():
        raise ValueError("an empty path would be the working directory")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("the home directory behind ~ is not known") from error


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Split a comma-separated text; the word `none` alone is the empty list, which a variable cannot say else."""
    if not isinstance(value, str):
        return value
    words = tuple(word for word in (part.strip() for part in value.split(",")) if word)
    return () if words == ("none",) else words


def _star_alone(words: tuple[str, ...]) -> tuple[str, ...]:
    if "*" in words and len(words) > 1:
        raise ValueError("* already means everything; let it stand alone")
    return words


def _file_type(text: str) -> str:
    ending = "." + text.strip().lower().removeprefix("*").removeprefix(".")
    if not re.fullmatch(r"\.[a-z0-9_+-]+", ending):
        raise ValueError("a file type is the last ending of a name, such as .safetensors")
    return ending


def _pattern(text: str) -> str:
    if not re.fullmatch(r"\S+", text):
        raise ValueError("a pattern is not empty and has no blank, such as someone/*")
    return text


def _word(text: str) -> str:
    word = text.strip().lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._+-]*", word):
        raise ValueError("a word is letters, digits, '.', '_', '+' and '-', such as apache-2.0")
    return word


def _address(text: str) -> str:
    """Normalise a URL, so that equal addresses are equal texts."""
    parts = urlsplit(text.strip())
    if not parts.scheme or not parts.netloc:
        raise ValueError("an address is a whole URL, such as https://huggingface.co")
    if "@" in parts.netloc:
        raise ValueError("an address holds no name or password; a token belongs in HF_TOKEN")
    if parts.query or parts.fragment:
        raise ValueError("an address has no ? or #")
    if parts.port == 0:
        raise ValueError("a port is 1 to 65535")
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def _web_address(text: str) -> str:
    address = _address(text)
    if not address.startswith(("http://", "https://")):
        raise ValueError("only http and https are spoken")
    return address


def _place(text: str) -> str:
    place = text.strip().rstrip("/")
    if not place or "@" in urlsplit(place).netloc:
        raise ValueError("a place is a folder or a URL such as s3://bucket/history, and holds no name or password")
    return place


def _replica(text: str) -> str:
    place = _place(text)
    if "?" in place or "#" in place:
        raise ValueError("a replica's URL has no ? or #; what its file system needs belongs in the environment")
    return place if "://" in place else str(Path(place).expanduser().absolute())


def _source_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise ValueError("a source is named by letters, digits, '-', '_' and '.', such as mirror")
    return text


def _unique(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _logged(text: str) -> str:
    part, _, level = text.partition("=")
    if not re.fullmatch(r"\w+(\.\w+)*", part) or level.upper() not in LOG_LEVELS:
        raise ValueError("a part and its level are written as availability.transfer=DEBUG")
    return f"{part}={level.upper()}"


def _star_or(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda word: word if word == "*" else check(word))


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_Some = Field(min_length=1)
_Name = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=200)

Seconds = Annotated[float, Shown(unit="s")]
Gigabytes = Annotated[float, Shown(unit="GB")]
Percent = Annotated[float, Shown(unit="%")]
AutoRepair = Annotated[
    Literal["off", "ask", "auto"],
    BeforeValidator(_auto_repair),
    Shown(expected="`off` (by hand only), `ask` (after a form) or `auto`"),
]
PathSetting = Annotated[Path, BeforeValidator(_absolute)]
Folder = Annotated[PathSetting, Shown(expected="a folder")]
YamlFile = Annotated[PathSetting, Shown(expected="a YAML file")]
WebAddress = Annotated[str, AfterValidator(_web_address), Shown(expected="an http(s) URL without credentials")]
LowerCase = BeforeValidator(_lower)
UpperCase = BeforeValidator(_upper)
Place = Annotated[str, AfterValidator(_place), Shown(expected="a folder or any fsspec URL, without credentials")]

Sources = Annotated[
    tuple[Annotated[str, _star_or(_address)], ...],
    _Some,
    BeforeValidator(_listed),
    AfterValidator(_star_alone),
    Shown(expected="comma-separated URLs, or `*` for every configured endpoint"),
]
FileTypes = Annotated[
    tuple[Annotated[str, _star_or(_file_type)], ...],
    _Some,
    BeforeValidator(_listed),
    AfterValidator(_star_alone),
    Shown(expected="comma-separated file endings, or `*` for all"),
]
BlockedFileTypes = Annotated[
    tuple[Annotated[str, AfterValidator(_file_type)], ...],
    BeforeValidator(_listed),
    Shown(expected="comma-separated file endings, or `none`"),
]
BlockedModels = Annotated[
    tuple[Annotated[str, AfterValidator(_pattern)], ...],
    BeforeValidator(_listed),
    Shown(expected="comma-separated patterns of ids such as `someone/*`, or `none`"),
]
Words = Annotated[
    tuple[Annotated[str, AfterValidator(_word)], ...],
    BeforeValidator(_listed),
    Shown(expected="comma-separated words, or `none`"),
]
Endpoints = Annotated[
    tuple[Annotated[str, AfterValidator(_web_address)], ...],
    BeforeValidator(_listed),
    AfterValidator(_unique),
    Shown(expected="comma-separated http(s) URLs without credentials, or `none`"),
]
Replicas = Annotated[
    tuple[Annotated[str, AfterValidator(_replica)], ...],
    BeforeValidator(_listed),
    AfterValidator(_unique),
    Shown(expected="comma-separated fsspec URLs or folders, without credentials, or `none`"),
]
Folders = Annotated[
    tuple[PathSetting, ...], BeforeValidator(_listed), Shown(expected="comma-separated folders, or `none`")
]
SourceNames = Annotated[
    tuple[Annotated[str, AfterValidator(_source_name)], ...],
    BeforeValidator(_listed),
    AfterValidator(_unique),
    Shown(expected="comma-separated names of sources"),
]
LogLevels = Annotated[
    tuple[Annotated[str, AfterValidator(_logged)], ...],
    BeforeValidator(_listed),
    Shown(expected="comma-separated parts and levels such as `availability.transfer=DEBUG`, or `none`"),
]
DeploymentNames = Annotated[
    tuple[Annotated[str, _star_or(str)], ...],
    BeforeValidator(_listed),
    AfterValidator(_star_alone),
    Shown(expected="comma-separated names of deployments, `*` for all, or `none`"),
]
SecretBlockName = Annotated[str, _Name]
BlockName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*$", max_length=200)]

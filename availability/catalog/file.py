"""Reads the catalog file: every error in it at once, each with its line, its model, what was expected and got.

Nothing is fetched and no default is invented: a file that is not there is an empty catalog only for a caller who asks
for that.
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from availability.catalog.entries import Catalog, CatalogEntry
from availability.catalog.form import DefaultsForm, EntryForm, HeadForm
from availability.catalog.nodes import Document, read_document
from availability.errors import CatalogError

Form = TypeVar("Form", bound=BaseModel)
Place = tuple[str | int, ...]

_WORDS = {
    " or instance of HeadForm": "",
    "Input should be a valid ": "expected a ",
    "Input should be ": "expected ",
    "tuple": "list",
    "dictionary": "mapping",
    "string": "text",
}
"""How pydantic's words are said to somebody who writes YAML."""


def load_catalog(path: Path, *, required: bool = True) -> Catalog:
    """Read a catalog file.

    Args:
        path: the YAML file.
        required: a file that is not there is an error; otherwise it is an empty catalog.

    Raises:
        CatalogError: the file cannot be read or breaks its schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not required:
            return Catalog(path=path, is_there=False)
        raise CatalogError(
            f"The catalog {path} is not there.",
            advice=("Create it, or correct ENHANCED_MODEL_CATALOG.",),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(
            f"The catalog {path} cannot be read: {error}.", advice=("Make it a readable file in UTF-8.",)
        ) from error
    return Catalog(_parse(path, text), path)


def keep_catalog(path: Path, *, required: bool = True) -> Catalog:
    """Read a catalog file, and not again while it is the same: who asks often would spend most of it here."""
    try:
        status = path.stat()
        seen = status.st_mtime_ns, status.st_size, status.st_ino
    except OSError:
        seen = None
    return _kept(path, required, seen)


@lru_cache(maxsize=8)
def _kept(path: Path, required: bool, seen: tuple[int, int, int] | None) -> Catalog:  # noqa: ARG001  the key
    return load_catalog(path, required=required)


def _parse(path: Path, text: str) -> tuple[CatalogEntry, ...]:
    try:
        document = read_document(text)
        data = document.data() if document else None
    except yaml.YAMLError as error:
        raise _error(path, [_yaml_problem(error)]) from error
    if document is None:
        raise _error(path, [_Problem(1, "the file is empty, expected `version: 1` and `models:`")])
    reading = _Reading(document)
    entries = reading.entries(data)
    if reading.problems:
        raise _error(path, sorted(reading.problems))
    return tuple(entries.values())


@dataclass(frozen=True, slots=True, order=True)
class _Problem:
    line: int
    text: str


@dataclass
class _Reading:
    """One pass over a document, which goes on after a problem to find the others."""

    document: Document
    problems: list[_Problem] = field(default_factory=list)

    def entries(self, data: object) -> dict[int, CatalogEntry]:
        """Return the good entries by their place in the list; the rest is in `problems`."""
        self.problems += [_Problem(line, f"`{key}` stands twice.") for line, key in self.document.repeated_keys()]
        head = self._checked(HeadForm, data, (), "the catalog")
        if head is None:
            return {}
        good_defaults = self._checked(DefaultsForm, head.defaults, ("defaults",), "defaults") is not None
        defaults = head.defaults if good_defaults else {}
        entries = {}
        for at, raw in enumerate(head.models):
            form = self._checked(EntryForm, _merged(defaults, raw), ("models", at), str(raw.get("id", f"models[{at}]")))
            if form:
                entries[at] = form.entry()
        self.problems += [_Problem(self.document.line(place), text) for place, text in _repeated_names(entries)]
        return entries

    def _checked(self, kind: type[Form], data: object, place: Place, who: str) -> Form | None:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                line = self.document.line((*place, *detail["loc"]))
                self.problems.append(_Problem(line, f"{who}: {_sentence(detail, kind)}"))
            return None


def _merged(defaults: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Lay an entry over the defaults; attributes and requirements are laid over one by one."""
    merged = {**defaults, **raw}
    for key in ("attributes", "requirements"):
        above, below = raw.get(key), defaults.get(key)
        if isinstance(above, dict) and isinstance(below, dict):
            merged[key] = {**below, **above}
    return merged


def _sentence(detail: ErrorDetails, kind: type[BaseModel]) -> str:
    *_, last = detail["loc"] or ("",)
    name = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    match detail["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(last), kind.model_fields, n=1)
            return f"`{name}` is not a key." + (f" Did you mean `{near[0]}`?" if near else "")
        case "missing":
            return f"`{name}` is missing."
        case "value_error":
            said = str(detail["ctx"]["error"])
        case _:
            said = detail["msg"]
            for theirs, ours in _WORDS.items():
                said = said.replace(theirs, ours)
    quotes = " Put it in quotes." if detail["type"] == "string_type" else ""
    return f"{f'`{name}`: ' if name else ''}{said.rstrip('.')}, got {reprlib.repr(detail['input'])}.{quotes}"


def _repeated_names(entries: Mapping[int, CatalogEntry]) -> Iterator[tuple[Place, str]]:
    """Find models and aliases that stand twice; the Hub's ids differ by more than case."""
    yield from _repeated_models(entries)
    owners = {entry.model.repo_id.casefold(): entry.model.repo_id for entry in entries.values()}
    users: dict[str, CatalogEntry] = {}
    for at, entry in entries.items():
        for number, alias in enumerate(entry.aliases):
            place = ("models", at, "aliases", number)
            owner = owners.get(alias.casefold(), entry.model.repo_id)
            if owner != entry.model.repo_id:
                yield place, f"{entry.model}: the alias `{alias}` is the id of another model, {owner}."
            if alias in users:
                yield place, f"{entry.model}: the alias `{alias}` is already used by {users[alias].model}."
            users.setdefault(alias, entry)


def _repeated_models(entries: Mapping[int, CatalogEntry]) -> Iterator[tuple[Place, str]]:
    spellings: dict[str, str] = {}
    models = set()
    for at, entry in entries.items():
        first = spellings.setdefault(entry.model.repo_id.casefold(), entry.model.repo_id)
        if entry.model in models:
            yield ("models", at, "id"), f"{entry.model} stands twice."
        elif first != entry.model.repo_id:
            yield ("models", at, "id"), f"{entry.model} and {first} differ only in case and are one model."
        models.add(entry.model)


def _yaml_problem(error: yaml.YAMLError) -> _Problem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error)
    return _Problem(mark.line + 1 if mark else 1, f"not YAML: {reason}.")


def _error(path: Path, problems: Sequence[_Problem]) -> CatalogError:
    lines = [f"{path}:{problem.line}: {problem.text}" for problem in problems]
    listed = "".join(f"\n- {line}" for line in lines)
    message = lines[0] if len(lines) == 1 else f"{len(lines)} errors in the catalog:{listed}"
    return CatalogError(message, advice=("Correct the file; deployments/catalog.yaml shows every key.",))

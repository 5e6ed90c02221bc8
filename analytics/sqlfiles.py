"""SQL in files: what stands in the comment on top of each, read as data.

    -- What the query answers, in a sentence or two.
    -- columns:
    --   name: its meaning
    -- rules:
    --   1. What holds of the answer.
    -- parameters:
    --   name type = default: its meaning
    -- depends: other views

A named query lies in `sql/` and takes its parameters as `$name`; a view lies in `sql/views/`, and one with parameters
is a macro, called as `name(…)` with all of them in the order of the comment.
"""

import re
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"

_PARAMETER = re.compile(r"(?P<name>\w+) (?P<type>[\w ]+?) = (?P<default>.*?): (?P<meaning>.*)")
_COLUMN = re.compile(r"(?P<name>\w+|\*): (?P<meaning>.*)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its name, its type in SQL, its default as text, and what it is for."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One select, and what is said of it.

    Attributes:
        name: of the file.
        description: what it answers.
        columns: their meanings by name.
        parameters: in the order of the comment.
        depends: the views it needs.
        rules: what holds of its answer, numbered.
        text: all of the file.
    """

    name: str
    description: str
    columns: dict[str, str]
    parameters: tuple[Parameter, ...]
    depends: tuple[str, ...]
    rules: tuple[str, ...]
    text: str


@cache
def named_queries() -> dict[str, SqlFile]:
    """Return every named query, by name."""
    return {file.stem: read(file) for file in sorted(FOLDER.glob("*.sql"))}


@cache
def views() -> tuple[SqlFile, ...]:
    """Return every view and macro, each after those it needs."""
    files = {file.stem: read(file) for file in sorted((FOLDER / "views").glob("*.sql"))}
    order = TopologicalSorter({name: [on for on in file.depends if on in files] for name, file in files.items()})
    return tuple(files[name] for name in order.static_order())


def read(path: Path) -> SqlFile:
    """Read one file."""
    text = path.read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {"description": []}
    section = "description"
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        words = line.removeprefix("--").strip()
        head, colon, rest = words.partition(":")
        if colon and head in ("columns", "parameters", "depends", "rules"):
            section = head
            sections[section] = [rest.strip()] if rest.strip() else []
        else:
            sections[section].append(words)
    matches = [_PARAMETER.fullmatch(line) for line in sections.get("parameters", ())]
    return SqlFile(
        name=path.stem,
        description=" ".join(sections["description"]),
        columns={
            found["name"]: found["meaning"] for found in map(_COLUMN.fullmatch, sections.get("columns", ())) if found
        },
        parameters=tuple(Parameter(**found.groupdict()) for found in matches if found),
        depends=tuple(name for line in sections.get("depends", ()) for name in re.findall(r"\w+", line)),
        rules=tuple(sections.get("rules", ())),
        text=text,
    )

"""Documents say what is so: keys, signatures, errors, commands and links are compared with the code, code is run."""

import inspect
import json
import re
import shlex
import shutil
import textwrap
import types
import typing
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import click
import pytest

import availability
from availability import errors
from availability.answer import RequestAnswer
from availability.downloads import ListedDownload
from availability.fallback.requirements import Requirements
from availability.inventory import ModelStatus
from availability.outcome import Ensured, EnsureOutcome
from availability.transfer.meter import Progress
from commands.main import main
from service.faults import FaultyHub
from tests.served import publish, run_python

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
JSON, PYTHON = ROOT / "docs/json.md", ROOT / "docs/python.md"
WRITTEN_BY_HAND = [path for path in DOCUMENTS if path.name != "settings.md"]

by_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def blocks(document, language):
    """The code blocks of a language, indented ones too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", document.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def sections(document, level):
    """The text below each heading that is a name in code, to the next heading of that or a higher level."""
    parts = re.split(rf"^#{{1,{level}}} ", document.read_text(), flags=re.MULTILINE)
    named = (re.match(r"`(\w+)`\n", part) for part in parts)
    return {found[1]: part for found, part in zip(named, parts, strict=True) if found}


def rows(text):
    """The cells of the first table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


# --- the JSON contract -----------------------------------------------------------------------------------

ROOMS = (
    "availability.answer",
    "availability.downloads",
    "availability.error",
    "availability.errors",
    "availability.fallback.decision",
    "availability.fallback.recovery",
    "availability.fallback.score",
    "availability.findings",
    "availability.health",
    "availability.inventory",
    "availability.look",
    "availability.outcome",
    "availability.plan",
    "availability.repairs",
    "availability.sources.standing",
    "availability.supply",
    "availability.system_health",
    "commands.check",
    "commands.common",
    "commands.downloads",
    "commands.ensure",
    "commands.health",
    "commands.repair",
    "commands.request",
    "commands.settings",
    "commands.sources",
    "commands.status",
    "commands.support_bundle",
)
NOT_PRINTED = {"SystemRecord"}
"""What only Python programs see; the command prints it as `HealthSummary`."""
RECORDS = {
    name: kind
    for room in ROOMS
    for name, kind in vars(import_module(room)).items()
    if typing.is_typeddict(kind) and kind.__module__ == room and name not in NOT_PRINTED
}
WORDS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def in_words(kind):
    """A type as the contract writes it."""
    if kind in WORDS:
        return WORDS[kind]
    if isinstance(kind, types.UnionType):
        return " or ".join(map(in_words, typing.get_args(kind)))
    if typing.get_origin(kind) is typing.Literal:
        return "string"
    inside = [in_words(part) for part in typing.get_args(kind)]
    if typing.get_origin(kind) is list:
        return f"list of {inside[0]}"
    if typing.get_origin(kind) is dict:
        return f"object of {inside[1]}"
    return f"[{', '.join(inside)}]" if inside else f"`{kind.__name__}`"


def test_the_contract_has_every_record_that_is_printed_and_no_other():
    assert set(sections(JSON, 3)) == set(RECORDS)


@pytest.mark.parametrize("name", RECORDS)
def test_the_contract_has_every_key_with_its_type_in_order(name):
    told = [(key.strip("`"), kind) for key, kind, meaning in rows(sections(JSON, 3)[name]) if meaning]
    assert told == [(key, in_words(kind)) for key, kind in typing.get_type_hints(RECORDS[name]).items()]


def test_the_contract_shows_json():
    assert [set(json.loads(block)) for block in blocks(JSON, "json")] == [{"models", "summary"}]


# --- the Python face -------------------------------------------------------------------------------------

FUNCTIONS = {name for name in availability.__all__ if inspect.isfunction(getattr(availability, name))}


def test_every_function_of_the_face_has_a_section():
    assert set(sections(PYTHON, 3)) >= FUNCTIONS


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_signature_is_the_one_it_has(name):
    (told,) = re.findall(r"```text\n(.*?)```", sections(PYTHON, 3)[name], re.DOTALL)
    so = f"{name}{inspect.signature(getattr(availability, name))}".replace("'", '"')
    so = re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", so)  # where a name lives is not shown
    assert re.sub(r",?\s+(?=\))|(?<=\()\s+", "", " ".join(told.split())).replace(",)", ")") == so


@pytest.mark.parametrize(
    "kind",
    [EnsureOutcome, ListedDownload, ModelStatus, Progress, RequestAnswer, Requirements],
    ids=lambda kind: kind.__name__,
)
def test_every_attribute_of_a_value_is_told(kind):
    told = set(re.findall(r"`\.?(\w+)(?:\(\))?`", sections(PYTHON, 3)[kind.__name__]))
    made = {name for name, member in vars(kind).items() if isinstance(member, property)}
    assert {field.name for field in fields(kind)} | made <= told
    assert Ensured.__name__ in PYTHON.read_text()


def test_every_error_that_ends_a_call_is_told():
    told = [name.strip("`") for name, _ in rows(PYTHON.read_text().partition("## Errors")[2])]
    ends = (errors.UsageError, errors.FinalError)
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ends)}
    assert sorted(told) == sorted(kinds - {"FinalError"})


# --- code ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder in which documents find what they name: the model in a folder, and a published store."""
    folder = tmp_path / "work"
    shutil.copytree(publish(folder / "published"), folder / "SmolLM2-135M-Instruct")
    with FaultyHub(folder / "published") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield folder


@pytest.mark.parametrize(
    "document", [path for path in WRITTEN_BY_HAND if blocks(path, "python")], ids=lambda path: path.name
)
def test_the_python_of_a_document_runs_from_top_to_bottom(document, folder):
    (folder / "document.py").write_text("\n\n".join(blocks(document, "python")))
    done = run_python("document.py", folder=folder)
    assert done.returncode == 0, done.stderr


# --- commands --------------------------------------------------------------------------------------------


def command_lines():
    for document in DOCUMENTS:
        text = document.read_text()
        shell = "\n".join(blocks(document, "sh"))
        found = re.findall(r"^(?:\S*/)?availability (.*)$", shell, re.MULTILINE)
        found += re.findall(r"`(?:\S*/)?availability ([^`]*)`", text)
        for line in found:
            yield pytest.param(shlex.split(line, comments=True), id=f"{document.name}: {line.split(' #')[0].strip()}")


@pytest.mark.parametrize("arguments", [*command_lines()])
def test_a_command_line_is_one_that_the_command_understands(arguments):
    name, *rest = arguments
    command = main.get_command(click.Context(main), name)
    assert command is not None
    if rest:  # else it only names the command
        command.make_context(name, rest)


TARGETS = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


@by_document
def test_a_make_target_is_one_that_there_is(document):
    text = document.read_text()
    shell = "\n".join(blocks(document, "sh"))
    named = {*re.findall(r"`make (\w+)", text), *re.findall(r"^make (\w+)", shell, re.MULTILINE)}
    assert named <= TARGETS
    assert document.name != "development.md" or named == TARGETS


# --- links -----------------------------------------------------------------------------------------------


def anchors(document):
    """The names that headings get, as the forges make them."""
    seen = []
    for heading in re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        seen.append(f"{slug}-{seen.count(slug)}" if slug in seen else slug)
    return seen


@by_document
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        to = (document.parent / path).resolve() if path else document
        assert to.exists(), target
        assert not anchor or anchor in anchors(to), target


@by_document
def test_every_file_that_is_named_is_there(document):
    rooms = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".local"))
    named = re.findall(rf"`((?:{rooms})/[\w./-]*)`", document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []

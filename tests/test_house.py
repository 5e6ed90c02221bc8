"""The law of the house: which room may know which, and what no file of it holds.

Everything is read, nothing is run: the imports of every module as they are written, those inside functions included.
"""

import ast
import json
import re
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import availability
from tests.builders import run_program

HOUSE = Path(__file__).parent.parent
ROOMS = ("availability", "analytics", "commands", "tasks", "flows", "service", "deployments", "benchmarks")

MAY_KNOW = {
    "availability": set(),
    "analytics": set(),
    "commands": {"availability", "analytics"},
    "service": {"availability", "analytics"},
    "tasks": {"availability", "analytics"},
    "flows": {"tasks", "availability", "analytics"},
    "deployments": {*ROOMS},
    "benchmarks": {*ROOMS},
}
"""Arrows go one way; a room always knows itself."""

LAUNCHER = "enhanced_model_availability"
"""The way into the command, and the only name beside `availability` that a wheel brings."""

ONLY_IN = {
    "prefect": {"flows", "tasks", "service", "deployments", "benchmarks"},
    "duckdb": {"analytics", "benchmarks"},
    "pandera": {"analytics"},
    "polars": {"analytics", "benchmarks"},
}
"""Libraries that shape a room, and the rooms they may shape."""

MOST_LINES = 300
_NOT_OURS = {".git", ".venv", ".local", "__pycache__", ".env"}


def modules():
    """Return every module of the rooms, by its dotted name."""
    found = {}
    for room in ROOMS:
        for path in sorted((HOUSE / room).rglob("*.py")):
            name = ".".join(path.relative_to(HOUSE).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


@cache
def trees():
    """Return every module of the rooms as it is written."""
    return {name: ast.parse(path.read_text(), path.name) for name, path in MODULES.items()}


def imported(tree):
    """Yield what a piece of a module imports: each module, and each name out of one as if it were one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"a relative import of {node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_once(tree):
    """Return the statements of a module that run when it is imported, and not only for the reader's types."""
    waiting, found = [*tree.body], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        ):
            continue
        found.append(node)
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return [node for node in found if isinstance(node, ast.Import | ast.ImportFrom)]


def our_module(name):
    """Return the module of ours that an imported name is or lies in, None for what is not ours."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def files():
    """Yield every file that could be tracked: what no tool has made and no line of .gitignore names."""
    ignored = {line.strip().rstrip("/") for line in (HOUSE / ".gitignore").read_text().split()} | _NOT_OURS
    waiting = [HOUSE]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.name in ignored or any(path.match(pattern) for pattern in ignored):
                continue
            if path.is_dir() and not path.is_symlink():
                waiting.append(path)
            elif path.is_file():
                yield path


FILES = [path for path in files() if path != Path(__file__) and path.suffix != ".png"]
SOURCES = [path for path in FILES if path.suffix == ".py"]


def holders(pattern, paths):
    """Return the places where an expression is found, as `file:line`."""
    found = re.compile(pattern)
    return [
        f"{path.relative_to(HOUSE)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if found.search(line)
    ]


def room_of(name):
    return name.partition(".")[0]


# --- the rooms ------------------------------------------------------------------------------------------


def test_all_rooms_are_read():
    assert {room_of(name) for name in MODULES} == {*ROOMS} == {*MAY_KNOW}
    assert {path.relative_to(HOUSE).parts[0] for path in SOURCES} == {*ROOMS, LAUNCHER, "tests", "examples"}
    assert len(MODULES) > 100


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_the_rooms_below_it(room):
    arrows = {
        (name, known)
        for name, tree in trees().items()
        for known in map(our_module, imported(tree))
        if room_of(name) == room and known and room_of(known) not in MAY_KNOW[room] | {room}
    }
    assert arrows == set()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_that_shapes_a_room_stays_in_it(library):
    users = {name for name, tree in trees().items() if library in map(room_of, imported(tree))}
    assert {name for name in users if room_of(name) not in ONLY_IN[library]} == set()


def test_nothing_in_the_house_knows_its_tests():
    knowing = {name for name, tree in trees().items() if {"tests", "pytest"} & {*map(room_of, imported(tree))}}
    assert {name for name in knowing if room_of(name) != "benchmarks"} == set()  # the long drill uses the short one's


def test_no_module_needs_itself_to_be_imported():
    needs = {
        name: {known for node in at_once(tree) for known in map(our_module, imported(node)) if known} - {name}
        for name, tree in trees().items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as circle:
        pytest.fail(f"a circle: {' <- '.join(circle.args[1])}")


# --- the modules ----------------------------------------------------------------------------------------


def test_every_module_says_why_it_exists():
    assert [name for name, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_every_module_is_read_in_one_sitting():
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_module_has_a_name_that_could_be_any():
    empty = {"utils", "util", "helpers", "helper", "misc", "core", "manager", "handler"}
    assert [name for name in MODULES if empty & {*name.split(".")}] == []


# --- what no file holds, this one apart, which has to name it -------------------------------------------


def test_nothing_is_left_for_later():
    assert holders(r"\b(TODO|FIXME|XXX)\b", FILES) == []


def test_nothing_is_mocked():
    assert holders(r"unittest\.mock|from unittest import .*mock|\bMagicMock\b", SOURCES) == []


def test_nobody_bends_where_modules_are_found():
    bent = holders(r"sys\.path\s*(\.\s*(append|insert|extend|remove|pop)|\[|\+?=[^=])", SOURCES)
    assert {place.partition(":")[0] for place in bent} == {f"{LAUNCHER}/__init__.py"}  # see what it says of itself


def test_no_file_names_a_place_to_download_packages_from():
    package = r"https?://\S+\.(whl|tar\.gz|tgz|crate|conda|deb)\b"
    index = r"https?://\S+/simple\b|--(extra-)?index-url|--find-links|@ https?://"
    assert holders(f"{package}|{index}", FILES) == []


# --- what an import costs -------------------------------------------------------------------------------

LOADED = """
import contextlib, io, json, sys
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    {statement}
print(json.dumps(sorted(sys.modules)))
"""
CLIENT = "huggingface_hub"
OF_CLIENT = {CLIENT, f"{CLIENT}.constants"}
"""Where the client's cache lies is read from the client itself; this much of it costs nothing."""


def loaded_by(statement):
    """Return the modules that a fresh interpreter holds after a statement, of the client's each by itself."""
    names = json.loads(run_program(LOADED.format(statement=statement)))
    return {name if room_of(name) == CLIENT else room_of(name) for name in names}


def is_client(name):
    return room_of(name) == CLIENT


@pytest.mark.parametrize("statement", ["import availability", "from availability import __all__"])
def test_the_face_by_itself_loads_nothing_of_weight(statement):
    loaded = loaded_by(statement)
    assert not any(map(is_client, loaded))
    assert not loaded & {"prefect", "duckdb", "pydantic", "blake3", "filelock"}


@pytest.mark.parametrize(
    "statement",
    [
        "from availability import ModelStatus, EnsureOutcome, status",
        "import commands.main, commands.status",
        "from commands.main import main; main(['status', '--json'], standalone_mode=False)",
    ],
    ids=["the face", "the command", "the command as it runs"],
)
def test_asking_for_a_status_loads_no_client_no_orchestrator_and_no_database(statement):
    loaded = loaded_by(statement)
    assert "availability" in loaded
    assert {name for name in loaded if is_client(name)} <= OF_CLIENT
    assert not loaded & {"prefect", "duckdb", "pandera", "polars", "httpx2", "httpx", "requests", "certifi"}


@pytest.mark.parametrize("name", ["model", "status", "errors", "retry", "digests"])
def test_values_and_decisions_load_only_what_they_are_made_of(name):
    assert {room_of(each) for each in loaded_by(f"import availability.{name}")} <= loaded_by("import blake3") | {
        "availability"
    } | {*sys.stdlib_module_names}


def test_a_run_that_fetches_does_not_wait_for_what_answers_questions():
    assert not loaded_by("import flows.ensure_models") & {"duckdb", "polars", "pandera", "altair", "vl_convert"}


def test_every_name_of_the_face_is_there():
    told = run_program(
        "import availability\nprint([bool(getattr(availability, name)) for name in availability.__all__])"
    )
    assert "False" not in told
    assert told.count("True") == len(availability.__all__)

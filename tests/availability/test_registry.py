"""The law of extension points: found in one order, configured with care, and a broken one costs nobody the others."""

import re

import pytest
from pydantic import Field

from availability.errors import UsageError
from availability.registry import Extension, ExtensionSettings, Registry, health_checkers
from tests.builders import run_program


class Limit(ExtensionSettings):
    most: int = Field(3, ge=1)


def make(context, settings):
    return context, settings


@pytest.fixture
def registry():
    return Registry("gauge", "gauges_of_tests")


def names(registry, configuration=None):
    return list(registry.choose("context", configuration).items)


def sentences(registry, configuration):
    return [f"{problem.name}: {problem.sentence}" for problem in registry.choose("context", configuration).problems]


def test_a_decorated_class_is_made_with_the_context_and_its_settings(registry):
    @registry.register("mine", settings=Limit)
    class Mine:
        def __init__(self, context, settings):
            self.told = context, settings.most

    assert registry.choose("context", {"mine": {"most": 7}}).items["mine"].told == ("context", 7)


def test_a_call_registers_as_well(registry):
    registry.add(Extension("mine", make))
    assert registry.choose("context").items["mine"] == ("context", ExtensionSettings())


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_higher_priority_comes_first_and_equal_ones_by_name_however_they_came(registry, order):
    extensions = [
        Extension("b", make, 5),
        Extension("a", make, 5),
        Extension("low", make, -1),
        Extension("top", make, 9),
    ]
    for place in order:
        registry.add(extensions[place])
    assert names(registry) == [*registry.names()] == ["top", "a", "b", "low"]


def test_configuration_changes_the_order_and_switches_off_and_on(registry):
    registry.add(Extension("first", make, 9))
    registry.add(Extension("second", make))
    registry.add(Extension("asleep", make, enabled=False))
    assert names(registry) == ["first", "second"]
    configuration = {"first": {"enabled": False}, "second": {"priority": 1}, "asleep": {"enabled": True, "priority": 2}}
    assert names(registry, configuration) == ["asleep", "second"]
    assert names(registry) == ["first", "second"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"most": 0}, "most"),
        ({"most": "many"}, "most"),
        ({"least": 1}, "least"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"priority": 1.5}, "priority"),
    ],
    ids=["out of bounds", "no number", "unknown", "enabled is no boolean", "priority is no whole number"],
)
def test_a_wrong_configuration_is_one_problem_that_names_what_is_wrong(registry, said, expected):
    registry.add(Extension("mine", make, settings=Limit))
    registry.add(Extension("other", make))
    assert names(registry, {"mine": said}) == ["other"]
    (sentence,) = sentences(registry, {"mine": said})
    assert sentence.startswith("mine: Its configuration cannot be used")
    assert expected in sentence


def test_configuring_what_is_not_there_is_a_problem_that_names_what_is(registry):
    registry.add(Extension("mine", make))
    assert sentences(registry, {"mien": {}}) == ["mien: There is no gauge 'mien'; there are mine."]


def test_one_that_cannot_be_made_is_a_problem_and_the_others_are_made(registry):
    registry.add(Extension("broken", lambda context, settings: context / settings, 9))
    registry.add(Extension("whole", make))
    assert names(registry) == ["whole"]
    assert "TypeError" in sentences(registry, {})[0]


def test_two_of_one_name_are_refused_and_a_removed_one_makes_room(registry):
    registry.add(Extension("mine", make))
    with pytest.raises(UsageError, match="two of the name 'mine'"):
        registry.add(Extension("mine", make))
    registry.remove("mine")
    registry.add(Extension("mine", make, 4))
    assert names(registry) == ["mine"]


# --- entry points: real packages on the path -----------------------------------------------------------------


def install(folder, name, text, *points, group="gauges_of_tests"):
    """Lay a package and what its installer would have written into a folder on the path."""
    (folder / f"{name}.py").write_text(text)
    information = folder / f"{name}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = "".join(f"{point}\n" for point in points)
    (information / "entry_points.txt").write_text(f"[enhanced_model_availability.{group}]\n{lines}")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_an_installed_package_adds_what_its_entry_point_names(registry, packages):
    install(
        packages, "gauge_plain", "def make(context, settings):\n    return context * 2\n", "double = gauge_plain:make"
    )
    assert registry.choose("ab").items == {"double": "abab"}


def test_a_package_that_registers_by_itself_keeps_its_own_name_and_priority(packages):
    text = (
        "from availability.registry import health_checkers\n"
        "@health_checkers.register('by_itself', priority=70)\n"
        "def make(context, settings):\n    return None\n"
    )
    install(packages, "gauge_itself", text, "other_name = gauge_itself:make", group="health_checkers")
    program = """
import site, sys
site.addsitedir(sys.argv[1])
from availability.registry import health_checkers
print(*health_checkers.names())
"""
    assert run_program(program, packages).split() == ["integrity", "by_itself", "format", "storage", "performance"]


@pytest.mark.parametrize(
    ("text", "point", "expected"),
    [
        ("raise RuntimeError('no licence')\n", "broken = gauge_broken:make", "RuntimeError: no licence"),
        ("", "broken = gauge_broken:absent", "AttributeError"),
        ("", "broken = no_such_module:make", "ModuleNotFoundError"),
    ],
    ids=["raises when imported", "names nothing", "names no module"],
)
def test_a_broken_entry_point_is_one_problem_and_the_others_are_used(registry, packages, text, point, expected):
    install(packages, "gauge_broken", text, point)
    install(packages, "gauge_whole", "def make(context, settings):\n    return 1\n", "whole = gauge_whole:make")
    registry.add(Extension("own", make))
    chosen = registry.choose("context")
    assert list(chosen.items) == ["own", "whole"]
    (problem,) = chosen.problems
    assert problem.name == "broken"
    assert expected in problem.sentence


def test_the_built_in_health_checkers_come_by_the_same_way():
    assert health_checkers.names() == ("integrity", "format", "storage", "performance")


# --- conditions, and one by name -------------------------------------------------------------------------


def test_an_extension_is_used_only_where_all_its_conditions_hold(registry):
    registry.add(Extension("always", make))
    registry.add(Extension("both", make, conditions=("a:1", "b:2")))
    assert [*registry.choose("context").items] == ["always"]
    assert [*registry.choose("context", holds={"a:1"}.__contains__).items] == ["always"]
    assert [*registry.choose("context", holds={"a:1", "b:2"}.__contains__).items] == ["always", "both"]


@pytest.mark.parametrize("condition", ["", "model_type", "model_type:", ":custom"])
def test_a_condition_that_is_none_is_refused_when_it_is_registered(registry, condition):
    with pytest.raises(UsageError, match="is none"):
        registry.add(Extension("mine", make, conditions=(condition,)))


def test_one_is_made_by_its_name_even_where_it_is_switched_off(registry):
    registry.add(Extension("mine", make, enabled=False, settings=Limit))
    assert registry.make("mine", "context", {"most": 7}) == ("context", Limit(most=7))


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("mine", {"most": 0}, "most: Input should be greater than or equal to 1"),
        ("mine", {"least": 0}, "least: Extra inputs are not permitted"),
        ("yours", {}, "There is no gauge 'yours'; there are mine."),
    ],
)
def test_what_cannot_be_made_is_told(registry, name, said, told):
    registry.add(Extension("mine", make, settings=Limit))
    with pytest.raises(UsageError, match=re.escape(told)):
        registry.make(name, "context", said)


def test_without_any_it_says_that_there_is_none(registry):
    with pytest.raises(UsageError, match="there is none at all"):
        registry.make("mine", "context", {})

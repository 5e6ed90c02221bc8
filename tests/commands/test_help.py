"""The law of the words: every command explains itself, and what is typed wrong is told kindly."""

import json
import tomllib
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from availability.settings import definitions
from commands.main import main
from tests.commands.running import run, run_installed

COMMANDS = main.list_commands(click.Context(main))


def parameters(name):
    return main.get_command(click.Context(main), name).params


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_every_option_is_for(name):
    ran = run(name, "--help")
    assert ran.exit_code == 0
    assert ran.stdout.startswith(f"Usage: availability {name} ")
    for parameter in parameters(name):
        if isinstance(parameter, click.Option):
            assert parameter.help.endswith("."), parameter.name
            assert parameter.opts[0] in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", ["adopt", "ensure", "status"])
def test_help_lists_the_exit_codes(name):
    listed = run(name, "--help").stdout.partition("Exit codes:\n")[2].splitlines()[:4]
    assert [line.split()[0] for line in listed] == ["0", "1", "2", "3"]


def test_the_command_itself_lists_its_commands():
    ran = run("--help")
    assert ran.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in ran.stdout


def test_an_option_that_is_a_setting_has_its_bounds_and_its_words():
    options = {parameter.name: parameter for parameter in parameters("ensure")}
    setting = next(found for found in definitions() if found.name == "download.max_retries")
    option = options["max_retries"]
    assert (option.type.min, option.type.max, option.help) == (setting.minimum, setting.maximum, setting.sentence)


def test_the_version_is_the_package_s():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert run("--version").stdout == f"availability, version {project['version']}\n"
    assert version("enhanced-model-availability") == project["version"]


WRONG = {
    "no command": ([], "Usage:"),
    "a command misspelled": (["ensuer"], "No such command 'ensuer'. Did you mean 'ensure'?"),
    "a command nobody would guess": (["frobnicate"], "No such command 'frobnicate'."),
    "an option misspelled": (["ensure", "--dryrun", "a/b"], "--dry-run"),
    "no model": (["ensure"], "Name models (org/name), or use --all"),
    "half of adopt": (["adopt", "."], "Missing argument 'MODEL'"),
    "no number": (["ensure", "a/b", "--max-retries", "many"], "'--max-retries'"),
    "out of bounds": (["ensure", "a/b", "--max-retries", "11"], "0<=x<=10"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_what_is_typed_wrong_ends_with_2_and_says_what_is_right(arguments, told):
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert told in ran.stderr + ran.stdout


def test_the_installed_command_ends_with_2_too_and_answers_programs_in_json():
    ran = run_installed("ensure", "--json")
    assert (ran.exit_code, ran.stderr) == (2, "")
    assert json.loads(ran.stdout)["summary"]["error"]["advice"] == ["See `availability ensure --help`."]

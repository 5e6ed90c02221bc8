"""What a wheel brings into the programs of others: two names, and a command that finds everything it needs."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from deployments.documents import ROOT

FOREIGN = {
    "analytics.py": "THEIRS = 'analytics'\n",
    "tasks/__init__.py": "THEIRS = 'tasks'\n",
    "commands/__init__.py": "THEIRS = 'commands'\n",
}
PROGRAM = """
import sys
before = {*sys.modules}
import analytics, commands, tasks
from availability import usage
with usage.load("org/name"):
    pass
print([module.THEIRS for module in (analytics, tasks, commands)], usage.__file__)
print(*(name for name in {*sys.modules} - before if name.partition(".")[0] not in sys.stdlib_module_names))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, timeout=120
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel alone in a folder, with its command."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", folder, wheel], check=True, timeout=120)
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Run something with the installed wheel, in a folder with modules that have the names of our rooms."""
    for name, text in FOREIGN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*command, **env):
        # What is installed comes after the foreign modules, and before what the tests themselves have installed.
        path = os.pathsep.join((str(tmp_path), str(installed)))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", **env}
        done = subprocess.run(
            [*map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert not done.returncode, done.stderr
        return done.stdout

    return run


def test_a_wheel_brings_two_names_and_no_other(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"availability", "enhanced_model_availability"}


def test_a_program_reports_its_uses_beside_its_own_modules_and_loads_nothing_but_the_standard_library(run):
    shown = run(sys.executable, "-c", PROGRAM).splitlines()
    assert shown[0].startswith("['analytics', 'tasks', 'commands']")
    assert "installed" in shown[0]
    assert {name.partition(".")[0] for name in shown[1].split()} <= {"analytics", "availability", "commands", "tasks"}


@pytest.mark.parametrize("way", ["script", "module"])
def test_the_command_works_from_the_wheel_alone(run, installed, way):
    command = {
        "script": [sys.executable, installed / "bin/availability"],
        "module": [sys.executable, "-m", "enhanced_model_availability"],
    }[way]
    assert json.loads(run(*command, "status", "--json"))["summary"]["store"].endswith("huggingface/hub")


def test_what_a_program_reported_is_asked_for_with_the_command_of_the_wheel(run, installed):
    run(sys.executable, "-c", PROGRAM)
    shown = run(sys.executable, installed / "bin/availability", "usage", "run", "model_usage", "--json")
    assert [(row["model_id"], row["uses"]) for row in json.loads(shown)] == [("org/name", 1)]


def test_the_command_of_the_wheel_runs_the_rooms_of_the_wheel(run, installed):
    program = """
import sys, enhanced_model_availability as launcher
sys.argv = ["availability", "status", "--json"]
try:
    launcher.main()
except SystemExit:
    pass
print(sys.modules["commands.main"].__file__)
"""
    assert str(installed / "enhanced_model_availability/rooms/commands") in run(sys.executable, "-c", program)

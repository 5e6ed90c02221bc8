"""The law of `availability settings`: every value, its origin, its bounds; and every mistake named at once."""

import json

import pytest

from availability.settings import ECOSYSTEM, definitions
from commands.settings import EcosystemRecord, SettingRecord, SettingsSummary
from tests.commands.running import run, run_installed

RETRIES = "ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES"
TOKEN = "hf_" + "s3cret" * 5


def settings(*arguments):
    return run("settings", *arguments, "--json")


def one(name):
    return next(record for record in settings().summary["settings"] if record["variable"] == name)


def test_every_setting_is_shown_with_value_origin_and_bounds():
    ran = settings()
    assert (ran.exit_code, ran.models) == (0, [])
    assert set(ran.summary) == set(SettingsSummary.__annotations__)
    assert all(set(record) == set(SettingRecord.__annotations__) for record in ran.summary["settings"])
    assert all(set(record) == set(EcosystemRecord.__annotations__) for record in ran.summary["ecosystem"])
    assert [record["name"] for record in ran.summary["settings"]] == [setting.name for setting in definitions()]
    assert all(record["origin"] and record["bounds"] and record["sentence"] for record in ran.summary["settings"])
    assert [record["variable"] for record in ran.summary["ecosystem"]] == [known.env_name for known in ECOSYSTEM]


def test_the_environment_wins_over_the_file_in_the_working_folder_and_that_over_the_default(
    monkeypatch, working_folder
):
    assert (one(RETRIES)["value"], one(RETRIES)["origin"]) == ("3", "default")
    (working_folder / ".env").write_text(f"{RETRIES}=5\n")
    assert (one(RETRIES)["value"], one(RETRIES)["origin"]) == ("5", f".env file {working_folder / '.env'}")
    monkeypatch.setenv(RETRIES, "7")
    assert (one(RETRIES)["value"], one(RETRIES)["origin"]) == ("7", "environment")


@pytest.mark.usefixtures("hub")
def test_the_file_in_the_working_folder_holds_for_the_installed_command(working_folder, tmp_path):
    (working_folder / ".env").write_text(f"ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY={tmp_path / 'mine'}\n")
    ran = run_installed("ensure", "org/tiny", "--json")
    assert ran.models[0]["path"].startswith(str(tmp_path / "mine"))


def test_an_ecosystem_variable_that_stands_in_for_a_setting_is_named(store):
    assert one("ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY")["value"] == str(store)
    assert one("ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY")["origin"] == "environment (HF_HOME)"


def test_secrets_are_never_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:passw0rd@proxy.example:3128")
    for ran in (settings(), run("settings"), run("settings", "--check")):
        assert TOKEN not in ran.stdout + ran.stderr
        assert "passw0rd" not in ran.stdout + ran.stderr
    ecosystem = {record["variable"]: record for record in settings().summary["ecosystem"]}
    assert (ecosystem["HF_TOKEN"]["value"], ecosystem["HF_TOKEN"]["origin"]) == ("***", "environment")
    assert ecosystem["HTTPS_PROXY"]["value"] == "http://***@proxy.example:3128"
    assert (ecosystem["HTTP_PROXY"]["value"], ecosystem["HTTP_PROXY"]["origin"]) == (None, None)


def test_a_token_that_a_login_has_left_is_told_and_not_shown(tmp_path):
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text(TOKEN)
    ran = run_installed("settings", "--json")
    assert TOKEN not in ran.stdout + ran.stderr
    token = next(record for record in ran.summary["ecosystem"] if record["variable"] == "HF_TOKEN")
    assert (token["value"], token["origin"]) == ("***", "hf auth login")


# --- mistakes --------------------------------------------------------------------------------------------


def test_good_settings_pass_the_check():
    ran = run("settings", "--check")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "settings can be used" in ran.stdout


MISTAKES = {
    "a value out of its bounds": ({RETRIES: "99"}, [RETRIES, "0 to 10", "'99'"]),
    "no number": ({RETRIES: "many"}, [RETRIES, "a whole number"]),
    "a variable nobody knows": (
        {"ENHANCED_MODEL_DOWNLOAD_MAX_RETRIE": "3"},
        ["MAX_RETRIE (", f"Did you mean {RETRIES}"],
    ),
    "both": ({RETRIES: "99", "ENHANCED_MODEL_NONSENSE": "1"}, ["2 settings", RETRIES, "ENHANCED_MODEL_NONSENSE"]),
    "a catalog that is not there": ({"ENHANCED_MODEL_CATALOG": "nowhere.yaml"}, ["nowhere.yaml is not there"]),
}


@pytest.mark.parametrize(("variables", "told"), MISTAKES.values(), ids=MISTAKES)
def test_the_check_ends_with_2_and_one_error_that_names_everything(monkeypatch, variables, told):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = run("settings", "--check")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.count("Error:") == 1
    assert [words for words in told if words not in ran.stderr] == []
    as_json = settings("--check")
    assert (as_json.exit_code, as_json.models, as_json.summary["exit_code"], as_json.stderr) == (2, [], 2, "")
    assert [words for words in told if words not in as_json.summary["error"]["message"]] == []


@pytest.mark.parametrize("command", ["settings", "status", "ensure org/tiny", "adopt . org/tiny"])
def test_a_bad_value_stops_every_command_before_it_does_anything(monkeypatch, hub, command):
    monkeypatch.setenv(RETRIES, "99")
    ran = run(*command.split())
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"Error: {RETRIES} (environment)")
    assert hub.count() == 0


def test_a_variable_nobody_knows_is_a_warning_elsewhere(monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_NONSENSE", "1")
    ran = run("status", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["models"]) == (0, [])
    assert ran.stderr.startswith("Warning: ENHANCED_MODEL_NONSENSE (environment) is not a setting.")
    assert len(settings().summary["unknown"]) == 1


# --- what people read ------------------------------------------------------------------------------------


def test_people_read_lines_that_a_dotenv_file_would_take(monkeypatch, working_folder):
    monkeypatch.setenv(RETRIES, "7")
    ran = run("settings")
    lines = [line for line in ran.stdout.splitlines() if line.startswith("ENHANCED_MODEL_")]
    assert f"{RETRIES}=7  # environment" in lines
    assert "    Retries after the first attempt, of what can pass; 0 means no retry. (0 to 10)" in ran.stdout
    monkeypatch.delenv(RETRIES)
    (working_folder / ".env").write_text("\n".join(lines))
    (working_folder / "deployments").mkdir()
    (working_folder / "deployments" / "catalog.yaml").write_text("version: 1\n")
    assert run("settings", "--check").exit_code == 0
    assert one(RETRIES)["value"] == "7"


def test_debugging_shows_the_traceback_and_changes_neither_the_answer_nor_the_exit_code(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    plain = run("status", "--store", tmp_path / "file" / "store", "--json")
    monkeypatch.setenv("ENHANCED_MODEL_DEBUG", "true")
    debugging = run("status", "--store", tmp_path / "file" / "store", "--json")
    assert (debugging.exit_code, debugging.answer) == (plain.exit_code, plain.answer)
    assert "Traceback" in debugging.stderr
    assert plain.stderr == ""

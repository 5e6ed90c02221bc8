"""The law of the support bundle: what helps is in it, what is broken does not hide the rest, and no secret ever is."""

import json
import stat
import zipfile

import pytest

from availability.settings import definitions
from commands.evidence import PART_NAMES
from commands.support_bundle import BundleSummary
from tests.commands.running import run, run_installed

SECRETS = {
    "HF_TOKEN": "hf_NobodyMayEverSeeThisOne0123456789",
    "PREFECT_API_KEY": "no-form-of-a-key-at-all",
    "PREFECT_API_AUTH_STRING": "somebody:and-a-password",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "MODEL_ALERTS_WEBHOOK_URL": "http://127.0.0.1:9/services/T000/B000",
}
LOGIN = "http://proxyuser:proxyword@proxy.invalid:3128"
NEVER = (*SECRETS.values(), LOGIN, "loginT0kenOfSomebody")


@pytest.fixture
def bundle(tmp_path):
    def pack(*arguments):
        path = tmp_path / "bundle.zip"
        ran = run("support-bundle", "--output", path, "--json", *arguments)
        with zipfile.ZipFile(path) as packed:
            return ran, {name: packed.read(name).decode() for name in packed.namelist()}

    return pack


def part(contents, name):
    return json.loads(contents[f"{name}.json"])


@pytest.mark.usefixtures("hub")
def test_what_helps_is_in_it(bundle):
    run("ensure", "org/tiny")
    ran, contents = bundle()
    assert set(ran.summary) == set(BundleSummary.__annotations__)
    assert ran.summary["files"] == [*contents]
    assert {name.partition(".")[0] for name in contents} == {*PART_NAMES}
    assert part(contents, "versions")["packages"]["enhanced-model-availability"]
    assert {one["name"] for one in part(contents, "settings")["settings"]} == {one.name for one in definitions()}
    (model,) = part(contents, "status")["models"]
    assert (model["model_id"], model["availability_status"]) == ("org/tiny", "available")
    assert any("org--tiny" in name for name in part(contents, "records"))
    assert "org/tiny: fetch took" in contents["log.txt"]


@pytest.mark.usefixtures("hub")
def test_no_secret_is_in_it_wherever_it_lay(bundle, monkeypatch, tmp_path):
    run("ensure", "org/tiny")
    for name, value in (*SECRETS.items(), ("HTTPS_PROXY", LOGIN)):
        monkeypatch.setenv(name, value)
    state = tmp_path / "huggingface/hub.availability"
    (state / "logs/availability.log").write_text("\n".join([*NEVER, "the end of the log"]))
    (state / "controls/stray.json").write_text(json.dumps({name: f"x{name}x" for name in NEVER}))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "login"))
    (tmp_path / "login").write_text("loginT0kenOfSomebody\n")
    _, contents = bundle()
    whole = "".join(contents.values())
    assert "the end of the log" in whole
    assert "controls/stray.json" in whole
    assert "proxyword" not in whole
    assert [secret for secret in NEVER if secret in whole] == []
    assert "HF_TOKEN" in part(contents, "settings")["variables_set"]


def test_what_is_broken_does_not_hide_the_rest(bundle, monkeypatch, working_folder):
    (working_folder / "catalog.yaml").write_text("models: [")
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", "catalog.yaml")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    ran, contents = bundle()
    assert ran.exit_code == 0
    assert {"status", "runs"} <= {*ran.summary["missing"]}
    assert "CatalogError" in part(contents, "status")["error"]
    assert part(contents, "versions")["python"]


def test_it_is_for_its_owner_and_takes_no_file_s_place(bundle, tmp_path):
    bundle()
    path = tmp_path / "bundle.zip"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    ran = run("support-bundle", "--output", path)
    assert (ran.exit_code, path.read_bytes()) == (2, before)
    assert [found.name for found in tmp_path.glob("*bundle*")] == ["bundle.zip"]


@pytest.mark.prefect
def test_the_latest_runs_of_the_server_and_the_events_of_the_history_are_in_it(bundle, monkeypatch, prefect_server):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    _, contents = bundle()
    assert isinstance(part(contents, "runs"), list)
    assert part(contents, "events") == []


def test_the_installed_command_names_the_file_after_the_time(working_folder):
    ran = run_installed("support-bundle")
    (path,) = working_folder.glob("support-bundle-*Z.zip")
    assert f"Written: {path}" in ran.stdout

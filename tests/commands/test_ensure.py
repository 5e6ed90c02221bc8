"""The law of `availability ensure`: its answer, its exit code, and nothing on standard output but that."""

import json

import pytest

from availability.outcome import EnsureRecord, EnsureSummary
from service.faults import Fault
from tests.builders import WEIGHTS, stored_bytes
from tests.commands.running import run, run_installed

pytestmark = pytest.mark.usefixtures("hub")

KEYS = {
    "model_id",
    "revision",
    "commit",
    "path",
    "success",
    "availability_status",
    "download_id",
    "bytes_total",
    "bytes_fetched",
    "seconds",
    "attempts",
    "total_retries",
    "sources",
    "substituted",
    "served_model",
    "served_path",
    "fallback_decision",
    "step_seconds",
    "error",
}
"""What the issues promise."""

NO_RETRY = ("--max-retries", 0)
ALWAYS_WRONG = Fault("flip", f"org/tiny/resolve/.*{WEIGHTS}", offsets=(99,))


def ensure(*arguments):
    return run("ensure", *arguments, "--json")


# --- what it answers -------------------------------------------------------------------------------------


def test_the_answer_has_exactly_the_promised_keys_for_success_and_failure():
    answer = ensure("org/tiny", "org/absent").answer
    assert set(answer) == {"models", "summary"}
    assert [set(model) for model in answer["models"]] == [KEYS, KEYS]
    assert set(EnsureRecord.__annotations__) == KEYS
    assert set(answer["summary"]) == set(EnsureSummary.__annotations__)


def test_a_model_that_was_fetched_is_told_with_its_figures(hub, published, store):
    (model,) = ensure("org/tiny").models
    content = stored_bytes(published)
    assert (model["model_id"], model["revision"], model["success"]) == ("org/tiny", "main", True)
    assert model["availability_status"] == "available"
    assert model["path"] == str(store / "models--org--tiny" / "snapshots" / model["commit"])
    assert stored_bytes(store) == content
    assert model["bytes_total"] == model["bytes_fetched"] == len(content) + 24 + 4
    assert (model["attempts"], model["total_retries"], model["error"]) == (1, 0, None)
    assert model["download_id"]
    assert [*model["step_seconds"]] == ["plan", "fetch", "check", "publish"]
    assert 0 <= sum(model["step_seconds"].values()) <= model["seconds"] + 0.01
    assert model["sources"] == [{"source": hub.url.removeprefix("http://"), "bytes_fetched": model["bytes_fetched"]}]


def test_a_model_that_stands_ready_costs_no_request_and_starts_no_download(hub):
    ensure("org/tiny")
    hub.reset_counters()
    (model,) = ensure("org/tiny").models
    assert hub.count() == 0
    assert (model["success"], model["bytes_fetched"], model["attempts"], model["download_id"]) == (True, 0, 0, None)


def test_several_models_are_answered_in_one_document_with_their_sums():
    ran = ensure("org/tiny", "org/other")
    assert {model["model_id"] for model in ran.models} == {"org/tiny", "org/other"}
    assert ran.summary["requested"] == ran.summary["verified"] == 2
    assert ran.summary["bytes_fetched"] == sum(model["bytes_fetched"] for model in ran.models)


def test_a_model_named_twice_is_ensured_once():
    assert len(ensure("org/tiny", "org/tiny@main", "org/tiny").models) == 1


def test_one_failure_does_not_stop_the_others(hub):
    hub.faults.append(ALWAYS_WRONG)
    ran = ensure("org/tiny", "org/other", *NO_RETRY)
    by_id = {model["model_id"]: model for model in ran.models}
    assert not by_id["org/tiny"]["success"]
    assert by_id["org/other"]["success"]
    assert (ran.summary["verified"], ran.summary["failed"]) == (1, 1)


def test_a_failure_tells_its_kind_every_attempt_and_what_to_do(hub):
    hub.faults.append(ALWAYS_WRONG)
    (model,) = ensure("org/tiny", "--max-retries", 1).models
    assert (model["path"], model["attempts"], model["total_retries"]) == (None, 2, 1)
    error = model["error"]
    assert set(error) == {"type", "message", "tried", "advice"}
    assert error["type"] == "DownloadFailedError"
    assert "after 2 attempts" in error["message"]
    assert [line.split(":")[0] for line in error["tried"][:2]] == ["attempt 1", "attempt 2"]
    assert error["advice"]


def test_a_failed_request_names_no_path_though_another_selection_of_the_model_is_there():
    ensure("org/variants", "--include", "config.json")
    (model,) = ensure("org/variants", "--include", "*.bin").models
    assert (model["success"], model["path"]) == (False, None)
    assert model["availability_status"] == "available"


# --- how it ends -----------------------------------------------------------------------------------------

BUSY = Fault("status", "/api/models/org/other/", status=503)
SILENT_BODIES = Fault("status", f"/resolve/.*{WEIGHTS}", status=503)

ENDS = {
    "all verified": (["org/tiny", "org/other"], [], 0),
    "one does not exist": (["org/tiny", "org/absent"], [], 1),
    "wrong bytes, always": (["org/tiny"], [ALWAYS_WRONG], 1),
    "listed and not delivered": (["org/tiny"], [SILENT_BODIES], 1),
    "refused by policy": (["org/variants", "--include", "*.bin"], [], 1),
    "no id": (["org/tiny", "not an id"], [], 2),
    "a setting out of bounds": (["org/tiny", "--bandwidth-limit-mbps", "-1"], [], 2),
    "no model named": ([], [], 2),
    "no such option": (["org/tiny", "--frobnicate"], [], 2),
    "nobody could say": (["org/tiny", "org/other"], [BUSY], 3),
    "nobody could say of one, and another is bad": (["org/absent", "org/other"], [BUSY], 1),
}


@pytest.mark.parametrize(("arguments", "faults", "exit_code"), ENDS.values(), ids=ENDS)
def test_the_exit_code_says_how_it_went_and_the_summary_says_the_same(hub, arguments, faults, exit_code):
    hub.faults.extend(faults)
    ran = ensure(*arguments, *NO_RETRY)
    assert ran.exit_code == exit_code
    assert ran.summary["exit_code"] == exit_code


def test_a_hub_that_is_down_leaves_it_open(hub):
    hub.close()
    ran = ensure("org/tiny", *NO_RETRY)
    assert ran.exit_code == 3
    assert ran.summary["unknown"] == ran.summary["failed"] == 1
    assert ran.models[0]["error"]["type"] == "DownloadFailedError"


def test_offline_leaves_it_open_for_what_is_not_known_and_not_for_what_is(hub):
    unknown = run_installed("ensure", "org/tiny", "--json", HF_HUB_OFFLINE="1")
    assert unknown.exit_code == 3
    assert unknown.models[0]["error"]["type"] == "OfflineError"
    ensure("org/tiny")
    hub.reset_counters()
    assert run_installed("ensure", "org/tiny", "--json", HF_HUB_OFFLINE="1").exit_code == 0
    assert hub.count() == 0


def test_wrong_usage_starts_nothing_for_the_right_ones_either(hub, store):
    assert ensure("org/tiny", "not an id").exit_code == 2
    assert hub.count() == 0
    assert not store.exists()


WRONG_USAGE = {
    "no model named": ("UsageError", []),
    "no such option": ("UsageError", ["org/tiny", "--frobnicate"]),
    "no id": ("InvalidModelIdError", ["not an id"]),
    "all, and some": ("UsageError", ["org/tiny", "--all"]),
    "an empty catalog": ("UsageError", ["--all"]),
}


@pytest.mark.parametrize(("kind", "arguments"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_one_document_too_when_a_program_asks(kind, arguments):
    ran = ensure(*arguments)
    assert ran.exit_code == 2
    assert ran.models == []
    assert ran.summary["error"]["type"] == kind
    assert ran.stderr == ""


# --- what people read ------------------------------------------------------------------------------------


def test_people_read_a_table_the_path_and_each_error_with_what_to_do(store):
    ran = run("ensure", "org/tiny", "org/absent")
    assert "org/tiny    verified" in ran.stdout
    assert "org/absent  not verified" in ran.stdout
    assert f"org/tiny: {store}" in ran.stdout
    assert "Error: Model 'org/absent' was not found" in ran.stderr
    assert "  To do: Check the spelling" in ran.stderr


def test_people_read_what_was_not_found_out_apart_from_what_is_not_verified(hub):
    hub.faults.append(BUSY)
    ran = run("ensure", "org/absent", "org/other", *NO_RETRY)
    assert "org/absent  not verified" in ran.stdout
    assert "org/other   not found out" in ran.stdout


def test_an_unknown_id_is_told_with_the_near_ones():
    ensure("org/tiny")
    (model,) = ensure("org/tinny").models
    assert model["error"]["type"] == "ModelNotFoundError"
    assert "Did you mean org/tiny?" in model["error"]["message"]


def test_a_bare_name_is_refused_with_the_near_ones_before_any_request(hub):
    ensure("org/tiny")
    hub.reset_counters()
    (model,) = ensure("tiny").models
    assert "Did you mean org/tiny?" in model["error"]["message"]
    assert hub.count() == 0


def test_letters_that_steer_a_terminal_are_not_passed_on(hub):
    hub.faults.append(Fault("status", "/revision/", status=418, headers={"X-Error-Message": "\x1b[2Jgone"}))
    ran = run("ensure", "org/tiny")
    assert "\x1b" not in ran.stderr
    assert "?[2Jgone" in ran.stderr


def test_nothing_else_is_on_standard_output_of_the_real_command():
    ran = run_installed(
        "ensure", "org/tiny", "org/absent", "--json", ENHANCED_MODEL_LOG_LEVEL="DEBUG", ENHANCED_MODEL_NONSENSE="1"
    )
    assert ran.exit_code == 1
    assert json.loads(ran.stdout)["summary"]["verified"] == 1
    assert "ENHANCED_MODEL_NONSENSE (environment) is not a setting" in ran.stderr


def test_the_log_file_tells_every_step_with_the_download_s_id_and_the_terminal_only_warnings(store):
    ran = run("ensure", "org/tiny", "--json")
    log = (store.with_name("hub.availability") / "logs/availability.log").read_text()
    for step in ("plan", "fetch", "check", "publish"):
        assert f"org/tiny: {step} took" in log
    assert log.count(f"(download {ran.models[0]['download_id']})") == 4
    assert ran.stderr == ""


# --- what is asked for -----------------------------------------------------------------------------------


def files_of(store):
    return sorted(path.name for path in (store / "models--org--variants/snapshots").rglob("*") if path.is_file())


SELECTIONS = {
    "include": (["--include", "*.json"], ["config.json"]),
    "include twice": (["--include", "*.json", "--include", "*fp16*"], ["config.json", "model.fp16.safetensors"]),
    "exclude": (["--exclude", "*.safetensors", "--exclude", "*.bin"], ["config.json"]),
    "variant": (["--variant", "fp16"], ["config.json", "model.fp16.safetensors"]),
    "everything but needless pickles": ([], ["config.json", "model.fp16.safetensors", "model.safetensors"]),
}


@pytest.mark.parametrize(("options", "files"), SELECTIONS.values(), ids=SELECTIONS)
def test_only_what_is_selected_is_fetched(store, options, files):
    ran = ensure("org/variants", *options)
    assert ran.exit_code == 0
    assert files_of(store) == files


def test_all_means_the_catalog(working_folder):
    (working_folder / "catalog.yaml").write_text("version: 1\nmodels:\n  - id: org/other\n    aliases: [o]\n")
    (working_folder / ".env").write_text("ENHANCED_MODEL_CATALOG=catalog.yaml\n")
    assert [model["model_id"] for model in ensure("--all").models] == ["org/other"]
    assert [model["model_id"] for model in ensure("o").models] == ["org/other"]


def test_the_store_can_be_named(tmp_path, store):
    (model,) = ensure("org/tiny", "--store", tmp_path / "elsewhere").models
    assert model["path"].startswith(str(tmp_path / "elsewhere"))
    assert not store.exists()


def test_a_store_that_cannot_be_looked_into_leaves_it_open_and_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = ensure("org/tiny", "--store", tmp_path / "file" / "store")
    assert ran.exit_code == 3
    assert ran.summary["error"]["type"] == "StorageError"
    assert "Not a directory" in ran.summary["error"]["message"]

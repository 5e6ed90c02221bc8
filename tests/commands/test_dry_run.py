"""The law of `availability ensure --dry-run`: what would happen, file by file, and nothing does."""

import pytest

from availability.plan import PlannedFileRecord, PlanRecord
from service.faults import Fault
from tests.commands.running import run

pytestmark = pytest.mark.usefixtures("hub")

NO_RETRY = ("--max-retries", 0)


def dry_run(*arguments):
    return run("ensure", *arguments, "--dry-run", "--json")


def everything_below(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def test_files_and_bytes_are_shown_and_nothing_is_written(hub, tmp_path):
    before = everything_below(tmp_path)
    ran = dry_run("org/tiny")
    (plan,) = ran.models
    assert set(plan) == set(PlanRecord.__annotations__)
    assert [set(file) for file in plan["files"]] == [set(PlannedFileRecord.__annotations__)] * 3
    assert {file["path"]: file["action"] for file in plan["files"]} == {
        "config.json": "fetch",
        "model.safetensors": "fetch",
        "tokenizer/vocab.txt": "fetch",
    }
    assert plan["bytes_total"] == plan["bytes_to_fetch"] == sum(file["size"] for file in plan["files"])
    assert hub.count("/resolve/") == 0
    assert everything_below(tmp_path) == before


def test_what_it_says_is_what_then_happens():
    promised = dry_run("org/tiny").models[0]["bytes_to_fetch"]
    assert run("ensure", "org/tiny", "--json").models[0]["bytes_fetched"] == promised


def test_of_a_model_that_is_ready_everything_is_kept():
    run("ensure", "org/tiny")
    (plan,) = dry_run("org/tiny").models
    assert {file["action"] for file in plan["files"]} == {"keep"}
    assert plan["bytes_to_fetch"] == 0


def test_a_changed_file_would_be_verified(store):
    run("ensure", "org/tiny")
    weights = next(store.rglob("snapshots/*/model.safetensors")).resolve()
    weights.write_bytes(weights.read_bytes())
    assert {file["action"] for file in dry_run("org/tiny").models[0]["files"]} == {"keep", "verify"}


def test_what_a_rule_leaves_out_is_shown_with_the_reason():
    (plan,) = dry_run("org/variants", "--variant", "fp16").models
    assert {left["path"] for left in plan["left_out"]} == {"model.safetensors", "pytorch_model.bin"}
    assert all(left["reason"] for left in plan["left_out"])


BUSY = Fault("status", "/api/models/org/other/", status=503)

ENDS = {
    "planned": (["org/tiny", "org/other"], [], 0),
    "one does not exist": (["org/tiny", "org/absent"], [], 1),
    "a bare name": (["tiny"], [], 1),
    "no id": (["not an id"], [], 2),
    "nobody could say": (["org/tiny", "org/other"], [BUSY], 3),
    "nobody could say of one, and another is bad": (["org/absent", "org/other"], [BUSY], 1),
}


@pytest.mark.parametrize(("arguments", "faults", "exit_code"), ENDS.values(), ids=ENDS)
def test_the_exit_code_follows_the_rule_of_ensure(hub, arguments, faults, exit_code):
    hub.faults.extend(faults)
    ran = dry_run(*arguments)
    assert (ran.exit_code, ran.summary["exit_code"]) == (exit_code, exit_code)


def test_a_model_without_a_plan_has_the_same_keys_and_an_error():
    run("ensure", "org/tiny")
    (plan,) = dry_run("org/tinny").models
    assert set(plan) == set(PlanRecord.__annotations__)
    assert (plan["model_id"], plan["commit"], plan["bytes_to_fetch"], plan["files"]) == ("org/tinny", None, None, [])
    assert "Did you mean org/tiny?" in plan["error"]["message"]


def test_people_read_a_table_and_that_nothing_was_written():
    ran = run("ensure", "org/variants", "--dry-run")
    assert "model.safetensors" in ran.stdout
    assert "left out: a pickle" in ran.stdout
    assert ran.stdout.endswith("Nothing was written.\n")

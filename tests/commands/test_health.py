"""The law of `check`, `repair` and `health`: offline, typed findings, the least that mends, and honest exit codes."""

import os

import pytest

from availability.health import HealthRecord
from availability.repairs import RepairRecord
from commands.check import CheckAnswer, CheckSummary
from commands.health import HealthSummary
from commands.repair import RepairSummary
from tests.builders import MIB, WEIGHTS
from tests.commands.running import run

MODEL = "org/tiny"


pytestmark = pytest.mark.usefixtures("hub")


@pytest.fixture
def weights(store):
    """The blob of a model that has been ensured."""
    assert run("ensure", MODEL).exit_code == 0
    (path,) = store.glob(f"models--org--tiny/snapshots/*/{WEIGHTS}")
    return path.resolve()


def damage(blob, offset=MIB + 5):
    """Turn one byte over, and leave the file's signature as it was."""
    before = blob.stat()
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_intact_model_is_healthy_and_the_answer_has_exactly_its_keys(weights):
    answer = run("check", MODEL, "--json").answer
    (model,) = answer["models"]
    assert set(answer) == {"models", "summary"}
    assert set(model) == set(CheckAnswer.__annotations__) | set(HealthRecord.__annotations__)
    assert set(answer["summary"]) == set(CheckSummary.__annotations__)
    assert (model["is_healthy"], model["findings"], model["coverage"]) == (True, [], 1.0)
    assert model["bytes_read"] >= weights.stat().st_size
    assert model["performance_score"] is None


def test_a_flipped_byte_is_found_without_the_hub_and_is_no_longer_available(weights, hub):
    damage(weights)
    hub.reset_counters()
    checked = run("check", MODEL, "--json")
    assert checked.exit_code == 1
    (finding,) = checked.models[0]["findings"]
    assert (finding["kind"], finding["file"]) == ("flipped_range", WEIGHTS)
    assert finding["ranges"] == [[MIB, 2 * MIB]]
    assert checked.models[0]["recommendations"]
    assert hub.count() == 0
    assert run("status", MODEL, "--json").models[0]["availability_status"] == "corrupted"


def test_only_the_damaged_range_is_fetched_and_the_check_afterwards_decides(weights):
    right = weights.read_bytes()
    damage(weights)
    planned = run("repair", MODEL, "--dry-run", "--json")
    assert planned.exit_code == 0
    assert [action["success"] for action in planned.models[0]["actions"]] == [None]
    assert weights.read_bytes() != right
    repaired = run("repair", MODEL, "--json")
    (model,) = repaired.models
    assert set(model) == set(RepairRecord.__annotations__)
    assert set(repaired.summary) == set(RepairSummary.__annotations__)
    assert (repaired.exit_code, model["success"], model["bytes_fetched"]) == (0, True, MIB)
    assert [(action["action"], action["success"]) for action in model["actions"]] == [("refetch_ranges", True)]
    assert model["health_improvement"] > 0
    assert weights.read_bytes() == right
    assert run("check", MODEL, "--force").exit_code == 0


def test_what_cannot_be_fetched_is_not_called_repaired(weights, hub):
    damage(weights)
    hub.close()
    repaired = run("repair", MODEL, "--json", "--store", weights.parents[2])
    assert repaired.exit_code in (1, 3)
    assert repaired.models[0]["success"] is False
    assert repaired.models[0]["error"]["advice"]


def test_the_quick_mode_reads_nothing_and_sees_a_changed_file(weights):
    quick = run("check", MODEL, "--quick", "--force", "--json")
    assert (quick.exit_code, quick.summary["bytes_read"]) == (0, 0)
    weights.chmod(0o644)
    weights.write_bytes(b"short")
    quick = run("check", MODEL, "--quick", "--force", "--json")
    assert quick.exit_code == 1
    assert "truncated" in [finding["kind"] for finding in quick.models[0]["findings"]]


@pytest.mark.usefixtures("hub", "weights")
def test_a_share_reads_a_part():
    first = run("check", MODEL, "--share", "1/2", "--json").summary
    assert 0 < first["bytes_read"] < first["bytes_total"]


@pytest.mark.usefixtures("hub", "weights")
def test_a_young_result_is_used_again_unless_forced():
    assert run("check", MODEL, "--json").models[0]["reused"] is False
    assert run("check", MODEL, "--json").models[0]["reused"] is True
    assert run("check", MODEL, "--force", "--json").models[0]["reused"] is False


def test_a_model_that_is_not_there_could_not_be_checked():
    checked = run("check", "org/absent", "--json")
    assert checked.exit_code == 3
    assert checked.models[0]["error"]["type"] == "HealthCheckFailedError"


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", MODEL, "--everything"),
        ("check", MODEL, "--quick", "--share", "1/2"),
        ("check", MODEL, "--share", "2/1"),
        ("check", MODEL, "--max-duration", "soon"),
        ("check",),
        ("repair",),
        ("repair", MODEL, "--type", "hope"),
        ("check", "no such name"),
    ],
    ids=" ".join,
)
def test_wrong_usage_reads_nothing_and_says_what_is_wrong(arguments):
    wrong = run(*arguments)
    assert wrong.exit_code == 2
    assert "Error" in wrong.stderr


def test_health_tells_the_whole_store_and_what_to_do(weights):
    well = run("health", "--json")
    assert set(well.summary) == set(HealthSummary.__annotations__)
    assert (well.exit_code, well.models, well.summary["healthy"]) == (0, [], 1)
    damage(weights)
    run("check", MODEL, "--force")
    ill = run("health", "--json", "--refresh")
    assert (ill.exit_code, ill.summary["corrupted"]) == (1, 1)
    assert [model["model_id"] for model in ill.models] == [MODEL]
    assert any(f"availability repair {MODEL}" in sentence for sentence in ill.summary["recommendations"])
    (model,) = run("health", MODEL, "--json").models
    assert set(model) == set(HealthRecord.__annotations__)
    assert (model["is_healthy"], model["availability_status"]) == (False, "corrupted")


def test_people_are_told_in_words(weights):
    damage(weights)
    told = run("check", MODEL).stdout
    assert "flipped_range" in told
    assert f"availability repair {MODEL}" in told
    assert "repaired" in run("repair", MODEL).stdout
    assert "storage" in run("health").stdout

"""A mirror that lies costs strikes and time, never a byte: what arrives is what the publisher says, of one revision."""

import json

import pytest

from availability import check, repair
from availability.spool import SPOOL_NAME
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import MIB
from tests.road.ground import Ground

MODEL = "org/four"
CONFIG = "config.json"
LARGE = ("a.safetensors", "b.safetensors", "c.safetensors", "d.safetensors")
SIZES = {name: MIB + number for number, name in enumerate(LARGE, 1)}


def publish(store, **more):
    return write_model(store, MODEL, {CONFIG: b"{}\n", **SIZES}, **more)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """What the hub serves, and an honest mirror too."""
    store = tmp_path_factory.mktemp("four")
    publish(store)
    return store


@pytest.fixture
def hub(published):
    with FaultyHub(published) as server:
        yield server


@pytest.fixture
def mirror(published):
    with FaultyHub(published) as server:
        yield server


def ground_with(hub, mirror, folder):
    return Ground(hub, folder, {"sources.mirrors": mirror.url, "sources.spread": False})


def name_of(server):
    return server.url.removeprefix("http://")


def standing_of(server, workspace):
    return workspace.standings.read(name_of(server))


def ensured(ground):
    outcome = ground.ensure(MODEL)
    assert outcome.success, outcome.error
    ground.assert_honest()
    return outcome


def test_who_sends_wrong_bytes_of_everything_is_found_out_by_the_smallest_file(hub, mirror, tmp_path):
    mirror.faults.append(Fault("flip", "/resolve/"))
    ground = ground_with(hub, mirror, tmp_path)
    outcome = ensured(ground)
    standing = standing_of(mirror, ground.workspace())
    assert (standing.strikes, standing.bytes_proven, standing.circuit.state) == (1, 0, "open")
    assert outcome.sources[name_of(hub)] >= sum(SIZES.values())
    assert mirror.bytes_sent("safetensors") == 0


def test_who_sends_three_files_right_and_the_fourth_wrong_gets_a_strike_and_loses_his_credit(hub, mirror, tmp_path):
    mirror.faults.append(Fault("flip", LARGE[3], offsets=(MIB // 2,)))
    ground = ground_with(hub, mirror, tmp_path)
    for name in LARGE[:3]:
        outcome = ground.ensure(MODEL, include=(name,))
        assert [*outcome.sources] == [name_of(mirror)]
    assert standing_of(mirror, ground.workspace()).credit_bytes == sum(SIZES[name] for name in LARGE[:3])
    assert ground.ensure(MODEL, include=(LARGE[3],)).success
    ground.assert_honest()
    standing = standing_of(mirror, ground.workspace())
    assert (standing.strikes, standing.errors, standing.circuit.state) == (1, {"wrong_bytes": 1}, "open")
    assert standing.credit_bytes == 0
    assert hub.bytes_sent(LARGE[3]) == SIZES[LARGE[3]]


def test_what_a_liar_is_caught_at_is_kept_for_the_next_process(hub, mirror, tmp_path):
    mirror.faults.append(Fault("flip", "/resolve/"))
    ensured(ground_with(hub, mirror, tmp_path / "one"))
    mirror.reset_counters()
    state = {
        "storage.cache_directory": tmp_path / "one" / "state",
        "storage.models_directory": tmp_path / "one" / "two",
    }
    again = Ground(hub, tmp_path / "one", {"sources.mirrors": mirror.url, **state})
    assert again.ensure(MODEL).success
    assert mirror.count("/resolve/") == 0


def test_that_a_liar_is_left_alone_is_part_of_the_history(hub, mirror, tmp_path):
    mirror.faults.append(Fault("flip", "/resolve/"))
    ground = ground_with(hub, mirror, tmp_path)
    ensured(ground)
    spool = ground.state / SPOOL_NAME
    facts = [json.loads(line) for path in spool.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    (fact,) = (fact for fact in facts if fact.get("kind") == "breaker")
    assert (fact["source"], fact["action"], fact["details"]["strikes"]) == (name_of(mirror), "open", 1)


def test_a_tag_proves_nothing_and_a_wrong_one_costs_nothing(hub, mirror, tmp_path):
    mirror.faults.append(Fault("etag", "/resolve/"))
    ground = ground_with(hub, mirror, tmp_path)
    outcome = ensured(ground)
    assert standing_of(mirror, ground.workspace()).strikes == 0
    assert name_of(mirror) in outcome.sources


def test_a_mirror_of_an_older_revision_does_not_have_the_newer_one_and_that_is_no_lie(published, hub, tmp_path):
    publish(tmp_path / "old", seed=1)
    with FaultyHub(tmp_path / "old") as mirror:
        ground = ground_with(hub, mirror, tmp_path)
        outcome = ensured(ground)
        standing = standing_of(mirror, ground.workspace())
    assert outcome.commit == (published / "models--org--four" / "refs" / "main").read_text()
    assert (standing.strikes, standing.bytes_received) == (0, 0)
    assert standing.errors["absent"] >= 1
    assert standing.circuit.state == "closed"


def test_a_mirror_that_passes_an_older_revision_off_as_the_newer_one_is_a_liar(published, hub, tmp_path):
    commit = (published / "models--org--four" / "refs" / "main").read_text()
    publish(tmp_path / "old", seed=1, commit=commit)
    with FaultyHub(tmp_path / "old") as mirror:
        ground = ground_with(hub, mirror, tmp_path)
        ensured(ground)
        assert standing_of(mirror, ground.workspace()).strikes >= 1


def test_with_the_hub_down_a_model_is_repaired_from_a_mirror_and_a_lie_heals_nothing(hub, mirror, tmp_path):
    ground = ground_with(hub, mirror, tmp_path)
    path = ensured(ground).path / LARGE[1]
    before = path.read_bytes()
    blob = path.resolve()
    blob.chmod(0o644)
    blob.write_bytes(before[:9] + bytes([before[9] ^ 1]) + before[10:])
    hub.close()
    lie = Fault("flip", LARGE[1], offsets=(20,))
    mirror.faults.append(lie)
    workspace = ground.workspace(sources__cool_down_seconds=1)
    assert not check([MODEL], workspace=workspace)[0].is_intact
    assert not repair(MODEL, workspace=workspace).success
    assert path.read_bytes()[9] != before[9]
    mirror.faults.remove(lie)
    outcome = repair(MODEL, workspace=ground.workspace())
    assert outcome.success, outcome.error
    assert path.read_bytes() == before
    assert outcome.bytes_fetched <= 2 * MIB

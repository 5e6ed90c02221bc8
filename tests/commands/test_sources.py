"""The law of `availability sources`: who is asked in which order, what is known of each, and who answers now."""

import pytest

from availability.sources.standing import StandingRecord
from availability.supply import SourceStateRecord
from commands.sources import SourceProblemRecord, SourcesSummary
from service.faults import Fault, FaultyHub
from tests.commands.running import run
from tests.road.ground import unused_port

MODEL = "org/tiny"
MIRRORS = "ENHANCED_MODEL_SOURCES_MIRRORS"


pytestmark = pytest.mark.usefixtures("hub")


@pytest.fixture
def mirror(published, monkeypatch):
    with FaultyHub(published) as server:
        monkeypatch.setenv(MIRRORS, server.url)
        yield server


def name_of(server):
    return server.url.removeprefix("http://")


def sources(*arguments):
    ran = run("sources", *arguments, "--json")
    return ran, {state["source"]: state for state in ran.summary["sources"]}


def test_every_source_is_there_in_the_order_in_which_it_is_asked_and_nobody_is_asked(hub, mirror):
    ran, states = sources()
    assert (ran.exit_code, ran.models) == (0, [])
    assert set(ran.summary) == set(SourcesSummary.__annotations__)
    assert all(set(state) == set(SourceStateRecord.__annotations__) for state in states.values())
    assert all(set(state["record"]) == set(StandingRecord.__annotations__) for state in states.values())
    assert [*states] == ["local", name_of(mirror), name_of(hub)]
    assert [state["kind"] for state in states.values()] == ["twin", "mirror", "hub"]
    assert [state["is_trusted"] for state in states.values()] == [False, False, True]
    assert (hub.requests, mirror.requests) == ([], [])


def test_what_a_download_has_seen_of_a_source_is_known_afterwards(hub, mirror):
    hub.faults.append(Fault("status", "/resolve/", status=503))
    mirror.faults.append(Fault("status", "config.json", status=503, times=1))
    assert run("ensure", MODEL).exit_code == 0
    known = sources()[1][name_of(mirror)]["record"]
    assert known["bytes_proven"] == known["bytes_received"] > 0
    assert known["errors"] == {"server_error": 1}
    assert known["latency_ms"] > 0
    assert "503" in known["last_error"]


def test_who_has_lied_is_left_alone_and_the_answer_says_why_and_until_when(mirror):
    mirror.faults.append(Fault("flip", "/resolve/"))
    assert run("ensure", MODEL).exit_code == 0
    ran, states = sources()
    state = states[name_of(mirror)]
    assert ran.exit_code == 1
    assert state["breaker"] == "open"
    assert state["record"]["strikes"] >= 1
    assert state["next_try_at"] > state["breaker_since"]
    shown = run("sources")
    assert f"  {name_of(mirror)}: is tried again from {state['next_try_at']} on" in shown.stdout
    assert "left alone" in shown.stdout


def test_a_probe_asks_each_and_says_who_does_not_answer(hub, mirror, monkeypatch):
    dead = f"127.0.0.1:{unused_port()}"
    assert run("ensure", MODEL).exit_code == 0
    monkeypatch.setenv(MIRRORS, f"{mirror.url},http://{dead}")
    ran, states = sources("--probe")
    assert ran.exit_code == 1
    assert {name: state["is_well"] for name, state in states.items()} == {
        "local": None,
        name_of(mirror): True,
        dead: False,
        name_of(hub): True,
    }
    assert "could not be asked" in states[dead]["error"]
    assert (states[name_of(mirror)]["record"]["models_behind"], states[dead]["record"]["models_compared"]) == (0, None)


def test_a_probe_sees_that_a_mirror_lacks_a_model_and_that_is_no_failure(mirror):
    assert run("ensure", MODEL).exit_code == 0
    mirror.faults.append(Fault("status", "/api/", status=404, headers={"X-Error-Code": "RepoNotFound"}))
    ran, states = sources("--probe")
    state = states[name_of(mirror)]
    assert (ran.exit_code, state["is_well"]) == (0, None)
    assert (state["record"]["models_behind"], state["record"]["seconds_behind"]) == (1, 0.0)


def test_a_probe_finds_out_a_liar(mirror):
    assert run("ensure", MODEL).exit_code == 0
    mirror.faults.append(Fault("flip", "/resolve/"))
    state = sources("--probe")[1][name_of(mirror)]
    assert (state["is_well"], state["breaker"], state["record"]["strikes"]) == (False, "open", 1)


def test_a_source_that_cannot_be_made_is_named_and_costs_nobody_the_others(working_folder, monkeypatch):
    (working_folder / "sources.yaml").write_text("replica: {options: {s3: {secret: plain}}}\nbucket: {}\n")
    monkeypatch.setenv("ENHANCED_MODEL_SOURCES_CONFIGURATION", "sources.yaml")
    ran, states = sources()
    assert ran.exit_code == 1
    assert all(set(problem) == set(SourceProblemRecord.__annotations__) for problem in ran.summary["problems"])
    told = {problem["source"]: problem["problem"] for problem in ran.summary["problems"]}
    assert "There is no source 'bucket'" in told["bucket"]
    assert "refer to it as env:NAME or block:name" in told["replica"]
    assert "plain" not in ran.stdout
    assert [state["kind"] for state in states.values()] == ["twin", "hub"]

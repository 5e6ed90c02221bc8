"""The law of the flow probe_sources: a table of who answers, and an event when one is left alone or taken up again."""

import pytest
from prefect.blocks.system import Secret

import analytics
from availability import open_workspace
from flows.probe_sources import probe_sources
from service.faults import Fault, FaultyHub
from tasks.workspace import secret_of_run
from tests.flows.conftest import EndedRun
from tests.prefect_api import wait_for

pytestmark = pytest.mark.prefect
TINY = "org/tiny"


@pytest.fixture
def mirror(published, monkeypatch):
    with FaultyHub(published) as server:
        monkeypatch.setenv("ENHANCED_MODEL_SOURCES_MIRRORS", server.url)
        monkeypatch.setenv("ENHANCED_MODEL_SOURCES_COOL_DOWN_SECONDS", "1")
        yield server


def probe(api, **parameters):
    return EndedRun(api, probe_sources(**parameters, return_state=True))


def breakers(ended, server):
    return [
        (event["payload"]["action"], event["payload"]["details"]["strikes"])
        for event in ended.told("source.breaker", at_least=1)
        if event["payload"]["source"] == server.url.removeprefix("http://")
    ]


@pytest.mark.usefixtures("mirror")
def test_everybody_answers_and_the_table_says_so(api, run):
    run(models=[TINY])
    ended = probe(api)
    assert ended.state.message == "2 of 3 sources answered"
    table = {row["kind"]: row for row in ended.table("sources")}
    assert [table[kind]["answered"] for kind in ("twin", "mirror", "hub")] == ["", "yes", "yes"]
    assert (table["mirror"]["models behind"], table["hub"]["models behind"]) == (0, None)


def test_a_lie_opens_the_breaker_and_a_right_answer_closes_it_again_and_both_are_told(api, run, mirror):
    run(models=[TINY])
    lie = Fault("flip", "/resolve/")
    mirror.faults.append(lie)
    ended = probe(api)
    assert f"{mirror.url.removeprefix('http://')} did not" in ended.state.message
    assert breakers(ended, mirror) == [("open", 1)]
    mirror.faults.remove(lie)
    again = wait_for(lambda: (one := probe(api)) and one.table("sources")[1]["breaker"] == "closed" and one)
    assert breakers(again, mirror) == [("closed", 1)]


def test_a_download_tells_it_too_and_the_history_knows_whose_it_was(run, mirror):
    mirror.faults.append(Fault("flip", "/resolve/"))
    ended = run(models=[TINY])
    assert ended.state.is_completed()
    assert breakers(ended, mirror) == [("open", 1)]
    with analytics.connect(open_workspace().settings.history_url) as history:
        told = history.table("select kind, run_id from events where kind in ('breaker', 'download')").rows
    assert {*told} == {("breaker", ended.id), ("download", ended.id)}


def test_when_nobody_answers_the_run_fails(api, run, hub):
    run(models=[TINY])
    hub.close()
    ended = probe(api)
    assert ended.state.is_failed()
    assert ended.state.message.startswith("0 of 2 sources answered")


@pytest.mark.usefixtures("api")
def test_a_secret_of_a_source_comes_from_a_block(monkeypatch):
    Secret(value="s3cret").save("replica-key", overwrite=True)
    monkeypatch.setenv("REPLICA_KEY", "other")
    assert (secret_of_run("block:replica-key"), secret_of_run("env:REPLICA_KEY")) == ("s3cret", "other")

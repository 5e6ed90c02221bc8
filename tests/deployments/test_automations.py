"""The law of automations: each file is one, made once by its name, and what it waits for is something that is told."""

import re
from functools import partial
from uuid import uuid4

import click
import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.events import emit_event

from analytics.kinds import KINDS
from availability.settings import load_settings
from deployments.automate import TAG, put_automations, read_automations, resolve
from deployments.blocks import find_block, put_blocks
from deployments.manifest import read_manifest
from tests.prefect_api import Api, wait_for
from tests.webhook import Webhook

SPECS = {spec["name"]: spec for spec in read_automations()}
DEPLOYED = {f"{e['name']}/{e['name']}": uuid4() for e in read_manifest(load_settings(env={}, dotenv=None)).deployments}
ALERTS = {
    "alert-corruption-found",
    "alert-download-failed",
    "alert-downloads-failing",
    "alert-load-time-worse",
    "alert-model-unavailable",
    "alert-no-worker",
    "alert-runs-late",
    "alert-source-open",
    "alert-storage-low",
}
FROM_PREFECT = re.compile(r"prefect\.(worker\.started|work-pool\.(not-)?ready|flow-run\.(Late|heartbeat|\*))")

automations = pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec["name"])


def actions(spec):
    return resolve(spec, DEPLOYED, uuid4()).actions


def test_there_is_an_alert_for_all_that_people_must_know():
    assert {name for name in SPECS if name.startswith("alert-")} == ALERTS


@automations
def test_prefect_takes_it_and_a_person_learns_what_it_is_for(spec):
    made = resolve(spec, DEPLOYED, uuid4())
    assert (made.name, made.tags, made.enabled) == (spec["name"], [TAG], True)
    assert made.description.endswith(".")
    assert made.trigger.expect


@automations
def test_what_it_waits_for_is_told_by_us_or_by_prefect_and_its_texts_name_what_is_in_it(spec):
    ours = {kind.event: kind for kind in KINDS.values()}
    waits_for = {*spec["trigger"]["expect"], *spec["trigger"].get("after", [])}
    assert all(name in ours or FROM_PREFECT.fullmatch(name) for name in waits_for)
    payload = {"model_id", "revision"}
    for name in waits_for & ours.keys():
        payload |= {*ours[name].required, *ours[name].usual, *ours[name].announced}
    assert {*re.findall(r"event\.payload\.(\w+)", str(spec["actions"]))} <= payload


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_has_a_cool_down_and_tells_people_in_words(name):
    trigger = resolve(SPECS[name], DEPLOYED, uuid4()).trigger
    # A reactive trigger is quiet for the rest of `within` once it has fired; a proactive one waits for it each time.
    assert trigger.within.total_seconds() >= 300
    (action,) = actions(SPECS[name])
    assert action.type == "send-notification"
    assert action.subject
    assert action.body


def test_few_of_them_wait_for_silence_which_is_what_locks_sqlite():
    silent = [name for name, spec in SPECS.items() if spec["trigger"]["posture"] == "Proactive"]
    assert silent == ["alert-no-worker", "crash-lost-runs"]


def test_without_a_block_an_alert_only_appears_among_the_events():
    (action,) = resolve(SPECS["alert-storage-low"], DEPLOYED, None).actions
    assert action.type == "do-nothing"


def test_one_that_runs_what_is_not_deployed_is_refused():
    with pytest.raises(click.ClickException, match="ensure-at-start runs ensure-models/ensure-models, which is not"):
        resolve(SPECS["ensure-at-start"], {}, None)


def test_a_file_that_is_not_named_like_its_automation_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: yours")
    with pytest.raises(click.ClickException, match="name it 'mine'"):
        read_automations(tmp_path)


# --- on a server ----------------------------------------------------------------------------------------


@pytest.fixture
def api(prefect_server):
    return Api(prefect_server)


@pytest.fixture
def client(prefect_server):
    with get_client(sync_client=True) as client:
        yield client
        put_automations(client, [])
    assert prefect_server


def alert(name, block, **trigger):
    """One of our alerts, but for something that nothing else on the server tells."""
    spec = SPECS[name]
    return resolve({**spec, "trigger": {**spec["trigger"], **trigger}}, DEPLOYED, block)


def ours(api):
    found = api.post("/automations/filter", limit=200)
    return {one["name"]: one for one in found if TAG in one["tags"]}


@pytest.mark.prefect
def test_made_twice_they_are_there_once_and_the_second_time_changes_nothing(api, client):
    wanted = [resolve(spec, DEPLOYED, None) for spec in SPECS.values()]
    assert len(put_automations(client, wanted)) == len(SPECS)
    made = ours(api)
    assert made.keys() == SPECS.keys()
    assert put_automations(client, wanted) == []
    assert ours(api) == made

    changed = resolve(SPECS["alert-storage-low"] | {"description": "Other."}, DEPLOYED, None)
    others = [one for one in wanted if one.name != changed.name]
    assert put_automations(client, [*others, changed]) == ["automation alert-storage-low mended"]
    assert ours(api)["alert-storage-low"]["id"] == made["alert-storage-low"]["id"]

    assert put_automations(client, others) == ["automation alert-storage-low removed"]
    assert ours(api).keys() == SPECS.keys() - {"alert-storage-low"}


@pytest.mark.prefect
def test_what_was_doubled_is_there_once_again_and_what_people_have_made_stays(api, client):
    wanted = resolve(SPECS["alert-storage-low"], DEPLOYED, None)
    theirs = client.create_automation(wanted.model_copy(update={"name": "theirs", "tags": []}))
    for _ in range(2):
        client.create_automation(wanted)
    assert put_automations(client, [wanted]) == ["automation alert-storage-low removed"]
    assert [one["name"] for one in api.post("/automations/filter", limit=200)].count(wanted.name) == 1
    assert api.get(f"/automations/{theirs}")["name"] == "theirs"
    api.delete(f"/automations/{theirs}")


@pytest.mark.prefect
def test_an_alert_reaches_people_once_within_its_cool_down_for_each_model(client, request):
    with Webhook() as webhook:
        request.addfinalizer(lambda: CustomWebhookNotificationBlock.delete("model-alerts"))
        env = {"MODEL_ALERTS_WEBHOOK_URL": webhook.url}
        assert put_blocks(env) == ["block custom-webhook/model-alerts made"]
        block = find_block(client, "custom-webhook/model-alerts")
        put_automations(client, [alert("alert-model-unavailable", block)])

        def tell(model, minutes):
            payload = {"model_id": model, "minutes": minutes, "status": "missing", "advice": "Fetch it."}
            emit_event("model.unavailable", {"prefect.resource.id": f"model.{model}"}, payload=payload)

        def is_told(model, minutes):
            tell(model, minutes)  # again and again: the server takes note of an automation a little after it was made
            return any(model in told["text"] for told in webhook.told)

        told_of = (("org/a", 60), ("org/b", 90))
        for model, minutes in told_of:
            wait_for(partial(is_told, model, minutes))
            for later in (minutes + 1, minutes + 2):
                tell(model, later)
        assert [told["text"] for told in webhook.told] == [
            f"{model} has not been available for {minutes} minutes\nIt is missing. Fetch it."
            for model, minutes in told_of
        ]


@pytest.mark.prefect
def test_blocks_are_made_of_variables_once_and_their_secrets_are_shown_to_nobody(api, client):
    given = {"MODEL_ALERTS_WEBHOOK_URL": "http://127.0.0.1:9/secret-path"}
    assert put_blocks({}) == []
    assert find_block(client, "custom-webhook/model-alerts") is None
    try:
        assert put_blocks(given) == ["block custom-webhook/model-alerts made"]
        assert put_blocks(given) == []
        assert put_blocks({}) == []
        changed = {"MODEL_ALERTS_WEBHOOK_URL": "http://127.0.0.1:9/other-path"}
        assert put_blocks(changed) == ["block custom-webhook/model-alerts mended"]
        assert put_blocks(changed) == []
        found = api.get(f"/block_documents/{find_block(client, 'custom-webhook/model-alerts')}")
        assert "other-path" not in str(found)
    finally:
        CustomWebhookNotificationBlock.delete("model-alerts")

"""The law of the flow report_health: a page for people, and an event when the room runs out."""

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from flows.report_health import report_health
from tasks.pictures import data_uri, storage_bar
from tests.analytics.histories import line, put, store_at
from tests.builders import CONFIG
from tests.flows.conftest import EndedRun
from tests.prefect_api import wait_for

TINY = "org/tiny"
SVG = "{http://www.w3.org/2000/svg}"


def report(api, **parameters):
    return EndedRun(api, report_health(**parameters, return_state=True))


@pytest.fixture
def roomy(monkeypatch):
    """Whatever the disk of this machine has left, it is enough."""
    monkeypatch.setenv("ENHANCED_MODEL_HEALTH_STORAGE_CRITICAL_PERCENT", "100")
    monkeypatch.setenv("ENHANCED_MODEL_HEALTH_STORAGE_WARNING_PERCENT", "100")


@pytest.mark.prefect
@pytest.mark.usefixtures("roomy")
def test_the_page_names_the_worst_model_and_what_to_do(api, run):
    (run(models=[TINY]).outcome.path / CONFIG).unlink()
    ended = report(api, refresh=True)
    assert ended.state.is_completed()
    assert ended.state.message.startswith("1 missing, overall score 0.00, storage ok")
    page = ended.artifacts["system-health"]["data"]
    assert page.startswith("## 1 missing")
    assert "](data:image/svg+xml;base64," in page
    assert "| org/tiny | missing |" in page
    assert "- Fetch what is missing: availability ensure org/tiny" in page
    assert ended.told("storage.low") == []


@pytest.mark.prefect
def test_when_the_room_runs_out_it_is_told(api, run, monkeypatch):
    run(models=[TINY])
    monkeypatch.setenv("ENHANCED_MODEL_HEALTH_STORAGE_WARNING_PERCENT", "0.000001")
    monkeypatch.setenv("ENHANCED_MODEL_HEALTH_STORAGE_CRITICAL_PERCENT", "100")
    ended = report(api, refresh=True)
    assert ended.state.is_completed()
    assert ended.state.message.endswith("storage warning")
    event = ended.event("storage.low")
    assert event["payload"]["level"] == "warning"
    assert event["payload"]["size_bytes"] > 3_000_000


# --- what alerts wait for -------------------------------------------------------------------------------


def catalog_of(folder, monkeypatch, *names):
    path = folder / "catalog.yaml"
    path.write_text("version: 1\nmodels:\n" + "".join(f"  - id: {name}\n" for name in names))
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", str(path))


@pytest.mark.prefect
@pytest.mark.usefixtures("roomy")
def test_a_catalog_model_that_lasts_without_being_available_is_told_and_others_are_not(api, run, monkeypatch, tmp_path):
    catalog_of(tmp_path, monkeypatch, TINY, "org/other")
    run(models=[TINY])
    monkeypatch.setenv("ENHANCED_MODEL_ALERTS_UNAVAILABLE_MINUTES", "60")
    assert report(api, refresh=True).told("model.unavailable") == []
    # An hour later, as far as its memory goes.
    memory = tmp_path / "store.availability/outages.json"
    (since,) = (remembered := json.loads(memory.read_text())).values()
    memory.write_text(json.dumps(dict.fromkeys(remembered, since - 3600)))
    ended = report(api, refresh=True)
    event = ended.event("model.unavailable")
    assert event["resource"]["prefect.resource.id"] == "model.org/other"
    assert (event["payload"]["status"], event["payload"]["minutes"]) == ("missing", 60)
    assert event["payload"]["advice"] == "Fetch it: availability ensure org/other"
    assert ended.state.message.endswith("; org/other not available for 60 minutes")


@pytest.fixture
def past(store, monkeypatch):
    """A history in which 2 of 6 downloads failed today and org/tiny loads twice as slowly as it did."""
    now = datetime.now(UTC)

    def ago(hours):
        return now - timedelta(hours=hours)

    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_URL", str(store.with_name("history")))
    fields = {"model_id": TINY, "source": "hub"}
    put(
        store_at(store.with_name("history")),
        *[line("download", ago(hours), success=hours > 2, **fields) for hours in range(1, 7)],
        *[line("load", ago(24 * 20), model_id=TINY, seconds=1.0, success=True) for _ in range(5)],
        *[line("load", ago(24), model_id=TINY, seconds=2.0, success=True) for _ in range(5)],
        now=now,
    )


@pytest.mark.prefect
@pytest.mark.usefixtures("roomy", "past")
def test_many_failed_downloads_and_slower_loads_are_told_where_they_exceed_what_is_allowed(api, monkeypatch):
    ended = report(api)
    failing, slower = ended.event("downloads.failing"), ended.event("model.load.slower")
    assert failing["payload"] == {
        "downloads": 6, "failures": 2, "failure_percent": 33.3, "models": 1, "window_hours": 24
    }  # fmt: skip
    assert slower["resource"]["prefect.resource.id"] == "model.org/tiny"
    assert slower["payload"]["reason"] == "Loads take 2.0 s, 100 % more than the 1.0 s before."
    assert ended.state.message.endswith("; 2 of 6 downloads failed; org/tiny loads 100% slower")

    monkeypatch.setenv("ENHANCED_MODEL_ALERTS_FAILURE_RATE_PERCENT", "33.3")
    monkeypatch.setenv("ENHANCED_MODEL_ALERTS_SLOWER_LOAD_PERCENT", "100")
    quiet = report(api)
    assert quiet.told("downloads.failing") == quiet.told("model.load.slower") == []


@pytest.mark.prefect
@pytest.mark.usefixtures("roomy", "past")
def test_without_analytics_the_run_says_that_the_history_is_not_watched(api, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS", "false")
    ended = report(api)
    assert ended.told("downloads.failing") == []
    assert wait_for(lambda: [log for log in api.logs(ended.id) if "usage_analytics is switched off" in log["message"]])


@pytest.mark.prefect
@pytest.mark.usefixtures("roomy", "store")
def test_without_models_the_page_says_so(api):
    ended = report(api)
    assert ended.state.is_completed()
    assert "There are no models." in ended.artifacts["system-health"]["data"]


@pytest.mark.parametrize(("percent", "width"), [(0, 0.0), (50, 320.0), (100, 640.0), (130, 640.0)])
def test_the_bar_is_as_long_as_the_room_is_used(percent, width):
    drawn = ET.fromstring(storage_bar("<&>", percent, "ok", warning=80, critical=95))
    _, used = drawn.findall(f"{SVG}rect")
    assert float(used.get("width")) == width
    title, *marks = (text.text for text in drawn.findall(f"{SVG}text"))
    assert (title, marks) == ("<&>", ["80 %", "95 %"])


def test_a_picture_is_an_address_that_holds_it():
    head, _, body = data_uri("<svg>é</svg>").partition(",")
    assert head == "data:image/svg+xml;base64"
    assert b64decode(body).decode() == "<svg>é</svg>"

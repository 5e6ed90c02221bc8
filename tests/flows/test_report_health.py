"""The law of the flow report_health: a page for people, and an event when the room runs out."""

from base64 import b64decode
from xml.etree import ElementTree as ET

import pytest

from flows.report_health import report_health
from tasks.pictures import data_uri, storage_bar
from tests.builders import CONFIG
from tests.flows.conftest import EndedRun

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

"""The law of the UI: a person who knows nothing but the Prefect UI gets models, sees them come, stops them, and reads.

The pictures of the README come from here: `make pictures`.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from availability import open_workspace, status
from availability.model import parse_model_id
from deployments.documents import ROOT
from deployments.processes import Background
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import KIB, MIB, WEIGHTS, write_tiny_model
from tests.deployments.browser import CHROMIUM, VIEWPORT, Person
from tests.prefect_api import Api, wait_for

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Debian's chromium is not installed ({CHROMIUM})"),
    pytest.mark.skipif(not find_spec("playwright"), reason="playwright is not installed"),
]

KEPT, MODEL, ENDLESS, LOST = "org/kept", "org/sample-model", "org/endless", "org/lost"
ENDLESS_BYTES = 24 * MIB
CHAT = {"task": "text-generation", "licence": "mit", "format": "safetensors", "capabilities": ["chat"]}
ASKS = {"id": LOST, "substitution": "ask", "attributes": {**CHAT, "compatible_with": {KEPT: 0.9}}}
FILES = {"config.json": b"{}\n", **{f"model-{number:02}.safetensors": 256 * KIB for number in range(24)}}


def write_catalog(path, *models):
    path.write_text(yaml.safe_dump({"version": 1, "models": [*models]}))


def slow(model):
    return Fault("shape", f"{model}.*safetensors", bytes_per_second=8 * KIB)


@pytest.fixture
def hub(tmp_path):
    published = tmp_path / "published"
    write_tiny_model(published, KEPT, weights_bytes=KIB)
    write_tiny_model(published, ENDLESS, weights_bytes=ENDLESS_BYTES)
    write_model(published, MODEL, FILES)
    with FaultyHub(published, faults=[slow(MODEL), slow(ENDLESS)]) as hub:
        yield hub


@pytest.fixture
def here(hub, tmp_path):
    catalog = tmp_path / "catalog.yaml"
    write_catalog(catalog, {"id": KEPT, "attributes": CHAT})
    return open_workspace(
        {"storage.models_directory": tmp_path / "store", "hub.endpoint": hub.url, "catalog": str(catalog)}
    )


@pytest.fixture
def api(prefect_home, here):
    """The stack as `make up` starts it, over the store and the hub of this test."""
    settings = here.settings
    env = {
        **os.environ,
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(settings.storage.models_directory),
        "ENHANCED_MODEL_HUB_ENDPOINT": settings.hub.endpoint,
        "ENHANCED_MODEL_CATALOG": str(settings.catalog),
        "ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS": "1",
        "ENHANCED_MODEL_SCHEDULES_SWITCHED_OFF": "*",
    }
    command = [sys.executable, "-m", "deployments.local"]
    subprocess.run([*command, "up", "--home", prefect_home, "--port", "0"], cwd=ROOT, env=env, check=True)
    yield Api(f"http://127.0.0.1:{Background(prefect_home, 'server').living().port}/api")
    subprocess.run([*command, "down", "--home", prefect_home], cwd=ROOT, env=env, check=True)


@pytest.fixture
def person(api, prefect_home, tmp_path):
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  not there where its tests are skipped

    ui = f"http://127.0.0.1:{Background(prefect_home, 'server').living().port}"
    pictures = Path(os.environ.get("PICTURES") or tmp_path / "pictures")
    with sync_playwright() as playwright:
        # Its sandbox wants more rights than a container has.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        somebody = Person(browser.new_page(viewport=VIEWPORT), ui, api, pictures)
        yield somebody
        browser.close()


def state_of(api, run):
    return api.get(f"/flow_runs/{run}")["state"]["type"]


def test_a_person_with_the_ui_alone_gets_a_model_watches_it_stops_another_and_reads_reports(person, api, here, hub):
    person.fill_form("ensure-models", MODEL)
    person.sees("Models as org/name", "How urgent the models are", "Only show files and bytes")
    person.take_picture("form")
    run = person.submit()

    first = wait_for(lambda: person.megabytes(run))
    wait_for(lambda: (person.megabytes(run) or 0) > first)
    person.page.get_by_text(MODEL).first.scroll_into_view_if_needed()
    person.take_picture("progress")
    hub.faults.clear()

    wait_for(lambda: state_of(api, run) == "COMPLETED")
    person.read("ensure-models")
    person.sees("1 of 1 models verified", MODEL, "available")
    person.take_picture("result")

    hub.faults.append(slow(ENDLESS))
    person.fill_form("ensure-models", ENDLESS)
    run = person.submit()
    wait_for(lambda: person.megabytes(run))
    person.cancel(run)
    wait_for(lambda: state_of(api, run) == "CANCELLED")
    person.watch(run)
    person.sees("Cancelled")
    journals = here.state / "journals" / parse_model_id(ENDLESS).folder
    assert [*journals.iterdir()], "what has arrived must be known for the next time"

    person.fill_form("report-health")
    run = person.submit()
    wait_for(lambda: state_of(api, run) == "COMPLETED")
    person.read("system-health")
    person.sees("2 healthy, 1 missing", "Worst first", "What to do")
    person.take_picture("health")

    person.fill_form("report-usage")
    run = person.submit()
    wait_for(lambda: state_of(api, run) == "COMPLETED")
    person.read("usage-report")
    person.sees("Availability", MODEL)
    person.take_picture("usage")

    # What had arrived of the one that was cancelled is not fetched again.
    hub.faults.clear()
    person.fill_form("ensure-models", ENDLESS)
    run = person.submit()
    wait_for(lambda: state_of(api, run) == "COMPLETED")
    assert ENDLESS_BYTES <= hub.bytes_sent(f"{ENDLESS}.*{WEIGHTS}") <= 1.05 * ENDLESS_BYTES


def test_a_person_is_asked_which_model_may_stand_in(person, api, here, hub):
    wait_for(lambda: status(KEPT, workspace=here).availability_status.is_available)
    write_catalog(here.settings.catalog, {"id": KEPT, "attributes": CHAT}, ASKS)
    hub.faults.append(Fault("status", LOST, status=503))
    person.fill_form("ensure-models", LOST)
    run = person.submit()
    wait_for(lambda: state_of(api, run) == "PAUSED")
    person.answer(run, KEPT)
    wait_for(lambda: state_of(api, run) == "FAILED")
    assert api.get(f"/flow_runs/{run}")["state"]["name"] == "Substituted"
    person.read("ensure-models")
    person.sees("0 of 1 models verified, 1 substituted", LOST, KEPT)

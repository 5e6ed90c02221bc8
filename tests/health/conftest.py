import pytest
from huggingface_hub.utils import disable_progress_bars

from service.faults import FaultyHub
from tests.builders import MIB, write_tiny_model
from tests.health.ground import Shelf


@pytest.fixture(scope="session", autouse=True)
def _quiet():
    disable_progress_bars()


@pytest.fixture(autouse=True)
def _no_file_of_settings(monkeypatch, tmp_path):
    """`.env` and the catalog are looked for in the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """What the hub serves; only read."""
    store = tmp_path_factory.mktemp("published")
    write_tiny_model(store, weights_bytes=6 * MIB + 17)
    return store


@pytest.fixture
def hub(published):
    with FaultyHub(published) as server:
        yield server


@pytest.fixture
def shelf(hub, tmp_path):
    made = Shelf(hub, tmp_path)
    made.ensure()
    hub.reset_counters()
    return made

import pytest
from huggingface_hub.utils import disable_progress_bars

from service.faults import FaultyHub
from tests.builders import write_tiny_model
from tests.road.ground import MODEL, PARTS_MODEL, PARTS_SIZE, SIZE, Ground


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
    write_tiny_model(store, MODEL, weights_bytes=SIZE)
    write_tiny_model(store, PARTS_MODEL, weights_bytes=PARTS_SIZE)
    return store


@pytest.fixture
def hub(published):
    with FaultyHub(published, page_size=2) as server:
        yield server


@pytest.fixture
def ground(hub, tmp_path):
    return Ground(hub, tmp_path)

import pytest

from service.faults import FaultyHub
from tests.availability.fallback.ground import Ground, publish


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """What the hub serves; only read."""
    store = tmp_path_factory.mktemp("published")
    publish(store)
    return store


@pytest.fixture
def ground(library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with FaultyHub(library) as hub:
        yield Ground(tmp_path, hub)

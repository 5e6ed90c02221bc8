from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import disable_progress_bars

from service.faults import FaultyHub
from tests.builders import write_tiny_model


@pytest.fixture(scope="session", autouse=True)
def _quiet():
    disable_progress_bars()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests that only read it."""
    path = tmp_path_factory.mktemp("store")
    write_tiny_model(path)
    return path


@pytest.fixture
def own_store(tmp_path: Path) -> Path:
    """A store that the test may change."""
    write_tiny_model(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def hub(store: Path) -> Iterator[FaultyHub]:
    with FaultyHub(store) as server:
        yield server

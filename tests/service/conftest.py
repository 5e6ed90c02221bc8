from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import disable_progress_bars

from service.faults import FaultyHub
from tests.builders import write_tiny_model


@pytest.fixture(scope="session", autouse=True)
def _quiet():
    disable_progress_bars()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def hub(store: Path) -> Iterator[FaultyHub]:
    with FaultyHub(store) as server:
        yield server

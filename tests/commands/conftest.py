from pathlib import Path

import pytest
from huggingface_hub.utils import disable_progress_bars

from deployments.sample import write_model
from service.faults import FaultyHub
from tests.builders import write_tiny_pair


@pytest.fixture(scope="session", autouse=True)
def _quiet():
    disable_progress_bars()


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """What the hub serves; only read."""
    store = tmp_path_factory.mktemp("published")
    write_tiny_pair(store)
    files = {
        "config.json": b"{}\n",
        "model.fp16.safetensors": 1500,
        "model.safetensors": 3000,
        "pytorch_model.bin": 3000,
    }
    write_model(store, "org/variants", files)
    return store


@pytest.fixture
def hub(published, monkeypatch):
    """A hub that the commands ask, and ask again after a second."""
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS", "1")
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRY_DELAY_SECONDS", "1.5")
    with FaultyHub(published) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch) -> Path:
    """An empty one: `.env` and the catalog are looked for there."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def store(tmp_path) -> Path:
    """Where the commands keep models, as `HF_HOME` says."""
    return tmp_path / "huggingface" / "hub"

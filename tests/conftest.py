"""What every test may rely on: an environment of its own, and one Prefect server for those that ask for it.

Prefect and the Hugging Face client read their variables when they are imported. So what the developer's shell says is
dropped before the first test module is, and no test can reach a real store, a real token or a real server by accident.
"""

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

_FOREIGN = re.compile(r"(ENHANCED_MODEL|HF|HUGGING_?FACE|PREFECT)_.*|(HTTP|HTTPS|ALL|NO)_PROXY", re.IGNORECASE)
_START_SECONDS = 120
_SYSTEM_SECONDS = 900


def pytest_configure(config):
    home = Path(tempfile.mkdtemp(prefix="availability-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    for name in filter(_FOREIGN.fullmatch, [*os.environ]):
        del os.environ[name]
    os.environ |= {
        "HF_HOME": str(home / "huggingface"),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5",
    }


def pytest_collection_modifyitems(items):
    """Mix the files, so that those that wait for a server run beside those that compute; the slow begin early.

    Those of `make test-system` may take longer than others before they count as hanging.
    """
    file_of = {item: item.nodeid.partition("::")[0] for item in items}
    slow = {file_of[item] for item in items if item.get_closest_marker("slow")}
    mixed = {file: int(sha256(file.encode()).hexdigest(), 16) for file in file_of.values()}
    for item in items:
        if item.get_closest_marker("system"):
            item.add_marker(pytest.mark.timeout(_SYSTEM_SECONDS))
    items.sort(key=lambda item: mixed[file_of[item]] / (2 if file_of[item] in slow else 1))


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """A home of its own for each test; what another test may have left in the environment is gone.

    How full the disk of this machine is, is no test's business: only a full one is told. A command leaves no process
    behind that ships, but where a test is about that.
    """
    for name in filter(_FOREIGN.fullmatch, [*os.environ]):
        if not name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    for level in ("WARNING", "CRITICAL"):
        monkeypatch.setenv(f"ENHANCED_MODEL_HEALTH_STORAGE_{level}_PERCENT", "100")
    monkeypatch.setenv("ENHANCED_MODEL_ANALYTICS_SHIP_IN_BACKGROUND", "false")


@pytest.fixture
def open_folder():
    """A folder that every user may look into."""
    folder = Path(tempfile.mkdtemp(prefix="availability-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    """A real server, started once and only when a test asks for it: its API's address, and a copy of its database."""
    from prefect.settings import (  # noqa: PLC0415  seconds, which most tests need not wait for
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_RESULTS_PERSIST_BY_DEFAULT,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415

    copied = tmp_path_factory.mktemp("database") / "prefect.db"
    # Ending a heartbeat costs a second a run, and these runs need nobody to notice that they died. What a flow returns
    # is kept: where the server's answer to the last state is lost on the way, the state it tells again has no data.
    kept = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}
    with temporary_settings(kept), prefect_test_harness(_START_SECONDS):
        database = PREFECT_SERVER_DATABASE_CONNECTION_URL.value().partition(":///")[2]
        with closing(sqlite3.connect(database)) as made, closing(sqlite3.connect(copied)) as copy:
            made.backup(copy)
        yield PREFECT_API_URL.value(), copied


@pytest.fixture(scope="session")
def prefect_server(harness):
    """The address of the API of the session's server."""
    return harness[0]


@pytest.fixture
def prefect_home(harness, tmp_path):
    """A folder for a server of one's own, with its tables made already: that takes most of a start."""
    home = tmp_path / "stack"
    (home / "prefect").mkdir(parents=True)
    shutil.copy(harness[1], home / "prefect/prefect.db")
    return home

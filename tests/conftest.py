"""What every test may rely on: an environment of its own, and one Prefect server for those that ask for it.

Prefect and the Hugging Face client read their variables when they are imported. So what the developer's shell says is
dropped before the first test module is, and no test can reach a real store, a real token or a real server by accident.
"""

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from filelock import FileLock

from deployments.processes import free_port

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
def prefect_database(tmp_path_factory):
    """A database of Prefect's with its tables, made once for all workers: that takes most of a server's start."""
    folder = tmp_path_factory.getbasetemp()
    made = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "prefect.db"
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            making = tmp_path_factory.mktemp("database") / "prefect.db"
            with serving(making):
                pass
            with closing(sqlite3.connect(making)) as whole, closing(sqlite3.connect(made)) as copy:
                whole.backup(copy)
    return made


@contextmanager
def serving(database):
    """Run a server over a database, as Prefect's own test harness does over a new one; yield its API's address."""
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415  seconds, which few tests need
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings  # noqa: PLC0415

    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{database}"}):
        # Made without a port it is the one that threads find, which do not see these settings.
        server = SubprocessASGIServer()
        server.port = free_port()
        server.start(_START_SECONDS)
        try:
            yield server.api_url
        finally:
            server.stop()


@pytest.fixture(scope="session")
def prefect_server(prefect_database, tmp_path_factory):
    """A real server, started once and only when a test asks for it: the address of its API."""
    from prefect.logging.handlers import APILogHandler  # noqa: PLC0415
    from prefect.settings import (  # noqa: PLC0415  seconds, which most tests need not wait for
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_RESULTS_PERSIST_BY_DEFAULT,
        temporary_settings,
    )

    database = tmp_path_factory.mktemp("server") / "prefect.db"
    shutil.copy(prefect_database, database)
    # Ending a heartbeat costs a second a run, and these runs need nobody to notice that they died. What a flow returns
    # is kept: where the server's answer to the last state is lost on the way, the state it tells again has no data.
    kept = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}
    with serving(database) as address, temporary_settings({**kept, PREFECT_API_URL: address}):
        yield address
        APILogHandler().flush()  # what is still on its way would look for the server long after its end


@pytest.fixture
def prefect_home(prefect_database, tmp_path):
    """A folder for a server of one's own, with its tables made already."""
    home = tmp_path / "stack"
    (home / "prefect").mkdir(parents=True)
    shutil.copy(prefect_database, home / "prefect/prefect.db")
    return home

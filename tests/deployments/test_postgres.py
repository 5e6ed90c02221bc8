"""The law of Postgres: one variable moves the server to it, and everything else stays as it is."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from availability import open_workspace, status
from availability.status import Availability
from deployments.documents import ROOT
from deployments.processes import Background, free_port
from deployments.sample import SAMPLE_MODEL
from tests.prefect_api import Api, wait_for

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.skipif(not BINARIES, reason="Debian's postgresql is not installed (/usr/lib/postgresql)"),
]


@pytest.fixture
def postgres():
    """A cluster of its own, for this test; it refuses to be root's."""
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    who = {"user": user.pw_uid, "group": user.pw_gid} if os.getuid() == 0 else {}
    home = Path(tempfile.mkdtemp(prefix="availability-postgres-"))
    os.chown(home, user.pw_uid, user.pw_gid)
    data, port = home / "data", free_port()

    def run(name, *words):
        command = [BINARIES[-1] / name, "-D", data, *words]
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=home, **who)

    run("initdb", "--username", "prefect", "--auth", "trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
    run("pg_ctl", "start", "--wait", "--log", str(home / "log"), "--options", options)
    yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    run("pg_ctl", "stop", "--mode", "immediate")
    shutil.rmtree(home)


@pytest.fixture
def local(postgres, tmp_path):
    env = {
        **os.environ,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres,
        "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(tmp_path / "store"),
    }

    def run(*words):
        command = [sys.executable, "-m", "deployments.local", *words, "--home", str(tmp_path / "stack")]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout

    yield run
    run("down")


def test_the_stack_runs_on_postgres_as_it_does_on_sqlite(local, tmp_path):
    up = ("up", "--sample", "--port", "0", "--hub-port", "0")
    local(*up)
    api = Api(f"http://127.0.0.1:{Background(tmp_path / 'stack', 'server').living().port}/api")
    assert not [*tmp_path.rglob("prefect.db")]

    # The worker that has started ensures the catalog, and what is scheduled waits for its time.
    here = open_workspace({"storage.models_directory": tmp_path / "store", "profile": "development"})
    wait_for(lambda: status(SAMPLE_MODEL, workspace=here).availability_status is Availability.AVAILABLE)
    assert wait_for(lambda: api.post("/flow_runs/filter", flow_runs={"state": {"name": {"any_": ["Scheduled"]}}}))

    assert "Everything is as it should be; nothing was changed" in local(*up)

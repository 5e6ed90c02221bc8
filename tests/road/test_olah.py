"""A mirror written by others serves us: olah from the package index, in an environment of its own."""

import os
import subprocess
import sys
import venv
from contextlib import contextmanager

import pytest

from service.faults import Fault
from tests.builders import until
from tests.road.ground import LARGE, Ground, size_of, unused_port

VERSION = "0.5.4"
pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture(scope="session")
def olah(tmp_path_factory):
    """The program, installed once a session; skipped where the package index does not give it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "install", f"olah=={VERSION}"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the package index does not give olah {VERSION}: {done.stderr.strip()[-300:]}")
    return folder / "bin" / "olah-cli"


@contextmanager
def mirror_of(hub, program, folder):
    """Run it as a mirror of a hub; yields the URL."""
    netloc, own = hub.url.removeprefix("http://"), f"127.0.0.1:{unused_port()}"
    told = {"host": "127.0.0.1", "port": own.rpartition(":")[2], "repos-path": folder / "repos", "log-path": folder}
    told |= {"hf-scheme": "http", "hf-netloc": netloc, "hf-lfs-netloc": netloc}
    told |= {"mirror-scheme": "http", "mirror-netloc": own, "mirror-lfs-netloc": own}
    folder.mkdir()
    with (folder / "output").open("wb") as output:
        arguments = [f"--{name}={value}" for name, value in told.items()]
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output, cwd=folder, env=env)
    try:
        until(lambda: "startup complete" in (folder / "output").read_text(errors="replace"), seconds=120)
        yield f"http://{own}"
    finally:
        process.terminate()
        process.wait()


def test_a_mirror_written_by_others_serves_every_byte_and_is_still_there_when_the_hub_sends_none(olah, hub, tmp_path):
    with mirror_of(hub, olah, tmp_path / "olah") as url:
        patient = {"sources.mirrors": url, "sources.answer_seconds": 60, "download.stall_seconds": 60}
        first, second = Ground(hub, tmp_path / "first", patient), Ground(hub, tmp_path / "second", patient)
        outcome = first.ensure()
        assert outcome.success, outcome.error
        assert outcome.sources == {url.removeprefix("http://"): size_of(hub)}
        first.assert_honest()

        hub.faults.append(Fault("status", f"^GET .*{LARGE}", status=503))
        again = second.ensure()
        assert again.success, again.error
        assert again.sources == {url.removeprefix("http://"): size_of(hub)}
        second.assert_honest()

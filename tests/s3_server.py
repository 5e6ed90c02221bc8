"""One real S3 server for the session, started by the first test that wants it."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import s3fs

_PATIENCE_SECONDS, _STARTS = 60, 3
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
          "s3.port", "s3.port.grpc")  # fmt: skip
KEY, SECRET = "key-of-the-test", "secret-of-the-test"


def _free_ports(count):
    """Return ports that nobody has now."""
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            taken = stack.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            ports.append(taken.getsockname()[1])
        return ports


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """Return the options with which s3fs reaches a server that asks for a key."""
    for attempt in range(1, _STARTS + 1):
        folder = tmp_path_factory.mktemp("s3")
        process, options = _start(folder)
        try:
            _wait_for(options, process, folder / "log")
        except RuntimeError:  # somebody else took one of its ports between our looking and its asking
            _end(process)
            if attempt == _STARTS:
                raise
        else:
            break
    yield options
    _end(process)


def _start(folder):
    identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    weed = str(Path(sys.executable).with_name("weed"))
    command = [weed, "server", "-ip=127.0.0.1", f"-dir={folder}", "-filer", "-s3", "-volume.max=50",
               "-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0",
               f"-s3.config={folder / 's3.json'}",
               *(f"-{name}={port}" for name, port in ports.items())]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    return process, {"key": KEY, "secret": SECRET, "endpoint_url": endpoint, "skip_instance_cache": True}


def _end(process):
    process.kill()
    process.wait()


def _wait_for(options, process, log):
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with suppress(urllib.error.HTTPError):
                urllib.request.urlopen(options["endpoint_url"], timeout=2)
            s3fs.S3FileSystem(**options).mkdir("history")
            s3fs.S3FileSystem(**options).pipe_file("history/ready", b"ready")
        except OSError:
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(log.read_text()[-2000:]) from None
            time.sleep(0.2)
        else:
            return

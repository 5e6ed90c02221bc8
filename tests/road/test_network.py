"""The machine's own network settings are honoured: offline, proxies, certificates.

The client reads them when it is imported, so each test is a program of its own.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.road.ground import FILES, MODEL, unused_port
from tests.road.proxy import proxy, tls_front

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from availability import ensure_models, open_workspace
settings, model = json.loads(sys.argv[1])
outcome = ensure_models([model], workspace=open_workspace(settings))[0]
print(json.dumps(outcome.as_dict()))
"""


def ensured(ground, *, model=MODEL, settings=(), **variables):
    """Ensure a model in a program with these variables; return what `--json` would show."""
    given = {name: str(value) if isinstance(value, Path) else value for name, value in ground.all_settings().items()}
    given |= dict(settings)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([given, model])],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_offline_asks_nobody_and_says_so(ground):
    told, _ = ensured(ground, HF_HUB_OFFLINE="1")
    assert told["error"]["type"] == "OfflineError", told
    assert any("HF_HUB_OFFLINE" in line for line in told["error"]["advice"])
    assert ground.hub.count() == 0
    ground.assert_honest()


def test_offline_serves_what_is_ready_and_proves_what_the_client_has_fetched(ground):
    ready = ground.ensure()
    told, _ = ensured(ground, HF_HUB_OFFLINE="1")
    assert (told["success"], told["path"]) == (True, str(ready.path))
    for record in (ground.state / "records").rglob("*.json"):
        record.unlink()
    ground.hub.reset_counters()
    told, _ = ensured(ground, HF_HUB_OFFLINE="1")
    assert told["success"], told
    assert ground.hub.count() == 0
    ground.assert_honest()


@pytest.mark.parametrize("login", ["", "user:p%40ss@"], ids=["open", "with a login"])
def test_a_proxy_carries_listing_and_files(ground, login):
    with proxy() as way:
        told, errors = ensured(ground, HTTP_PROXY=f"http://{login}{way.address}", NO_PROXY="")
    assert told["success"], told
    ground.assert_honest()
    paths = [target for _, target, _ in way.seen]
    assert len(paths) == ground.hub.count(), "somebody went past the proxy"
    assert all(target.startswith(ground.hub.url) for target in paths)
    assert all(any(target.endswith(path) for target in paths) for path in FILES)
    expected = f"Basic {base64.b64encode(b'user:p@ss').decode()}" if login else None
    assert {authorization for _, _, authorization in way.seen} == {expected}
    assert "p@ss" not in errors + json.dumps(told)


def test_no_proxy_is_a_way_past_it(ground):
    with proxy() as way:
        told, _ = ensured(ground, HTTP_PROXY=f"http://{way.address}", NO_PROXY="127.0.0.1")
    assert told["success"], told
    assert way.seen == []


def test_a_proxy_that_is_down_is_named_without_its_password(ground):
    address = f"http://user:secret@127.0.0.1:{unused_port()}"
    told, errors = ensured(ground, HTTP_PROXY=address, NO_PROXY="")
    assert told["error"]["type"] == "DownloadFailedError"
    assert "secret" not in json.dumps(told) + errors
    ground.assert_honest()


def test_an_encrypted_hub_is_reached_through_a_tunnel(ground, tmp_path):
    with proxy() as way, tls_front(ground.hub.server_address, tmp_path) as (endpoint, certificate):
        settings = {"hub.endpoint": endpoint}
        told, _ = ensured(
            ground, settings=settings, HTTPS_PROXY=f"http://{way.address}", NO_PROXY="", SSL_CERT_FILE=str(certificate)
        )
        assert told["success"], told
        ground.assert_honest()
        assert {method for method, _, _ in way.seen} == {"CONNECT"}
        assert {target for _, target, _ in way.seen} == {endpoint.removeprefix("https://")}


def test_an_encrypted_hub_that_nobody_vouches_for_is_not_believed(ground, tmp_path):
    with tls_front(ground.hub.server_address, tmp_path) as (endpoint, _):
        told, _ = ensured(ground, settings={"hub.endpoint": endpoint})
    assert told["error"]["type"] == "DownloadFailedError"
    assert "certificate" in json.dumps(told["error"]).lower()
    assert ground.hub.count() == 0

"""Each rule does on the wire what it says, and nothing else."""

import http.client
import json
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from service.faults import Fault, FaultyHub
from tests.builders import (
    CONFIG,
    KIB,
    MIB,
    NESTED,
    WEIGHTS,
    bytes_header,
    request,
    stored_bytes,
    until,
    write_tiny_model,
)

MODEL = "org/tiny"
FILE = f"/{MODEL}/resolve/main/{WEIGHTS}"
SMALL = f"/{MODEL}/resolve/main/{CONFIG}"
TREE = f"/api/models/{MODEL}/tree/main?recursive=true"
SIZE = 3 * MIB + 17
TOKEN = "hf_right"


@pytest.fixture
def whole(store):
    return stored_bytes(store)


def read_raw(hub, target, method="GET"):
    """Send a request over a bare socket; return the status line, the body so far, and how the connection ended."""
    with socket.create_connection(hub.server_address, timeout=10) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = bytearray()
        end: type[OSError] | None = None
        try:
            while piece := connection.recv(MIB):
                received += piece
        except OSError as error:
            end = type(error)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], body, end


# --- which requests a rule is for -----------------------------------------------------------------------


def test_a_rule_holds_for_its_route_after_some_and_for_so_many(hub):
    hub.faults.append(Fault("status", r"^GET .*/config\.json$", skip=1, times=2, status=500))
    assert [request(hub.url + SMALL).status for _ in range(5)] == [200, 500, 500, 200, 200]
    assert request(hub.url + SMALL, "HEAD").status == 200


def test_a_rule_without_times_holds_until_it_is_taken_away(hub):
    rule = Fault("status", status=500)
    hub.faults.extend([rule, Fault("status", r"vocab", status=501)])
    assert [request(hub.url + SMALL).status for _ in range(3)] == [500] * 3
    assert next(iter(hub.faults)) == rule
    hub.faults.remove(rule)
    assert request(hub.url + SMALL).status == 200
    assert len(hub.faults) == 1
    hub.faults.clear()
    assert request(f"{hub.url}/{MODEL}/resolve/main/{NESTED}").status == 200


def test_two_equal_rules_count_apart(hub):
    hub.faults.extend([Fault("status", times=1)] * 2)
    assert [request(hub.url + SMALL).status for _ in range(2)] == [503, 200]


# --- another answer -------------------------------------------------------------------------------------


def test_status_with_its_headers_and_body(hub):
    limits = {"Retry-After": "7", "RateLimit": '"api";r=0;t=7', "X-Error-Code": "RateLimited"}
    hub.faults.append(Fault("status", status=429, headers=limits, body=b"slow down"))
    answer = request(hub.url + SMALL)
    assert (answer.status, answer.data) == (429, b"slow down")
    assert {name: answer.headers[name] for name in limits} == limits
    with pytest.raises(HfHubHTTPError) as error:
        HfApi(endpoint=hub.url, token=False).model_info(MODEL)
    assert error.value.response.status_code == 429


def test_html_in_place_of_the_file(hub):
    hub.faults.append(Fault("html"))
    answer = request(hub.url + FILE)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.data.startswith(b"<!DOCTYPE html>")


def test_another_etag(hub, whole):
    hub.faults.append(Fault("etag", value="f" * 64))
    answer = request(hub.url + FILE)
    assert answer.headers["ETag"] == answer.headers["X-Linked-ETag"] == f'"{"f" * 64}"'
    assert answer.data == whole
    assert "X-Linked-ETag" not in request(hub.url + SMALL).headers


def test_ignored_refused_shifted_and_lying_ranges(hub, whole):
    asked = bytes_header(100, 199)
    hub.faults.append(Fault("ignore_range", times=1))
    answer = request(hub.url + FILE, headers=asked)
    assert (answer.status, answer.data) == (200, whole)
    hub.faults.append(Fault("unsatisfiable", times=1))
    answer = request(hub.url + FILE, headers=asked)
    assert (answer.status, answer.data, answer.headers["Content-Range"]) == (416, b"", f"bytes */{SIZE}")
    hub.faults.append(Fault("wrong_range", by=50, times=1))
    answer = request(hub.url + FILE, headers=asked)
    assert (answer.status, answer.data) == (206, whole[150:250])
    assert answer.headers["Content-Range"] == f"bytes 150-249/{SIZE}"
    hub.faults.append(Fault("wrong_total", by=-5, times=1))
    answer = request(hub.url + FILE, headers=asked)
    assert (answer.status, answer.data) == (206, whole[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{SIZE - 5}"


@pytest.mark.parametrize("by", [-10, 10])
def test_a_length_that_is_not_that_of_the_body(hub, by):
    hub.faults.append(Fault("wrong_length", by=by))
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
    connection.request("GET", SMALL)
    assert connection.getresponse().headers["Content-Length"] == str(24 + by)
    connection.close()
    assert len(read_raw(hub, SMALL)[1]) == 24


def test_listings_cut_short_unlinked_and_rewritten(store):
    with FaultyHub(store, page_size=2) as hub:
        good = request(hub.url + TREE)
        hub.faults.append(Fault("truncate_listing", times=1))
        cut = request(hub.url + TREE)
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.data)
        assert good.data.startswith(cut.data)
        assert cut.headers["Content-Length"] == str(len(cut.data))
        hub.faults.append(Fault("truncate_listing", drop_next=True, times=1))
        last = request(hub.url + TREE)
        assert (last.data, "Link" in good.headers, "Link" in last.headers) == (good.data, True, False)
        hub.faults.append(Fault("rewrite_listing", rewrite=lambda page: [{**page[0], "path": "../up"}]))
        assert [entry["path"] for entry in json.loads(request(hub.url + TREE).data)] == ["../up"]
        assert request(f"{hub.url}/api/models/{MODEL}").status == 200


# --- the wire -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 100_000, MIB, SIZE - 1])
@pytest.mark.parametrize(("kind", "end"), [("fin", None), ("reset", ConnectionResetError)])
def test_a_cut_comes_after_exactly_so_many_bytes(hub, whole, kind, end, after):
    hub.faults.append(Fault(kind, after=after))
    status, body, ended = read_raw(hub, FILE)
    assert status == b"HTTP/1.1 200 OK"
    assert (len(body), body == whole[:after], ended) == (after, True, end)
    assert hub.bytes_sent() == after


def test_a_reset_can_come_before_any_answer(hub):
    hub.faults.append(Fault("reset", before_head=True))
    assert read_raw(hub, FILE) == (b"", b"", ConnectionResetError)
    assert [(record.status, record.bytes_sent) for record in hub.requests] == [(0, 0)]


def test_a_cut_in_a_range_counts_from_the_range(hub, whole):
    hub.faults.append(Fault("fin", after=10))
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
    connection.request("GET", FILE, headers=bytes_header(MIB, 2 * MIB))
    with pytest.raises(http.client.IncompleteRead) as error:
        connection.getresponse().read()
    assert error.value.partial == whole[MIB : MIB + 10]
    connection.close()


def test_a_stall_sends_so_much_then_nothing_until_the_server_closes(store, whole):
    with FaultyHub(store, faults=[Fault("stall", after=MIB, seconds=3600)]) as hub:
        connection = socket.create_connection(hub.server_address, timeout=10)
        connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < MIB:
            received += connection.recv(MIB)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert received.partition(b"\r\n\r\n")[2] == whole[:MIB]
        assert hub.bytes_sent() == MIB
    # We are here, long before the stall's hour is over.
    connection.close()


def test_a_stall_that_ends_goes_on(hub, whole):
    hub.faults.append(Fault("stall", after=1000, seconds=0.05))
    assert request(hub.url + FILE).data == whole


def test_flips_stay_at_their_place_in_the_file_whatever_the_range(hub, whole):
    places = (0, MIB + 5, SIZE - 1)
    hub.faults.append(Fault("flip", offsets=places, mask=0x01))
    damaged = bytearray(whole)
    for place in places:
        damaged[place] ^= 0x01
    assert request(hub.url + FILE).data == damaged
    for first, last in [(MIB, MIB + 10), (MIB + 5, MIB + 5), (MIB + 6, MIB + 9), (SIZE - 1, SIZE - 1)]:
        answer = request(hub.url + FILE, headers=bytes_header(first, last))
        assert (answer.status, answer.data) == (206, damaged[first : last + 1])


def test_a_flip_counts_only_the_answers_that_hold_its_byte(hub, whole):
    hub.faults.append(Fault("flip", offsets=(MIB,), skip=1, times=1))
    at, beside = bytes_header(MIB - 1, MIB), bytes_header(0, MIB - 1)
    received = [request(hub.url + FILE, headers=headers).data for headers in (beside, at, beside, at, beside, at)]
    right, wrong = whole[MIB - 1 : MIB + 1], whole[MIB - 1 : MIB] + bytes([whole[MIB] ^ 0xFF])
    assert received == [whole[:MIB], right, whole[:MIB], wrong, whole[:MIB], right]


def test_a_rule_knows_how_often_it_fell_due(hub):
    twice, never = Fault("status", SMALL, times=2), Fault("status", "/nothing")
    hub.faults.extend([twice, never])
    for due in (1, 2, 2):
        request(hub.url + SMALL)
        assert (hub.faults.fell_due(twice), hub.faults.fell_due(never)) == (due, 0)


def test_a_head_request_uses_no_flip_up(hub, whole):
    hub.faults.append(Fault("flip", times=1))
    request(hub.url + FILE, "HEAD")
    assert request(hub.url + FILE).data[0] == whole[0] ^ 0xFF


def test_faults_add_up(hub, whole):
    hub.faults.extend([Fault("flip", offsets=(3,)), Fault("fin", after=8), Fault("etag", value="e" * 64)])
    assert read_raw(hub, FILE)[1] == whole[:3] + bytes([whole[3] ^ 0xFF]) + whole[4:8]


def test_latency_holds_each_answer_back(hub):
    hub.faults.append(Fault("latency", "config", seconds=0.05))
    started = time.monotonic()
    for _ in range(3):
        request(hub.url + SMALL)
    assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize("kind", ["shape", "trickle"])
def test_a_slow_line_is_never_faster_than_it_says(hub, kind):
    hub.faults.append(Fault(kind, bytes_per_second=6 * MIB))
    started = time.monotonic()
    clients = [threading.Thread(target=request, args=(hub.url + FILE,)) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    # How much slower depends on what else the machine does.
    assert time.monotonic() - started > 0.95 * SIZE / (6 * MIB)


def test_a_slow_line_gives_small_pieces_and_ends_with_the_server(store):
    with FaultyHub(store, faults=[Fault("shape", bytes_per_second=MIB)]) as hub:
        connection = socket.create_connection(hub.server_address, timeout=10)
        connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        pieces = []
        while sum(pieces) < 256 * KIB:
            pieces.append(len(connection.recv(MIB)))
        assert len(pieces) > 4
        assert hub.bytes_sent() - sum(pieces) < 256 * KIB
    connection.close()


# --- two origins ----------------------------------------------------------------------------------------


def test_large_files_come_from_another_origin_that_never_sees_the_token(store, tmp_path, whole):
    with FaultyHub(store, cdn=True, token=TOKEN, private={MODEL}) as hub:
        folder = snapshot_download(MODEL, endpoint=hub.url, cache_dir=tmp_path / "cache", token=TOKEN)
        checked = HfApi(endpoint=hub.url, token=TOKEN).verify_repo_checksums(MODEL, cache_dir=tmp_path / "cache")
        elsewhere = [record for record in hub.requests if record.origin == "cdn"]
        here = [record for record in hub.requests if record.origin == "hub"]
    assert (Path(folder) / WEIGHTS).read_bytes() == whole
    assert (checked.mismatches, checked.missing_paths) == ([], [])
    assert [(record.status, record.bytes_sent, record.authorized) for record in elsewhere] == [(200, SIZE, False)]
    assert all(record.authorized for record in here)
    assert hub.bytes_sent("^/repos/") == SIZE


def test_the_other_origin_has_its_own_tag_and_serves_ranges(store, whole):
    with FaultyHub(store, cdn=True) as hub:
        moved = request(hub.url + FILE)
        url = moved.headers["Location"]
        assert (moved.status, urlsplit(url).netloc) == (302, urlsplit(hub.cdn.url).netloc)
        assert moved.headers["X-Linked-ETag"] == request(hub.url + FILE, "HEAD").headers["X-Linked-ETag"]
        answers = [request(url, headers=bytes_header(5, 9)), request(url, headers=bytes_header(0))]
        assert [answer.data for answer in answers] == [whole[5:10], whole]
        assert len({answer.headers["ETag"] for answer in answers} | {moved.headers["X-Linked-ETag"]}) == 2
        assert request(url, headers=bytes_header(SIZE)).status == 416
        assert request(hub.url + SMALL).data == stored_bytes(store, CONFIG)


def test_a_signed_url_is_good_until_it_expires(store):
    with FaultyHub(store, cdn=True) as hub:
        url = request(hub.url + FILE).headers["Location"]
        hub.faults.append(Fault("expire", "GET /repos/", skip=1, times=1))
        assert [request(url).status for _ in range(3)] == [200, 403, 403]
        fresh = request(hub.url + FILE).headers["Location"]
        assert request(fresh).status == 200
        assert request(fresh.replace("signature=", "signature=0")).status == 403
        assert request(fresh.replace("expires=", "expires=9")).status == 403
    with FaultyHub(store, cdn=True, url_seconds=-1) as hub:
        assert request(request(hub.url + FILE).headers["Location"]).status == 403


def test_small_files_may_be_behind_a_path_of_the_same_origin(store, tmp_path):
    with FaultyHub(store, relative_redirects=True) as hub:
        moved = request(hub.url + SMALL)
        assert (moved.status, moved.headers["Location"][:19]) == (307, "/api/resolve-cache/")
        folder = snapshot_download(MODEL, endpoint=hub.url, cache_dir=tmp_path / "cache", token=False)
        assert (Path(folder) / CONFIG).read_bytes() == stored_bytes(store, CONFIG)
        assert hub.count("GET /api/resolve-cache/.*config.json") == 1


# --- the count ------------------------------------------------------------------------------------------


def test_every_request_is_on_record(hub, whole):
    request(hub.url + FILE, headers={**bytes_header(10, 19), "Authorization": "Bearer x"})
    request(hub.url + FILE, "HEAD")
    request(hub.url + TREE)
    request(f"{hub.url}/org/absent/resolve/main/x")
    facts = [
        (record.method, record.path, record.query, record.range, record.status, record.authorized, record.origin)
        for record in hub.requests
    ]
    assert facts == [
        ("GET", FILE, "", "bytes=10-19", 206, True, "hub"),
        ("HEAD", FILE, "", None, 200, False, "hub"),
        ("GET", TREE.partition("?")[0], "recursive=true", None, 200, False, "hub"),
        ("GET", "/org/absent/resolve/main/x", "", None, 404, False, "hub"),
    ]
    assert (hub.bytes_sent("safetensors"), hub.count("^HEAD "), hub.count(r"\?recursive=true")) == (10, 1, 1)
    assert len({record.client_port for record in hub.requests}) == 4
    hub.reset_counters()
    assert (hub.requests, hub.bytes_sent()) == ([], 0)
    assert request(hub.url + FILE).data == whole
    assert hub.bytes_sent() == SIZE


def test_what_a_client_leaves_lying_is_not_counted(tmp_path):
    size = 64 * MIB
    write_tiny_model(tmp_path, weights_bytes=size)
    with FaultyHub(tmp_path) as hub:
        with socket.create_connection(hub.server_address, timeout=10) as connection:
            connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            received = 0
            while received < 2 * MIB:
                received += len(connection.recv(MIB))
            assert hub.bytes_sent() > 2 * MIB - KIB
        request(hub.url + SMALL)
    assert received - KIB < hub.bytes_sent("safetensors") < received + 24 * MIB


def test_content_may_change_under_a_name_while_it_is_served(own_store, whole):
    with FaultyHub(own_store) as hub:
        before = request(hub.url + FILE)
        commit = write_tiny_model(own_store, seed=1)
        after = request(hub.url + FILE)
    assert (before.data, after.data) == (whole, stored_bytes(own_store))
    assert after.headers["X-Repo-Commit"] == commit != before.headers["X-Repo-Commit"]
    assert before.data != after.data


def test_nothing_more_goes_out_to_a_client_that_has_gone(store):
    # A byte every half second; the next one would still be taken by the socket, for nobody.
    with FaultyHub(store, faults=[Fault("shape", r"/resolve/", bytes_per_second=2)]) as hub:
        with socket.create_connection(hub.server_address, timeout=10) as connection:
            connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            received = bytearray()
            while b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n"):
                received += connection.recv(KIB)
        body = bytes(received).partition(b"\r\n\r\n")[2]
        until(lambda: not hub._open)
        assert hub.bytes_sent() == len(body)

"""The law of files over HTTP: what is handed on is the range that was asked for, and the token never leaves home."""

import re
import socket
import threading

import pytest

from availability.errors import (
    AccessDeniedError,
    FileNotServedError,
    GatedModelError,
    RateLimitedError,
    SourceRefusedError,
    SourceUnavailableError,
)
from availability.model import ModelId
from availability.sources.http import HttpFiles
from service.faults import Fault, FaultyHub
from service.snapshots import find_snapshot
from tests.builders import CONFIG, KIB, MIB, WEIGHTS, file_record, stored_bytes, write_tiny_model

MODEL = ModelId("org/tiny")
TOKEN = "Bearer hf_secret"
SIGNATURE = re.compile("signature|expires", re.IGNORECASE)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    write_tiny_model(path)
    return path


@pytest.fixture(scope="module")
def content(store):
    return stored_bytes(store)


class Client:
    """The files of one hub, as the source sees them."""

    def __init__(self, hub, *, headers=None, timeout_seconds=20):
        self.hub = hub
        self.snapshot = find_snapshot(str(hub.library.store), MODEL.repo_id, "main")
        self.files = HttpFiles("hub", hub.url, headers or {"Authorization": TOKEN}, timeout_seconds=timeout_seconds)

    def open(self, start=0, stop=None, path=WEIGHTS):
        file = self.snapshot.files[path]
        where = f"/{MODEL.repo_id}/resolve/{self.snapshot.commit}/{path}"
        return self.files.open(MODEL, file, where, start, file.size if stop is None else stop)

    def fetch(self, start=0, stop=None, path=WEIGHTS):
        body = self.open(start, stop, path)
        content = b""
        while data := body.read(200_000):
            content += data
        body.close()
        return content

    def refusal(self, kind=SourceUnavailableError, **options):
        with pytest.raises(kind) as caught:
            self.fetch(**options)
        assert not SIGNATURE.search(caught.value.message)
        return caught.value.message


@pytest.fixture
def client(store):
    running = []

    def start(*faults, headers=None, timeout_seconds=20, **options):
        hub = FaultyHub(store, faults=faults, **options)
        hub.start()
        running.append(Client(hub, headers=headers, timeout_seconds=timeout_seconds))
        return running[-1]

    yield start
    for one in running:
        one.files.close()
        one.hub.close()


def seen(client):
    return [(record.origin, record.authorized) for record in client.hub.requests]


# --- what was asked for ---------------------------------------------------------------------------------


def test_a_whole_file_comes_whole_and_without_a_range(client, content):
    here = client()
    assert here.fetch() == content
    assert here.fetch(path=CONFIG).startswith(b"{")
    assert [record.range for record in here.hub.requests] == [None, None]


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (1, MIB), (MIB, 3 * MIB + 17), (3 * MIB + 16, 3 * MIB + 17), (17, 18)]
)
def test_a_range_comes_as_it_was_asked_for(client, content, start, stop):
    here = client()
    body = here.open(start, stop)
    assert (body.start, body.stop) == (start, stop)
    body.close()
    assert here.fetch(start, stop) == content[start:stop]
    assert {record.range for record in here.hub.requests} == {f"bytes={start}-{stop - 1}"}


def test_no_more_is_read_than_was_asked_for_at_once(client):
    body = client().open()
    assert 0 < len(body.read(1000)) <= 1000
    body.close()


def test_files_one_after_the_other_come_over_one_connection(client):
    here = client()
    for _ in range(5):
        here.fetch(0, 100 * KIB)
    assert len({record.client_port for record in here.hub.requests}) == 1


def test_a_body_that_was_not_read_to_its_end_costs_its_connection_and_nothing_else(client, content):
    here = client()
    here.open().close()
    assert here.fetch() == content
    assert len({record.client_port for record in here.hub.requests}) == 2


def test_the_tag_of_the_content_is_told(client):
    here = client()
    body = here.open()
    assert body.tag == f'"{here.snapshot.files[WEIGHTS].sha256}"'
    body.close()


def test_a_tag_without_end_is_cut(client):
    body = client(Fault("etag", value="x" * 5000)).open()
    assert len(body.tag) == 200
    body.close()


def test_a_source_that_ignores_ranges_is_told_by_what_it_sends(client, content):
    here = client(Fault("ignore_range"))
    body = here.open(MIB, 2 * MIB)
    assert (body.start, body.stop) == (0, len(content))
    body.close()
    assert here.fetch(MIB, 2 * MIB) == content


# --- what was not asked for -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("wrong_range", by=5), r"expected 'bytes 1000-1999/\d+', got 'bytes 1005-2004/\d+'"),
        (Fault("wrong_total", by=1), r"expected 'bytes 1000-1999/3145745', got 'bytes 1000-1999/3145746'"),
        (Fault("wrong_length", by=7), "expected 1000 bytes, it announces 1007"),
        (Fault("wrong_length", by=-7), "expected 1000 bytes, it announces 993"),
        (Fault("html"), r"expected 3145745 bytes, it announces \d+ of text/html"),
        (Fault("status", status=206, body=b"x" * 1000), "got 'no Content-Range'"),
        (
            Fault("status", status=200, headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b"),
            "it is encoded as gzip, although that was not asked for",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_an_answer_that_is_something_else_is_refused(client, fault, told):
    here = client(fault)
    assert re.search(told, here.refusal(start=1000, stop=2000))


def test_an_encoding_is_not_even_asked_for():
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                asked.extend(iter(lambda: lines.readline().strip().lower(), b""))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=answer, daemon=True).start()
        files = HttpFiles("hub", f"http://127.0.0.1:{server.getsockname()[1]}", {}, timeout_seconds=20)
        files.open(MODEL, file_record(b"{}", CONFIG), "/x", 0, 2).close()
    assert b"accept-encoding: identity" in asked


@pytest.mark.parametrize("after", [0, 1, MIB])
@pytest.mark.parametrize(("kind", "told"), [("fin", "ended .* too early"), ("reset", "broke off|ended .* too early")])
def test_a_line_that_breaks_is_no_end(client, kind, after, told):
    here = client(Fault(kind, after=after))
    assert re.search(told, here.refusal())


def test_a_server_that_hangs_up_before_it_answers_could_not_be_reached(client):
    assert "could not be reached" in client(Fault("reset", before_head=True)).refusal()


def test_a_server_that_falls_silent_is_not_waited_for_without_end(client):
    here = client(Fault("stall", after=MIB, seconds=30), timeout_seconds=0.3)
    assert "broke off" in here.refusal()


def test_after_a_broken_answer_the_next_one_is_whole(client, content):
    here = client(Fault("fin", after=MIB, times=1), Fault("wrong_range", times=1, skip=1))
    here.refusal()
    here.refusal(start=5, stop=10)
    assert here.fetch() == content


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=503), SourceUnavailableError),
        (Fault("status", status=429, headers={"Retry-After": "3"}), RateLimitedError),
        (Fault("status", status=403), AccessDeniedError),
        (Fault("status", status=403, headers={"X-Error-Code": "GatedRepo"}), GatedModelError),
        (Fault("status", status=404, headers={"X-Error-Code": "EntryNotFound"}), FileNotServedError),
        (Fault("status", status=418), SourceRefusedError),
        (Fault("unsatisfiable"), SourceUnavailableError),
    ],
    ids=lambda value: getattr(value, "status", None) and f"{value.kind} {value.status}",
)
def test_a_refusal_is_the_error_it_stands_for_and_the_connection_is_kept(client, content, fault, kind):
    here = client(fault)
    assert WEIGHTS in here.refusal(kind) or kind is GatedModelError
    here.hub.faults.clear()
    assert here.fetch() == content
    assert len({record.client_port for record in here.hub.requests}) == 1


# --- elsewhere ------------------------------------------------------------------------------------------


def test_the_token_goes_home_and_nowhere_else(client, content):
    here = client(cdn=True)
    assert here.fetch() == content
    assert seen(here) == [("hub", True), ("cdn", False)]


def test_within_one_origin_the_token_is_kept(client):
    here = client(relative_redirects=True)
    here.fetch(path=CONFIG)
    assert seen(here) == [("hub", True), ("hub", True)]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_however_the_token_is_written_it_stays_home(client, name):
    here = client(headers={name: TOKEN, "X-Other": "1"}, cdn=True)
    here.fetch()
    assert seen(here) == [("hub", True), ("cdn", False)]


def test_where_a_large_file_really_is_is_asked_once(client, content):
    here = client(cdn=True)
    for start in range(0, len(content), MIB):
        stop = min(len(content), start + MIB)
        assert here.fetch(start, stop) == content[start:stop]
    assert [origin for origin, _ in seen(here)] == ["hub", "cdn", "cdn", "cdn", "cdn"]


def test_where_a_small_file_is_is_asked_each_time(client):
    here = client(relative_redirects=True)
    for _ in range(2):
        here.fetch(path=CONFIG)
    assert here.hub.count("/resolve/") == 2


def test_a_link_that_has_expired_is_asked_for_anew(client, content):
    here = client(cdn=True)
    here.fetch(0, 10)
    here.hub.urls.expire()
    assert here.fetch(10, 20) == content[10:20]
    assert [origin for origin, _ in seen(here)] == ["hub", "cdn", "cdn", "hub", "cdn"]


def test_a_link_that_never_works_can_pass_and_is_nobodys_missing_right(client):
    here = client(cdn=True, url_seconds=-10)
    assert re.search("sent us to http://[0-9.:]+/repos/.* which answered 403", here.refusal())


@pytest.mark.parametrize(
    "fault", [Fault("status", "/repos/", times=1), Fault("wrong_total", "/repos/", times=1)], ids=str
)
def test_a_link_that_answers_badly_is_forgotten(client, content, fault):
    here = client(cdn=True)
    here.fetch(0, 10)
    here.hub.faults.append(fault)
    here.refusal(start=10, stop=20)
    assert here.fetch(10, 20) == content[10:20]
    assert here.hub.count("/resolve/") == 2


def test_a_link_whose_host_is_gone_is_forgotten(client):
    here = client(cdn=True)
    here.fetch(0, 10)
    here.hub.cdn.close()
    assert "could not be reached" in here.refusal(start=10, stop=20)
    here.refusal(start=10, stop=20)
    assert here.hub.count("/resolve/") == 2


def test_a_link_that_breaks_off_is_used_again(client, content):
    here = client(cdn=True)
    here.fetch(0, 10)
    here.hub.faults.append(Fault("fin", "/repos/", after=MIB, times=1))
    here.refusal()
    assert here.fetch() == content
    assert here.hub.count("/resolve/") == 1


def test_a_redirect_in_a_circle_is_found_out(client):
    here = client(Fault("status", status=302, headers={"Location": "/again"}))
    assert "in a circle" in here.refusal()
    assert len(here.hub.requests) <= 6


@pytest.mark.parametrize(
    "location",
    [
        "ftp://mirror.example/x",
        "file:///etc/passwd",
        "http://[x",
        "http://h:99999/",
        "/a b",
        "/\u00e9",
        "http://",
        "//",
    ],
    ids=ascii,
)
def test_a_redirect_to_nowhere_can_pass(client, location):
    here = client(Fault("status", status=302, headers={"Location": location}))
    here.refusal()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed(client, content, status):
    here = client()
    there = f"{here.hub.url}/{MODEL.repo_id}/resolve/main/{WEIGHTS}"
    here.hub.faults.append(Fault("status", status=status, headers={"Location": there}, times=1))
    assert here.fetch() == content


def test_a_redirect_without_a_place_can_pass(client):
    assert "in a circle" in client(Fault("status", status=302)).refusal()

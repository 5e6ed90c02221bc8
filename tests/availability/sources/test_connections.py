"""The law of connections: kept while they serve, replaced when they died, and opened where the environment says."""

import base64
import http.server
import socket
import threading
from contextlib import contextmanager, suppress
from http.client import HTTPException

import pytest

from availability.errors import SettingsError
from availability.sources.connections import Address, Connections
from tests.builders import MIB, until

TIMEOUT_SECONDS = 40


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each path in its own way, and notes which connection asked for what."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.client_address[1], self.path, dict(self.headers)))
        content = b"x" * (2 * MIB) if self.path == "/large" else b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) * (2 if self.path in ("/short", "/stall") else 1)))
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        if self.path == "/stall":
            self.server.may_end.wait()
        # Closed without a word, as a server does with a connection that was idle for too long.
        self.close_connection = self.path in ("/gone", "/last", "/short")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address=("127.0.0.1", 0), family=socket.AF_INET):
        self.address_family = family
        self.asked = []
        self.may_end = threading.Event()
        super().__init__(address, Handler)

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def ports(self):
        return [port for port, _, _ in self.asked]

    def handle_error(self, *_):
        pass


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.may_end.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server():
    with serving(Server()) as running:
        yield running


@pytest.fixture
def pool():
    connections = Connections(TIMEOUT_SECONDS)
    yield connections
    connections.close()


def ask(pool, server, path="/", headers=None):
    return pool.get(Address(server.origin, path), headers or {})


def read_all(answer):
    content = b""
    while data := answer.read(100_000):
        content += data
    return content


def fetch(pool, server, path="/", headers=None):
    answer = ask(pool, server, path, headers)
    content = read_all(answer)
    answer.close(complete=True)
    return content


# --- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://hub.example", "https://hub.example", "/"),
        ("https://hub.example/", "https://hub.example", "/"),
        ("http://HUB.example:8080/a/b?c=d&e", "http://hub.example:8080", "/a/b?c=d&e"),
        ("https://ann:secret@hub.example/x", "https://hub.example", "/x"),
        ("https://hub.example/x#part", "https://hub.example", "/x"),
        ("http://[::1]:8080/x", "http://[::1]:8080", "/x"),
        ("http://[fe80::1]", "http://[fe80::1]", "/"),
    ],
)
def test_a_url_is_cut_where_a_connection_ends_and_a_request_begins(url, origin, target):
    assert Address.of(url) == Address(origin, target)
    assert Address.of(origin + target) == Address(origin, target)


@pytest.mark.parametrize(
    "url",
    ["", "/x", "hub.example", "ftp://hub.example/x", "file:///etc/passwd", "http://", "http://h:99999/", "http://[x"],
)
def test_what_cannot_be_asked_over_http_is_no_address(url):
    with pytest.raises(ValueError, match=r".+"):
        Address.of(url)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("https://cdn.example/blob?signature=1", "https://cdn.example/blob?signature=1"),
        ("//cdn.example/blob", "http://cdn.example/blob"),
        ("/other", "http://hub.example:81/other"),
        ("other", "http://hub.example:81/a/other"),
        ("../c?d", "http://hub.example:81/c?d"),
        ("", "http://hub.example:81/a/b?c"),
    ],
)
def test_a_redirect_is_followed_from_where_it_was_said(location, leads_to):
    here = Address("http://hub.example:81", "/a/b?c")
    assert here.follow(location) == Address.of(leads_to)


@pytest.mark.parametrize("location", ["ftp://x/y", "file:///etc/passwd", "data:,x", "http://h:99999/", "http://[x"])
def test_a_redirect_to_no_address_leads_nowhere(location):
    with pytest.raises(ValueError, match=r".+"):
        Address("http://hub.example", "/").follow(location)


def test_what_is_shown_of_an_address_holds_no_signature():
    assert Address.of("https://cdn.example/blob?X-Signature=secret").shown == "https://cdn.example/blob"


# --- keeping --------------------------------------------------------------------------------------------


def test_a_connection_that_was_read_to_its_end_is_used_again(pool, server):
    for _ in range(3):
        assert fetch(pool, server) == b"hello"
    assert len(set(server.ports)) == 1


def test_two_answers_at_once_need_two_connections_and_both_are_kept(pool, server):
    first, second = ask(pool, server), ask(pool, server)
    assert (read_all(first), read_all(second)) == (b"hello", b"hello")
    first.close(complete=True)
    second.close(complete=True)
    for _ in range(4):
        fetch(pool, server)
    assert len(set(server.ports)) == 2


def test_a_connection_with_bytes_left_on_it_is_not_used_again(pool, server):
    answer = ask(pool, server, "/large")
    answer.read(10)
    answer.close(complete=False)
    fetch(pool, server)
    assert len(set(server.ports)) == 2


def test_a_connection_that_the_server_wants_to_close_is_not_kept(pool, server):
    fetch(pool, server, "/last")
    fetch(pool, server)
    assert len(set(server.ports)) == 2


def test_a_kept_connection_that_the_server_has_closed_meanwhile_is_replaced(pool, server):
    for _ in range(3):
        assert fetch(pool, server, "/gone") == b"hello"
    assert len(set(server.ports)) == 3


def test_connections_to_one_origin_are_never_used_for_another(pool, server):
    with serving(Server()) as other:
        assert fetch(pool, server) == fetch(pool, other) == b"hello"
        fetch(pool, server)
        assert len(other.asked) == 1


def test_a_short_answer_that_nobody_wants_is_read_so_that_the_connection_can_be_kept(pool, server):
    ask(pool, server).dismiss()
    fetch(pool, server)
    assert len(set(server.ports)) == 1


def test_a_long_answer_that_nobody_wants_is_not_read(pool, server):
    ask(pool, server, "/large").dismiss()
    fetch(pool, server)
    assert len(set(server.ports)) == 2


def test_an_answer_that_ends_too_early_is_dismissed_without_an_error(pool, server):
    ask(pool, server, "/short").dismiss()
    assert fetch(pool, server) == b"hello"


def test_after_closing_nothing_is_kept(pool, server):
    fetch(pool, server)
    pool.close()
    fetch(pool, server)
    assert len(set(server.ports)) == 2


def test_a_server_that_is_not_there_is_an_error_of_the_network(pool):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises((OSError, HTTPException)):
        pool.get(Address(f"http://127.0.0.1:{port}", "/"), {})


def test_a_read_that_waits_ends_when_the_connection_is_aborted(pool, server):
    answer = ask(pool, server, "/stall")
    assert answer.read(10) == b"hello"
    ended = []

    def read_on():
        with suppress(OSError, HTTPException):
            answer.read(10)
        ended.append(True)

    threading.Thread(target=read_on, daemon=True).start()
    assert not ended
    answer.abort()
    until(lambda: ended, seconds=TIMEOUT_SECONDS / 2)
    answer.close(complete=False)


def test_ipv6_is_spoken(pool):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        server = Server(("::1", 0), socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with serving(server):
        answer = pool.get(Address.of(f"http://[::1]:{server.server_address[1]}/"), {})
        assert read_all(answer) == b"hello"
        answer.close(complete=True)
        assert server.asked[0][2]["Host"] == f"[::1]:{server.server_address[1]}"


# --- proxies --------------------------------------------------------------------------------------------


def test_the_proxy_of_the_environment_is_asked_for_the_whole_url(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.origin)
    answer = Connections(TIMEOUT_SECONDS).get(Address("http://hub.example", "/a?b"), {"X-Mine": "1"})
    assert read_all(answer) == b"hello"
    answer.close(complete=True)
    (_, path, headers) = server.asked[0]
    assert path == "http://hub.example/a?b"
    assert (headers["Host"], headers["X-Mine"]) == ("hub.example", "1")
    assert "Proxy-Authorization" not in headers


def test_a_proxy_gets_the_login_that_stands_in_its_url_and_the_origin_does_not(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.origin.replace("//", "//ann:p%40ss@"))
    Connections(TIMEOUT_SECONDS).get(Address("http://hub.example", "/"), {}).close(complete=False)
    login = base64.b64encode(b"ann:p@ss").decode()
    assert server.asked[0][2]["Proxy-Authorization"] == f"Basic {login}"


def test_a_proxy_for_everything_serves_too_and_needs_no_scheme(server, monkeypatch):
    monkeypatch.setenv("all_proxy", server.origin.removeprefix("http://"))
    Connections(TIMEOUT_SECONDS).get(Address("http://hub.example", "/x"), {}).close(complete=False)
    assert server.asked[0][1] == "http://hub.example/x"


@pytest.mark.parametrize("bypass", ["127.0.0.1", "*", "hub.example,127.0.0.1"])
def test_hosts_that_need_no_proxy_are_asked_directly(server, monkeypatch, bypass):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", bypass)
    assert fetch(Connections(TIMEOUT_SECONDS), server, "/direct") == b"hello"
    assert server.asked[0][1] == "/direct"


def test_through_a_proxy_a_connection_is_kept_for_its_origin(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.origin)
    pool = Connections(TIMEOUT_SECONDS)
    for path in ("/a", "/b"):
        answer = pool.get(Address("http://hub.example", path), {})
        read_all(answer)
        answer.close(complete=True)
    assert len(set(server.ports)) == 1
    pool.close()


def test_for_an_encrypted_origin_the_proxy_is_asked_for_a_tunnel(monkeypatch):
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            connection, _ = proxy.accept()
            with connection, connection.makefile("rb") as lines:
                asked.extend(iter(lambda: lines.readline().strip(), b""))
                connection.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        monkeypatch.setenv("https_proxy", f"http://ann:secret@127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(OSError, match="407"):
            Connections(TIMEOUT_SECONDS).get(Address("https://hub.example", "/x"), {"Authorization": "Bearer token"})
    assert asked[0].startswith(b"CONNECT hub.example:443")
    assert any(line.lower().startswith(b"proxy-authorization: basic") for line in asked)
    assert not any(b"token" in line for line in asked)


def test_a_proxy_of_another_kind_is_refused_and_it_is_told_what_to_set(monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(SettingsError, match="socks5 proxy; expected http://host:port") as caught:
        Connections(TIMEOUT_SECONDS).get(Address("http://hub.example", "/"), {})
    assert "HTTPS_PROXY" in caught.value.advice[0]

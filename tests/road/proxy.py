"""A tiny HTTP proxy on loopback, and a TLS front for a hub behind it: what stands between a cluster and the world."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PIECE_BYTES = 256 * 1024


class Proxy(ThreadingHTTPServer):
    """Forwards requests for whole URLs, and tunnels CONNECT.

    Attributes:
        seen: method, target and `Proxy-Authorization` of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.seen: list[tuple[str, str, str | None]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._note()
        url = urlsplit(self.path)
        target = url._replace(scheme="", netloc="").geturl()
        forwarded = {name: text for name, text in self.headers.items() if not name.lower().startswith("proxy-")}
        upstream = HTTPConnection(url.hostname or "", url.port)
        upstream.request("GET", target, headers=forwarded)
        answer = upstream.getresponse()
        self.send_response_only(answer.status)
        for name, text in answer.getheaders():
            self.send_header(name, text)
        self.end_headers()
        while data := answer.read(_PIECE_BYTES):
            self.wfile.write(data)
        upstream.close()

    def do_CONNECT(self) -> None:
        self._note()
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response_only(200)
            self.end_headers()
            pipe(self.connection, upstream)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _note(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers.get("Proxy-Authorization")))


class _TlsFront(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, hub: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _TlsHandler)
        self.hub = hub
        self.context = context


class _TlsHandler(BaseRequestHandler):
    server: _TlsFront

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            encrypted = self.server.context.wrap_socket(self.request, server_side=True)
            with socket.create_connection(self.server.hub) as upstream:
                pipe(encrypted, upstream)


def pipe(left: socket.socket, right: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE_BYTES):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(right, left), daemon=True)
    back.start()
    carry(left, right)
    back.join()


@contextmanager
def running(server: ThreadingTCPServer) -> Iterator[None]:
    """Serve from a thread while the block runs."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def proxy() -> Iterator[Proxy]:
    """Run a proxy."""
    server = Proxy()
    with running(server):
        yield server


@contextmanager
def tls_front(hub: tuple[str, int], folder: Path) -> Iterator[tuple[str, Path]]:
    """Run a TLS front for a hub; yields its URL, and the certificate to be trusted."""
    certificate = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = _TlsFront(hub, context)
    with running(server):
        yield f"https://127.0.0.1:{server.server_address[1]}", certificate


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a hub on loopback")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path

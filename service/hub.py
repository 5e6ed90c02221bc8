"""A Hugging Face cache on the network, so that machines can take models from each other.

An unmodified `huggingface_hub` works with `endpoint=server.url`. This is the HTTP half: it reads requests, asks
`service.protocol` for the answer, and moves bodies from disk to socket inside the kernel. It speaks plain HTTP/1.1 with
one thread for each connection; TLS, and limits on who may connect, belong to a proxy in front.
"""

import contextlib
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Collection
from email.utils import formatdate
from functools import lru_cache, partial
from http.client import responses
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self

from service.protocol import Answer, FilePart, Library, Request, answer, json_answer

LOG = logging.getLogger(__name__)

SMALL_BODY_BYTES = 64 * 1024
"""Up to here a body leaves in one write with its head."""

_SENDFILE_BYTES = 1024 * 1024
_IDLE_SECONDS = 120
_POLL_SECONDS = 0.02  # how long a stop may take to be noticed
_LINE_BYTES = 64 * 1024
_HEADERS = 100
_REQUEST_BODY_BYTES = 4 * 1024 * 1024


class _UnreadableRequestError(Exception):
    """What arrived is not a request this server reads; its argument is the status."""


class HubHandler(StreamRequestHandler):
    """One connection: reads requests and answers them until either side closes.

    A subclass may take part at four points: `respond` (a whole exchange), `answer` (what to say), `send` (how it goes
    out) and `sent` (told of each piece of a body).
    """

    server: "HubServer"
    disable_nagle_algorithm = True
    closing = False

    def setup(self) -> None:
        """Prepare the connection: a peer that neither sends nor takes anything is not waited for without end."""
        super().setup()
        limit = struct.pack("ll", _IDLE_SECONDS, 0)  # the kernel's own limit: sendfile wants a blocking socket
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.connection.setsockopt(socket.SOL_SOCKET, option, limit)

    def handle(self) -> None:
        """Serve the connection."""
        with contextlib.suppress(ConnectionError, TimeoutError, BlockingIOError):  # the client went, or fell silent
            while not self.closing and (request := self._receive()):
                self.respond(request)

    def respond(self, request: Request) -> None:
        """Serve one exchange."""
        self.send(request, self.answer(request))

    def answer(self, request: Request) -> Answer:
        """Judge one request."""
        try:
            return answer(self.server.library, request)
        except OSError:
            LOG.exception("The store could not be read for %s %s", request.method, request.target)
            return json_answer({"error": "The store could not be read"}, 500)

    def send(self, request: Request, reply: Answer) -> None:
        """Send one answer."""
        head, body = self.head(reply), reply.body
        if request.method == "HEAD" or not body:
            self.connection.sendall(head)
        elif isinstance(body, bytes):
            self._send_whole(head, body)
        else:
            with open(body.path, "rb", buffering=0) as file:  # noqa: PTH123  it costs each small file
                self._send_part(head, body, file.fileno())

    def sent(self, count: int) -> None:
        """Learn that so many bytes of the current body go to the socket; a negative count takes back what did not.

        It is told before they go, so whoever has received a byte finds it counted.
        """

    def head(self, reply: Answer) -> bytes:
        """Return the status line and the headers as they go on the wire."""
        length = len(reply.body) if isinstance(reply.body, bytes) else reply.body.length
        headers = {"Date": _date(int(time.time())), "Content-Length": str(length), **reply.headers}
        if self.closing:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}", *map(": ".join, headers.items())]
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1")

    def hand_over(self, count: int, write: Callable[[], int]) -> int:
        """Write up to `count` bytes of the body, and count what the socket took."""
        self.sent(count)
        taken = 0
        try:
            taken = write()
        finally:
            self.sent(taken - count)
        return taken

    def _send_whole(self, head: bytes, body: bytes) -> None:
        def write() -> int:
            self.connection.sendall(head + body)
            return len(body)

        self.hand_over(len(body), write)

    def _send_part(self, head: bytes, part: FilePart, file: int) -> None:
        offset, end = part.start, part.start + part.length
        if part.length <= SMALL_BODY_BYTES:
            content = os.pread(file, part.length, offset)
            self._send_whole(head, content)
            offset += len(content)
        else:
            self.connection.sendall(head, socket.MSG_MORE)
            offset = self._send_file(file, offset, end)
        self.closing |= offset < end  # the file became shorter meanwhile: only a cut can say so now

    def _send_file(self, file: int, offset: int, end: int) -> int:
        out = self.connection.fileno()
        while offset < end:
            count = min(end - offset, _SENDFILE_BYTES)
            taken = self.hand_over(count, partial(os.sendfile, out, file, offset, count))
            if not taken:
                break
            offset += taken
        return offset

    def _receive(self) -> Request | None:
        try:
            return self._read_request()
        except _UnreadableRequestError as error:
            self.closing = True
            self.send(Request("", ""), json_answer({"error": str(error)}, error.args[0]))
            return None

    def _read_request(self) -> Request | None:
        line = self._read_line()
        if not line:
            return None
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        if not (method.isalpha() and target.startswith("/") and version.startswith("HTTP/1.")):
            raise _UnreadableRequestError(400)
        headers = self._read_headers()
        self.closing = version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
            raise _UnreadableRequestError(400)
        if int(length) > _REQUEST_BODY_BYTES:
            raise _UnreadableRequestError(413)
        return Request(method, target, headers, self.rfile.read(int(length)) if length != "0" else b"")

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_HEADERS):
            line = self._read_line()
            if not line:
                return headers
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raise _UnreadableRequestError(431)

    def _read_line(self) -> str:
        line = self.rfile.readline(_LINE_BYTES)
        if len(line) == _LINE_BYTES:
            raise _UnreadableRequestError(431)
        text = line.decode("latin-1").rstrip("\r\n")
        if "\r" in text:  # some readers end a line here, and parts of it come back in our headers
            raise _UnreadableRequestError(400)
        return text


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class HubServer(ThreadingTCPServer):
    """A hub over one store. As a context manager it serves in the background until the block ends."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self,
        store: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        private: Collection[str] = (),
        gated: Collection[str] = (),
        page_size: int = 1000,
        handler: type[HubHandler] = HubHandler,
    ) -> None:
        self.library = Library(store.resolve(), token, frozenset(private), frozenset(gated), page_size)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        super().__init__((host, port), handler)

    @property
    def url(self) -> str:
        """The endpoint, for clients on this host."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="hub", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and end the connections that are open. Not from the thread that serves."""
        if self._thread:
            self.shutdown()
            self._thread.join()
            self._thread = None
        self.server_close()

    def server_close(self) -> None:
        """Give the port back and end the connections."""
        super().server_close()
        with self._guard:
            for connection in self._open:
                with contextlib.suppress(OSError):  # it ended by itself
                    connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and remember it."""
        connection, address = super().get_request()
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """End a connection, and forget it."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a handler did not expect: the connection is lost, the server is not."""
        del request
        LOG.error("A connection from %s failed", client_address, exc_info=sys.exception())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

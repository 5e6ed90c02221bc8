"""A hub that misbehaves on purpose, for demonstrations, drills, benchmarks and tests.

Everything happens at a real socket: a reset is a TCP reset, a stall is silence, a shaped line is slow. The rules are
values in `FaultyHub.faults` and may change while it serves. With `cdn=True` it has the real Hub's two origins: large
files are answered by a redirect to signed URLs of another server.

It is no part of what runs in production, and it breaks only what its rules name: the rest is `service.hub`.
"""

import fcntl
import math
import re
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service.fault_bodies import Body, open_body
from service.fault_rules import Fault, FaultList, Kind, spoil
from service.hub import HubHandler, HubServer
from service.lines import Line
from service.protocol import FILE_ROUTE, Answer, FilePart, Request, with_range
from service.rations import Ration
from service.signed_urls import SignedUrls
from service.traffic import Exchange, Origin, RequestRecord, Traffic

__all__ = ["Fault", "FaultList", "FaultyHub", "Kind", "RequestRecord"]

_CUTS = frozenset({"reset", "fin"})
_SLOW = frozenset({"trickle", "shape"})
_ON_THE_WIRE = _CUTS | _SLOW | {"stall", "line"}
_PIECE_BYTES = 256 * 1024
_PIECES_PER_SECOND = 50
_SEND_BUFFER_BYTES = 128 * 1024  # what is sent and not yet received must be little beside what a rule counts
_DRAIN_SECONDS = 5.0
_RESOLVE_CACHE_ROUTE = re.compile(r"/api/resolve-cache/models/(.+)/([0-9a-f]{40})/(.+)")


def _without_range(request: Request) -> Request:
    return replace(request, headers={name: text for name, text in request.headers.items() if name != "range"})


class _FaultyHandler(HubHandler):
    """One connection to the hub: judges as the hub does, then lets the rules have their way."""

    server: "FaultyHub | _Cdn"
    origin: Origin = "hub"
    _due: tuple[Fault, ...] = ()
    _exchange: Exchange | None = None

    def respond(self, request: Request) -> None:
        """Serve one exchange under the rules that fall due with it."""
        hub = self.server.hub
        self._exchange = Exchange(request, self.origin, self.client_address[1])
        hub.traffic.add(self._exchange)
        self._due = hub.faults.take(self._exchange.record.route)
        for fault in self._due:
            if fault.kind == "latency":
                hub.closed.wait(fault.seconds)
            elif fault.kind == "expire":
                hub.urls.expire()
        if any(fault.kind == "reset" and fault.before_head for fault in self._due):
            self._cut(reset=True)
        else:
            super().respond(request)

    def answer(self, request: Request) -> Answer:
        """Judge one request, and spoil the answer."""
        if any(fault.kind == "ignore_range" for fault in self._due):
            request = _without_range(request)
        reply = self.judge(request)
        for fault in self._due:
            reply = self.server.hub.ration(fault).judge(reply) if fault.kind == "ration" else spoil(fault, reply)
        return reply

    def judge(self, request: Request) -> Answer:
        """Say what the real Hub says: it sends clients elsewhere for content."""
        if found := _RESOLVE_CACHE_ROUTE.fullmatch(request.path):
            repo, commit, path = found.groups()
            return super().answer(replace(request, target=f"/{repo}/resolve/{commit}/{path}"))
        whole = super().answer(_without_range(request))
        location = self.server.hub.redirect(request, whole)
        if location is None:
            return with_range(request, whole)
        kept = {name: text for name, text in whole.headers.items() if name not in {"Content-Type", "Accept-Ranges"}}
        return Answer(307 if location.startswith("/") else 302, {**kept, "Location": location})

    def send(self, request: Request, reply: Answer) -> None:
        """Send one answer: at once, or under wire rules piece by piece."""
        if self._exchange:
            self._exchange.answered(reply.status)
        self.closing |= "Content-Length" in reply.headers  # it lies, so nothing can follow on this connection
        if not (wire := self._wire_rules(request, reply.body)):
            super().send(request, reply)
            return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        with open_body(reply.body) as body:
            self.connection.sendall(self.head(reply))
            self._send_under(wire, body)

    def sent(self, count: int) -> None:
        """Count what went out."""
        if self._exchange:
            self._exchange.sent(count)

    def _wire_rules(self, request: Request, body: bytes | FilePart) -> list[Fault]:
        if request.method == "HEAD" or not body or not self._exchange:
            return []
        start, length = (0, len(body)) if isinstance(body, bytes) else (body.start, body.length)
        flips = self.server.hub.faults.take_flips(self._exchange.record.route, start, start + length)
        return [*(fault for fault in self._due if fault.kind in _ON_THE_WIRE), *flips]

    def _send_under(self, wire: list[Fault], body: Body) -> None:
        self._line = Line()
        marks = sorted({0, body.length, *(fault.after for fault in wire if fault.after < body.length)})
        for start, stop in zip(marks, [*marks[1:], body.length], strict=True):
            here = [fault for fault in wire if fault.after == start]
            for fault in here:
                if fault.kind == "stall":
                    self.server.hub.closed.wait(fault.seconds)
            if cuts := {fault.kind for fault in here} & _CUTS:
                self._cut(reset="reset" in cuts)
                return
            self._send_stretch(wire, body, start, stop)

    def _send_stretch(self, wire: list[Fault], body: Body, start: int, stop: int) -> None:
        slow = [fault.bytes_per_second for fault in wire if fault.kind in _SLOW and fault.after <= start]
        shared = [fault.bytes_per_second for fault in wire if fault.kind == "line"]
        bytes_per_second = min([*slow, *shared], default=math.inf)
        line = self.server.hub.line if shared else self._line
        step = int(max(1, min(_PIECE_BYTES, bytes_per_second / _PIECES_PER_SECOND)))
        for first in range(start, stop, step):
            piece = memoryview(body.read(first, min(stop, first + step), wire))
            line.wait(len(piece) / bytes_per_second, self.server.hub.closed)
            if self._client_is_gone():
                raise ConnectionAbortedError("The client ended the connection while the line was busy")
            while piece:  # not sendall: of a connection that ends meanwhile it would not say how much went out
                piece = piece[self.hand_over(len(piece), partial(self.connection.send, piece)) :]

    def _cut(self, *, reset: bool) -> None:
        """End the connection, for a reset only when the client's side has all that was sent: RST drops the rest."""
        self.closing = True
        if not reset:
            return
        until = time.monotonic() + _DRAIN_SECONDS
        while self._unsent_bytes() and time.monotonic() < until and not self.server.hub.closed.wait(0.0005):
            pass
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()  # the descriptor stays open for as long as a file on it does
        self.connection.close()

    def _client_is_gone(self) -> bool:
        """Say whether the client's end has arrived: one more piece would still be taken, and counted, for nobody."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def _unsent_bytes(self) -> int:
        return int.from_bytes(fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class _CdnHandler(_FaultyHandler):
    """One connection to the second origin: plain bytes for signed URLs, and no idea of models."""

    server: "_Cdn"
    origin = "cdn"

    def judge(self, request: Request) -> Answer:
        """Judge one request."""
        return with_range(request, self.server.hub.urls.judge(request))


class _Cdn(HubServer):
    def __init__(self, hub: "FaultyHub") -> None:
        self.hub = hub
        super().__init__(hub.library.store, handler=_CdnHandler)


class FaultyHub(HubServer):
    """A hub under rules.

    Attributes:
        faults: the rules in force; change them at any time.
        traffic: what was asked for and sent.
        closed: set when the server closes, so that nothing waits longer.
        line: the line that rules of the kind `line` let all connections share.
        cdn: the second origin, None without one.
        urls: the signed URLs of that origin.
    """

    def __init__(
        self,
        store: Path,
        *,
        faults: Iterable[Fault] = (),
        cdn: bool = False,
        url_seconds: int = 3600,
        relative_redirects: bool = False,
        **options: Any,
    ) -> None:
        """Take the options of `HubServer`, and these.

        Args:
            store: as there.
            faults: rules from the start.
            cdn: redirect (302) for large files to signed URLs of another origin.
            url_seconds: how long such a URL is good.
            relative_redirects: redirect (307) for small files to another path of this origin.
            options: as there.
        """
        super().__init__(store, handler=_FaultyHandler, **options)
        self.faults = FaultList(faults)
        self.traffic = Traffic()
        self.closed = threading.Event()
        self.line = Line()
        self.cdn = _Cdn(self) if cdn else None
        self.urls = SignedUrls(url_seconds)
        self._relative_redirects = relative_redirects
        self._rations: dict[int, Ration] = {}

    @property
    def hub(self) -> "FaultyHub":
        """The hub whose rules hold for a connection: this one."""
        return self

    @property
    def requests(self) -> list[RequestRecord]:
        """All requests since the last reset, of both origins, as they stand now."""
        return self.traffic.records()

    def bytes_sent(self, path: str = "") -> int:
        """Add up the body bytes sent for paths in which the expression is found."""
        return self.traffic.bytes_sent(path)

    def count(self, route: str = "") -> int:
        """Count the requests in whose `METHOD /path?query` the expression is found."""
        return self.traffic.count(route)

    def reset_counters(self) -> None:
        """Count from zero."""
        self.traffic.reset()

    def ration(self, fault: Fault) -> Ration:
        """Return the count of a rule that rations."""
        return self._rations.setdefault(id(fault), Ration(fault.by, fault.seconds))

    def redirect(self, request: Request, whole: Answer) -> str | None:
        """Return where the content that was asked for is to be had instead of here, if it is."""
        found = FILE_ROUTE.fullmatch(request.path)
        if not found or not isinstance(whole.body, FilePart):
            return None
        repo, path, tag = found["repo"], found["path"], whole.headers["ETag"]
        if "X-Linked-ETag" not in whole.headers:
            own = f"/api/resolve-cache/models/{repo}/{whole.headers['X-Repo-Commit']}/{path}?etag={quote(tag)}"
            return own if self._relative_redirects else None
        if self.cdn is None:
            return None
        return self.cdn.url + self.urls.issue(f"/repos/{repo}/{tag[1:-1]}/{path.rpartition('/')[2]}", whole.body)

    def start(self) -> None:
        """Serve from a thread of its own, each origin."""
        super().start()
        if self.cdn:
            self.cdn.start()

    def close(self) -> None:
        """Stop serving, and whatever waits."""
        self.closed.set()
        if self.cdn:
            self.cdn.close()
        super().close()

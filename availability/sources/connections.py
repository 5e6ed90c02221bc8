"""Kept-alive connections to any origin, over the standard library's HTTP client.

Chosen by measurement: for thousands of small files `http.client` costs half of what urllib3 does, and for large ones it
is no slower. What it lacks is here: connections are kept, a kept one that the server has closed meanwhile is replaced,
and the proxy that the environment names is used.
"""

import base64
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR, socket
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi

from availability.errors import SettingsError

_CONNECT_SECONDS = 10.0
_MOST_DRAINED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, cut where a connection ends and a request begins."""

    origin: str
    target: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Cut a URL; user, password and fragment are dropped.

        Raises:
            ValueError: it is not the URL of anything that can be asked over HTTP.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        query = f"?{parts.query}" if parts.query else ""
        return cls(f"{parts.scheme}://{host}{port}", (parts.path or "/") + query)

    def follow(self, location: str) -> "Address":
        """Return where a redirect from here leads.

        Raises:
            ValueError: nowhere.
        """
        return Address.of(urljoin(self.origin + self.target, location))

    @property
    def shown(self) -> str:
        """The URL as it may be shown: without the query, where signatures are."""
        return self.origin + self.target.partition("?")[0]


class Answer:
    """What a server answered: status and headers at once, the body as it is read."""

    def __init__(self, line: "_Line", wire: socket, response: HTTPResponse, pool: "Connections") -> None:
        self.status = response.status
        self.headers = response.headers
        self._line = line
        self._wire = wire
        self._response = response
        self._pool = pool

    def read(self, most: int) -> bytes:
        """Return the next bytes of the body as they arrive; none at its end.

        Raises:
            OSError, http.client.HTTPException: the connection broke.
        """
        return self._response.read1(most)

    def abort(self) -> None:
        """Break the connection, from any thread: a read that waits ends."""
        with suppress(OSError):
            self._wire.shutdown(SHUT_RDWR)

    def close(self, *, complete: bool) -> None:
        """Be done with it; the connection is kept when the body was read to its end."""
        self._response.close()
        if complete and not self._response.will_close:
            self._pool.keep(self._line)
        else:
            self._line.connection.close()

    def dismiss(self) -> None:
        """Be done with an answer whose body nobody wants; a short one is read, so that the connection can be kept."""
        length = self.headers.get("content-length", "")
        complete = False
        with suppress(OSError, HTTPException):
            if length.isdigit() and int(length) <= _MOST_DRAINED_BYTES:
                complete = len(self._response.read()) == int(length)
        self.close(complete=complete)


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection to an origin, and what a proxy on the way wants in each request."""

    connection: HTTPConnection
    origin: str
    target_prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Connections:
    """Connections to any number of origins; safe to call from any thread."""

    def __init__(self, timeout_seconds: float, answer_seconds: float | None = None) -> None:
        """Let a connection stall for at most `timeout_seconds`, and before it answers for at most `answer_seconds`."""
        self._timeout_seconds = timeout_seconds
        self._answer_seconds = timeout_seconds if answer_seconds is None else answer_seconds
        self._proxies = getproxies()
        self._lock = threading.Lock()
        self._kept: dict[str, list[_Line]] = {}

    def get(self, address: Address, headers: Mapping[str, str]) -> Answer:
        """Ask for something.

        Raises:
            OSError, http.client.HTTPException: it could not be asked, or did not answer.
        """
        with self._lock:
            kept = self._kept.get(address.origin)
            line = kept.pop() if kept else None
        if line is not None:
            # The server may have closed it meanwhile; that says nothing about a new one.
            with suppress(BadStatusLine, ConnectionError):
                return self._ask(line, address, headers)
        return self._ask(self._connect(address.origin), address, headers)

    def keep(self, line: _Line) -> None:
        """Keep a connection for the next request to its origin."""
        with self._lock:
            self._kept.setdefault(line.origin, []).append(line)

    def close(self) -> None:
        """Close every connection that is kept."""
        with self._lock:
            for line in [line for kept in self._kept.values() for line in kept]:
                line.connection.close()
            self._kept.clear()

    def _ask(self, line: _Line, address: Address, headers: Mapping[str, str]) -> Answer:
        try:
            line.connection.request("GET", line.target_prefix + address.target, headers={**headers, **line.headers})
            wire: socket = line.connection.sock
            wire.settimeout(self._answer_seconds)
            response = line.connection.getresponse()
            wire.settimeout(self._timeout_seconds)
            return Answer(line, wire, response, self)
        except BaseException:
            line.connection.close()
            raise

    def _connect(self, origin: str) -> _Line:
        parts = urlsplit(origin)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        if proxy and not proxy_bypass(parts.netloc):
            return self._connect_by_proxy(origin, urlsplit(proxy if "://" in proxy else f"http://{proxy}"))
        return _Line(self._new(parts, encrypted=parts.scheme == "https"), origin)

    def _connect_by_proxy(self, origin: str, proxy: SplitResult) -> _Line:
        if not proxy.scheme.startswith("http"):
            raise SettingsError(
                f"The proxy variables name a {proxy.scheme} proxy; expected http://host:port.",
                advice=("Set HTTPS_PROXY and HTTP_PROXY to an HTTP proxy, or NO_PROXY for this host.",),
            )
        login = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}" if proxy.username else ""
        headers = {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
        parts = urlsplit(origin)
        if parts.scheme == "http":
            return _Line(self._new(proxy, encrypted=False), origin, target_prefix=origin, headers=headers)
        connection = self._new(proxy, encrypted=True)
        connection.set_tunnel(parts.hostname or "", parts.port or 443, headers=headers)
        return _Line(connection, origin)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # A tenth of a second, so only when it is needed.
        context = ssl.create_default_context()
        # A bare container may have no certificates of its own.
        context.load_verify_locations(certifi.where())
        return context

    def _new(self, to: SplitResult, *, encrypted: bool) -> HTTPConnection:
        host, seconds = to.hostname or "", min(_CONNECT_SECONDS, self._answer_seconds)
        if encrypted:
            return HTTPSConnection(host, to.port, timeout=seconds, context=self._tls)
        return HTTPConnection(host, to.port, timeout=seconds)

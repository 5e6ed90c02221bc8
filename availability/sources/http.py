"""Bytes of files over HTTP: ranges on kept-alive connections, redirects without the token, nothing retried.

urllib3 carries the bytes (chosen by measurement: half the cost of httpx2 and aiohttp for each byte); what is ours is
the care about what comes back: an answer is only handed on when it is the range of the file that was asked for.
"""

import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.exceptions import HTTPError as TransportError

from availability.errors import SourceUnavailableError
from availability.model import FileRecord, ModelId
from availability.sources.answers import error_of, shown_url

_MOST_REDIRECTS = 5
_MOST_DRAINED_BYTES = 64 * 1024
_TAG_CHARACTERS = 200
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_STALE_LINK = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE))


class HttpBody:
    """One file's bytes on their way over one connection."""

    def __init__(
        self, response: urllib3.BaseHTTPResponse, source: str, what: str, span: tuple[int, int], tag: str | None
    ) -> None:
        self.start, self.stop = span
        self.tag = tag
        self._response = response
        self._source = source
        self._what = what

    def read(self, most: int) -> bytes:
        """Return the next bytes; see `availability.sources.base.Body.read`."""
        try:
            return self._response.read1(most, decode_content=False)
        except (TransportError, OSError) as error:
            raise SourceUnavailableError(
                f"{self._source} broke off while sending {self._what} ({cause_of(error)})"
            ) from None

    def abort(self) -> None:
        """Break the connection from another thread."""
        # It may have come to its end by itself in the meantime.
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def close(self) -> None:
        """Keep the connection when everything was read, else close it."""
        if self._response.closed:
            self._response.release_conn()
        else:
            self._response.close()


class HttpFiles:
    """Opens files of one endpoint, and of wherever that endpoint redirects to."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        connections: int,
        timeout_seconds: float,
    ) -> None:
        """Prepare to ask `endpoint`; `headers` (with the token) go to it and to nobody else."""
        self._name = name
        self._origin = _origin(endpoint)
        self._headers = dict(headers)
        self._anonymous = {key: value for key, value in headers.items() if key.lower() != "authorization"}
        self._pools = _Pools(connections, timeout_seconds)
        # Where large files of the endpoint really are, while the signed links last.
        self._links: dict[str, str] = {}

    def open(self, model: ModelId, file: FileRecord, url: str, start: int, stop: int) -> HttpBody:
        """Ask for bytes `start` to `stop` (exclusive) of the file at `url`.

        Raises:
            SourceUnavailableError: unreachable, broken, or not the bytes that were asked for.
            FinalError: refused for good.
        """
        link = self._links.get(url)
        if link is not None:
            response = self._request(model, file, link, start, stop)
            if response.status not in _STALE_LINK:
                return self._checked(model, file, response, start, stop)
            _dismiss(response)
            self._links.pop(url, None)
        return self._checked(model, file, self._follow(model, file, url, start, stop), start, stop)

    def close(self) -> None:
        """Close every kept connection."""
        self._pools.close()

    def _follow(self, model: ModelId, file: FileRecord, url: str, start: int, stop: int) -> urllib3.BaseHTTPResponse:
        here = url
        for _ in range(_MOST_REDIRECTS):
            response = self._request(model, file, here, start, stop)
            if response.status not in _REDIRECTS:
                if here != url and response.status < HTTPStatus.BAD_REQUEST and file.sha256:
                    self._links[url] = here
                elif _origin(here) != self._origin and response.status in _STALE_LINK:
                    _dismiss(response)
                    raise SourceUnavailableError(
                        f"{self._name} sent us to {shown_url(here)} for {file.path}, which answered {response.status}"
                    )
                return response
            here = urljoin(here, response.headers.get("location", ""))
            _dismiss(response)
        raise SourceUnavailableError(f"{self._name} redirects {file.path} of {model} in a circle")

    def _request(self, model: ModelId, file: FileRecord, url: str, start: int, stop: int) -> urllib3.BaseHTTPResponse:
        headers = dict(self._headers if _origin(url) == self._origin else self._anonymous)
        headers["Accept-Encoding"] = "identity"
        if (start, stop) != (0, file.size):
            headers["Range"] = f"bytes={start}-{stop - 1}"
        try:
            return self._pools.of(url).request(
                "GET", url, headers=headers, preload_content=False, decode_content=False, redirect=False
            )
        except (TransportError, OSError) as error:
            raise SourceUnavailableError(
                f"{self._name} could not be reached at {shown_url(url)} for {file.path} of {model} ({cause_of(error)})"
            ) from None

    def _checked(
        self, model: ModelId, file: FileRecord, response: urllib3.BaseHTTPResponse, start: int, stop: int
    ) -> HttpBody:
        span = (start, stop)
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            why_not = _why_not_range(response.headers, start, stop, file.size)
        elif response.status == HTTPStatus.OK:
            span = (0, file.size)
            why_not = _why_not_whole(response.headers, file.size)
        else:
            _dismiss(response)
            raise error_of(
                self._name,
                model,
                response.status,
                response.headers,
                path=file.path,
                authorized=_has_token(self._headers),
                now=datetime.now(UTC),
            )
        if why_not:
            response.close()
            raise SourceUnavailableError(f"{self._name} did not send {file.path} of {model} as asked: {why_not}")
        tag = response.headers.get("etag")
        return HttpBody(response, self._name, f"{file.path} of {model}", span, tag and tag[:_TAG_CHARACTERS])


class _Pools:
    """Kept-alive connections, through the proxy that the environment names for each host."""

    def __init__(self, connections: int, timeout_seconds: float) -> None:
        self._connections = connections
        self._timeout = urllib3.Timeout(connect=min(timeout_seconds, 10), read=timeout_seconds)
        self._proxies = getproxies()
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def of(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        if proxy and proxy_bypass(parts.netloc):
            proxy = None
        with self._lock:
            if proxy not in self._managers:
                self._managers[proxy] = self._manager(proxy)
            return self._managers[proxy]

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()

    def _manager(self, proxy: str | None) -> urllib3.PoolManager:
        context = ssl.create_default_context()
        # A bare container may have no certificates of its own.
        context.load_verify_locations(certifi.where())
        if proxy is None:
            return urllib3.PoolManager(
                maxsize=self._connections,
                timeout=self._timeout,
                retries=False,
                ssl_context=context,
            )
        auth = urllib3.util.parse_url(proxy).auth
        return urllib3.ProxyManager(
            proxy,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=auth) if auth else None,
            maxsize=self._connections,
            timeout=self._timeout,
            retries=False,
            ssl_context=context,
        )


def _dismiss(response: urllib3.BaseHTTPResponse) -> None:
    """Be done with an answer whose body nobody wants; a short one is read so that its connection can be kept."""
    if int(response.headers.get("content-length", _MOST_DRAINED_BYTES + 1)) <= _MOST_DRAINED_BYTES:
        response.drain_conn()
        response.release_conn()
    else:
        response.close()


def cause_of(error: BaseException) -> str:
    """Return why a connection failed in a few words, and never a URL: signed links must not reach a log."""
    inner: BaseException = error
    while True:
        causes = [arg for arg in inner.args if isinstance(arg, BaseException)]
        deeper = getattr(inner, "reason", None) or (causes[0] if causes else None) or inner.__cause__
        if not isinstance(deeper, BaseException) or deeper is inner:
            break
        inner = deeper
    text = getattr(inner, "strerror", None)
    return f"{type(inner).__name__}: {text}" if text else type(inner).__name__


def _why_not_range(headers: Mapping[str, str], start: int, stop: int, size: int) -> str | None:
    expected = f"bytes {start}-{stop - 1}/{size}"
    got = headers.get("content-range", "no Content-Range")
    if got.strip() != expected:
        return f"expected {expected!r}, got {got!r}"
    return _why_not_length(headers, stop - start)


def _why_not_whole(headers: Mapping[str, str], size: int) -> str | None:
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        return f"it is encoded as {encoding}, although that was not asked for"
    return _why_not_length(headers, size)


def _why_not_length(headers: Mapping[str, str], expected: int) -> str | None:
    length = headers.get("content-length")
    if length is not None and length != str(expected):
        kind = headers.get("content-type", "unknown content")
        return f"expected {expected} bytes, it announces {length} of {kind}"
    return None


def _has_token(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "authorization" for name in headers)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)

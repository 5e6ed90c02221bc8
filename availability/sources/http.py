"""Bytes of files over HTTP: ranges, redirects without the token, nothing retried.

What is ours here is the care about what comes back: an answer is only handed on when it is the range of the file that
was asked for. The connections are `availability.sources.connections`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage

from availability.errors import FailureKind, SourceUnavailableError
from availability.model import FileRecord, ModelId
from availability.sources.answers import error_of, note_limits
from availability.sources.connections import Address, Answer, Connections
from availability.sources.request_budget import RequestBudget

_MOST_REDIRECTS = 5
_TAG_CHARACTERS = 200
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_STALE_LINK = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE))


class HttpBody:
    """One file's bytes on their way over one connection."""

    def __init__(self, answer: Answer, source: str, what: str, span: tuple[int, int], tag: str | None) -> None:
        self.start, self.stop = span
        self.tag = tag
        self._answer = answer
        self._source = source
        self._what = what
        self._left = self.stop - self.start

    def read(self, most: int) -> bytes:
        """Return the next bytes; see `availability.sources.base.Body.read`."""
        if not self._left:
            return b""
        try:
            data = self._answer.read(min(most, self._left))
        except (OSError, HTTPException) as error:
            kind: FailureKind = "stalled" if isinstance(error, TimeoutError) else "broken_off"
            raise SourceUnavailableError(
                f"{self._source} broke off while sending {self._what} ({cause_of(error)})", kind=kind
            ) from None
        if not data:
            raise SourceUnavailableError(
                f"{self._source} ended {self._what} {self._left} bytes too early", kind="broken_off"
            )
        self._left -= len(data)
        return data

    def abort(self) -> None:
        """Break the connection from another thread."""
        self._answer.abort()

    def close(self) -> None:
        """Keep the connection when everything was read, else close it."""
        self._answer.close(complete=not self._left)


class HttpFiles:
    """Opens files of one endpoint, and of wherever that endpoint redirects to."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
        answer_seconds: float | None = None,
        budget: RequestBudget | None = None,
    ) -> None:
        """Prepare to ask `endpoint`; `headers` (with the token) go to it and to nobody else, and `budget` is for it."""
        self._name = name
        self._budget = budget
        self._home = Address.of(endpoint).origin
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._anonymous = {name: value for name, value in self._headers.items() if name.lower() != "authorization"}
        self._connections = Connections(timeout_seconds, answer_seconds)
        # Where large files of the endpoint really are, while the signed links last.
        self._links: dict[str, Address] = {}

    def open(self, model: ModelId, file: FileRecord, path: str, start: int, stop: int) -> HttpBody:
        """Ask for bytes `start` to `stop` (exclusive) of the file at `path` of the endpoint.

        Raises:
            SourceUnavailableError: unreachable, broken, or not the bytes that were asked for.
            FinalError: refused for good.
        """
        link = self._links.get(path)
        if link is not None:
            try:
                answer = self._request(model, file, link, start, stop)
                if answer.status not in _STALE_LINK:
                    return self._checked(model, file, answer, start, stop)
            except SourceUnavailableError:
                # Whoever tries again asks the endpoint, which may know another place by now.
                self._links.pop(path, None)
                raise
            answer.dismiss()
            self._links.pop(path, None)
        return self._checked(model, file, self._follow(model, file, path, start, stop), start, stop)

    def close(self) -> None:
        """Close every kept connection."""
        self._connections.close()

    def _follow(self, model: ModelId, file: FileRecord, path: str, start: int, stop: int) -> Answer:
        first = here = Address(self._home, path)
        for _ in range(_MOST_REDIRECTS):
            answer = self._request(model, file, here, start, stop)
            if answer.status not in _REDIRECTS:
                if here is not first and answer.status < HTTPStatus.BAD_REQUEST and file.sha256:
                    self._links[path] = here
                elif here.origin != self._home and answer.status in _STALE_LINK:
                    answer.dismiss()
                    raise SourceUnavailableError(
                        f"{self._name} sent us to {here.shown} for {file.path}, which answered {answer.status}",
                        kind="malformed",
                    )
                return answer
            answer.dismiss()
            try:
                here = here.follow(answer.headers.get("location", ""))
            except ValueError:
                raise SourceUnavailableError(
                    f"{self._name} redirects {file.path} of {model} to something that is no address", kind="malformed"
                ) from None
        raise SourceUnavailableError(f"{self._name} redirects {file.path} of {model} in a circle", kind="malformed")

    def _request(self, model: ModelId, file: FileRecord, address: Address, start: int, stop: int) -> Answer:
        # The token goes home and nowhere else, and only home are requests counted.
        budget = self._budget if address.origin == self._home else None
        headers = self._headers if address.origin == self._home else self._anonymous
        if (start, stop) != (0, file.size):
            headers = {**headers, "Range": f"bytes={start}-{stop - 1}"}
        if budget is not None:
            budget.ask()
        try:
            answer = self._connections.get(address, headers)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that cannot be encoded
            raise SourceUnavailableError(
                f"{self._name} could not be reached at {address.shown} for {file.path} of {model} ({cause_of(error)})",
                kind="unreachable",
            ) from None
        if budget is not None:
            note_limits(budget, answer.status, answer.headers)
        return answer

    def _checked(self, model: ModelId, file: FileRecord, answer: Answer, start: int, stop: int) -> HttpBody:
        span = (start, stop)
        headers = answer.headers
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            why_not = _why_not_range(headers, start, stop, file.size)
        elif answer.status == HTTPStatus.OK:
            span = (0, file.size)
            why_not = _why_not_whole(headers, file.size)
        else:
            answer.dismiss()
            raise error_of(
                self._name,
                model,
                answer.status,
                dict(headers.items()),
                path=file.path,
                authorized=len(self._anonymous) < len(self._headers),
                now=datetime.now(UTC),
            )
        if why_not:
            answer.close(complete=False)
            raise SourceUnavailableError(
                f"{self._name} did not send {file.path} of {model} as asked: {why_not}", kind="malformed"
            )
        tag = headers.get("etag")
        return HttpBody(answer, self._name, f"{file.path} of {model}", span, tag and tag[:_TAG_CHARACTERS])


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


def _why_not_range(headers: HTTPMessage, start: int, stop: int, size: int) -> str | None:
    expected = f"bytes {start}-{stop - 1}/{size}"
    got = headers.get("content-range", "no Content-Range")
    if got.strip() != expected:
        return f"expected {expected!r}, got {got!r}"
    return _why_not_length(headers, stop - start)


def _why_not_whole(headers: HTTPMessage, size: int) -> str | None:
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        return f"it is encoded as {encoding}, although that was not asked for"
    return _why_not_length(headers, size)


def _why_not_length(headers: HTTPMessage, expected: int) -> str | None:
    length = headers.get("content-length")
    if length is not None and length != str(expected):
        kind = headers.get("content-type", "unknown content")
        return f"expected {expected} bytes, it announces {length} of {kind}"
    return None

"""What a hub was asked and how much it gave: the count by which drills, benchmarks and tests judge a client.

Bytes count as they go to the socket, so a connection that was cut counts what had gone out by then.
"""

import re
import threading
from dataclasses import dataclass, replace
from typing import Literal

from service.protocol import Request

Origin = Literal["hub", "cdn"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request and its answer so far.

    Attributes:
        method: of the request.
        path: still quoted, without the query.
        query: what followed the question mark.
        range: the Range header, None without one.
        authorized: whether it carried an Authorization header, right or wrong.
        origin: which server it reached.
        client_port: tells connections apart.
        status: of the answer, 0 when none was begun.
        bytes_sent: of the body.
    """

    method: str
    path: str
    query: str
    range: str | None
    authorized: bool
    origin: Origin
    client_port: int
    status: int = 0
    bytes_sent: int = 0

    @property
    def route(self) -> str:
        """What rules are matched with: `METHOD /path?query`."""
        return f"{self.method} {self.path}{'?' * bool(self.query)}{self.query}"


class Exchange:
    """A request that is being answered; only its connection's thread writes here."""

    def __init__(self, request: Request, origin: Origin, client_port: int) -> None:
        self.record = RequestRecord(
            request.method,
            request.path,
            request.query,
            request.headers.get("range"),
            "authorization" in request.headers,
            origin,
            client_port,
        )

    def answered(self, status: int) -> None:
        """Note what was answered."""
        self.record = replace(self.record, status=status)

    def sent(self, count: int) -> None:
        """Note bytes of the body that go out, or (negative) did not."""
        self.record = replace(self.record, bytes_sent=self.record.bytes_sent + count)


class Traffic:
    """All requests since the last reset, in the order in which they arrived."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._exchanges: list[Exchange] = []

    def add(self, exchange: Exchange) -> None:
        """Take a request in."""
        with self._guard:
            self._exchanges.append(exchange)

    def reset(self) -> None:
        """Forget all of it; what is still being answered is not counted any more."""
        with self._guard:
            self._exchanges.clear()

    def records(self) -> list[RequestRecord]:
        """Return the requests as they stand now."""
        with self._guard:
            return [exchange.record for exchange in self._exchanges]

    def count(self, route: str = "") -> int:
        """Count the requests whose `METHOD /path?query` has a match for the expression."""
        return sum(re.search(route, record.route) is not None for record in self.records())

    def bytes_sent(self, path: str = "") -> int:
        """Add up the body bytes of the requests whose path has a match for the expression."""
        return sum(record.bytes_sent for record in self.records() if re.search(path, record.path))

"""The rules by which a hub misbehaves, and what they make of an answer before it is sent.

A rule is a value: when it falls due, and what is then wrong. What goes wrong at the socket (cuts, stalls, slow lines)
is done in `service.faults`; here is only what can be said as another answer.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never

from service.protocol import Answer, FilePart, json_answer

Kind = Literal[
    "status",
    "html",
    "etag",
    "ignore_range",
    "unsatisfiable",
    "wrong_range",
    "wrong_total",
    "wrong_length",
    "truncate_listing",
    "rewrite_listing",
    "expire",
    "latency",
    "ration",
    "reset",
    "fin",
    "stall",
    "trickle",
    "shape",
    "line",
    "flip",
]

_PAGE = b"<!DOCTYPE html><html><body><h1>Please sign in to the network</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule, and its kind is what it does.

    - `status`: answer `status` with `headers` and `body`. `html`: answer 200 with a page (or `body`).
    - `etag`: say `value` in ETag and X-Linked-ETag.
    - `ignore_range`: 200 with everything. `unsatisfiable`: 416. `wrong_range`: a 206 that begins `by` bytes later than
      asked and says so. `wrong_total`: a total that is `by` too large. `wrong_length`: a Content-Length that is `by`
      too large (negative: too small).
    - `truncate_listing`: half of the JSON, or all of it without the link to the next page (`drop_next`).
      `rewrite_listing`: what `rewrite` makes of the page.
    - `expire`: all signed URLs issued until now answer 403 from now on.
    - `latency`: wait `seconds` before the answer.
    - `ration`: take `by` requests in each window of `seconds`, say so with each answer, and answer 429 to the others.
    - `fin`, `reset`: after `after` bytes of the body end the connection, cleanly or by RST; a shorter body is not cut.
      With `before_head` nothing at all is answered before the reset.
    - `stall`: after `after` bytes of the body say nothing for `seconds`, then go on. `trickle`: from there on go on at
      `bytes_per_second`. `shape`: a line of `bytes_per_second` for each connection; `line`: one for all of them.
    - `flip`: XOR the bytes of the file at `offsets` with `mask`, whatever range they are sent in. Only answers that
      hold one of them match, so the byte is wrong in so many deliveries as `times` says.

    Attributes:
        kind: what happens.
        route: an expression to be found in `METHOD /path?query`; empty means every request.
        times: to how many of the matching requests it happens; None means always.
        skip: how many matching requests pass before.
    """

    kind: Kind
    route: str = ""
    times: int | None = None
    skip: int = 0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    value: str = "0" * 40
    by: int = 1
    after: int = 0
    before_head: bool = False
    seconds: float = 0.0
    bytes_per_second: float = 1024.0
    offsets: tuple[int, ...] = (0,)
    mask: int = 0xFF
    drop_next: bool = False
    rewrite: Callable[[Any], Any] | None = None


@dataclass(slots=True)
class _Rule:
    """A rule in force, and how often it was asked and fell due."""

    fault: Fault
    matched: int = 0
    due: int = 0

    def take(self) -> bool:
        """Count a request that it matches, and say whether it falls due with it."""
        fault, earlier = self.fault, self.matched
        is_due = earlier >= fault.skip and (fault.times is None or earlier < fault.skip + fault.times)
        self.matched += 1
        self.due += is_due
        return is_due


class FaultList:
    """The rules in force, in their order; every thread may change them at any time."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._guard = threading.Lock()
        self._rules: list[_Rule] = []
        self.extend(faults)

    def append(self, fault: Fault) -> None:
        """Add a rule; it has matched nothing yet."""
        with self._guard:
            self._rules.append(_Rule(fault))

    def extend(self, faults: Iterable[Fault]) -> None:
        """Add rules."""
        for fault in faults:
            self.append(fault)

    def remove(self, fault: Fault) -> None:
        """Drop the rules that equal this one."""
        with self._guard:
            self._rules = [rule for rule in self._rules if rule.fault != fault]

    def clear(self) -> None:
        """Drop all rules: from the next request on the hub behaves."""
        with self._guard:
            self._rules.clear()

    def take(self, route: str) -> tuple[Fault, ...]:
        """Return the rules, flips aside, that fall due with this request, and count it."""
        return self._take(route, lambda fault: fault.kind != "flip")

    def take_flips(self, route: str, start: int, stop: int) -> tuple[Fault, ...]:
        """Return the flips that fall due with an answer of these bytes of a file, and count it."""
        return self._take(
            route, lambda fault: fault.kind == "flip" and any(start <= place < stop for place in fault.offsets)
        )

    def fell_due(self, fault: Fault) -> int:
        """Count the requests with which a rule in force fell due so far."""
        with self._guard:
            return sum(rule.due for rule in self._rules if rule.fault == fault)

    def _take(self, route: str, concerns: Callable[[Fault], bool]) -> tuple[Fault, ...]:
        with self._guard:
            matching = [rule for rule in self._rules if re.search(rule.fault.route, route) and concerns(rule.fault)]
            return tuple(rule.fault for rule in matching if rule.take())

    def __iter__(self) -> Iterator[Fault]:
        with self._guard:
            return iter([rule.fault for rule in self._rules])

    def __len__(self) -> int:
        return len(self._rules)


def spoil(fault: Fault, reply: Answer) -> Answer:
    """Return the answer as the rule wants it: the same one when the rule is not about this answer."""
    match fault.kind:
        case "status":
            plain = json_answer({"error": "A fault was asked for"}, fault.status, fault.headers)
            return replace(plain, body=fault.body) if fault.body else plain
        case "html":
            return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, fault.body or _PAGE)
        case "truncate_listing" | "rewrite_listing":
            return _spoil_listing(fault, reply)
        case "etag":
            tags = {name: f'"{fault.value}"' for name in ("ETag", "X-Linked-ETag") if name in reply.headers}
            return replace(reply, headers={**reply.headers, **tags})
        case "unsatisfiable" | "wrong_range" | "wrong_total" | "wrong_length":
            return _spoil_part(fault, reply, reply.body) if isinstance(reply.body, FilePart) else reply
        case (
            "ignore_range"
            | "expire"
            | "latency"
            | "ration"
            | "reset"
            | "fin"
            | "stall"
            | "trickle"
            | ("shape" | "line" | "flip")
        ):
            return reply
        case _:
            assert_never(fault.kind)


def _spoil_part(fault: Fault, reply: Answer, part: FilePart) -> Answer:
    if fault.kind == "unsatisfiable":
        return Answer(416, {**reply.headers, "Content-Range": f"bytes */{part.size}"})
    if fault.kind == "wrong_length":
        return replace(reply, headers={**reply.headers, "Content-Length": str(part.length + fault.by)})
    if reply.status != 206:
        return reply
    if fault.kind == "wrong_range":
        start = min(part.start + fault.by, part.size - 1)
        part = replace(part, start=start, length=min(part.length, part.size - start))
    total = part.size + (fault.by if fault.kind == "wrong_total" else 0)
    content_range = f"bytes {part.start}-{part.start + part.length - 1}/{total}"
    return Answer(206, {**reply.headers, "Content-Range": content_range}, part)


def _spoil_listing(fault: Fault, reply: Answer) -> Answer:
    if reply.status != 200 or not isinstance(reply.body, bytes) or not reply.body.startswith(b"["):
        return reply
    if fault.rewrite is not None:
        return json_answer(fault.rewrite(json.loads(reply.body)), headers=reply.headers)
    if fault.drop_next:
        return replace(reply, headers={name: text for name, text in reply.headers.items() if name != "Link"})
    return replace(reply, body=reply.body[: len(reply.body) // 2])

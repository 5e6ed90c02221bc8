"""Logs of other programs as events: JSON lines, and a mapping that says where each field is found.

A mapping is an object: each key is a field of an event, each value says where it comes from.

    {"event_time": "$.timestamp",          a path into the line, keys joined by dots
     "model_id": "$.request.model",
     "seconds": {"path": "$.latency_ms", "factor": 0.001},
     "success": {"path": "$.status", "true": ["ok", 200]},
     "user_hash": {"path": "$.user", "hash": true},
     "event_id": "$.request_id",           of any form; without it, the line and its number among equal lines
     "kind": "inference"}                  anything else is a value, the same for every line

Lines that give no event are refused at the door like any other, with the reason. Importing a log twice counts once.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analytics.columns import columns
from analytics.errors import MappingError
from analytics.events import content_id
from analytics.privacy import hash_user
from analytics.schemas import read_lines
from analytics.ship import Shipped, send
from analytics.storage import EventStore

LINES_AT_ONCE = 50_000
_MILLISECONDS_SINCE, _MICROSECONDS_SINCE = 10**11, 10**14
_KEYS = frozenset({"path", "factor", "true", "hash"})

DEFAULT_MAPPING: Mapping[str, Any] = {column.name: f"$.{column.name}" for column in columns()}
"""For logs that already speak our words."""


def import_log(
    store: EventStore,
    log: Path,
    mapping: Mapping[str, Any] | None = None,
    salt: bytes = b"",
    now: datetime | None = None,
) -> Shipped:
    """Bring a log into the history.

    Args:
        store: the history.
        log: a file of JSON lines.
        mapping: where each field is found, None when the log speaks our words.
        salt: with which users are hashed.
        now: the current time.

    Raises:
        MappingError: the mapping cannot be followed.
    """
    wanted = DEFAULT_MAPPING if mapping is None else mapping
    check_mapping(wanted)
    if any(isinstance(rule, Mapping) and rule.get("hash") for rule in wanted.values()) and not salt:
        raise MappingError("The mapping hashes a field; that needs a salt.")
    events = rejected = batches = 0
    seen: Counter[str] = Counter()
    with log.open("rb") as file:
        for lines in _pieces(file):
            batch = read_lines(_mapped(line, wanted, salt, seen) for line in lines)
            shipped = send(store, batch, now)
            events, rejected, batches = events + shipped.events, rejected + shipped.rejected, batches + 1
    return Shipped(events, rejected, batches)


def check_mapping(mapping: Mapping[str, Any]) -> None:
    """Refuse a mapping that cannot be followed, before anything is read.

    Raises:
        MappingError: saying which rule, and why.
    """
    known = {column.name for column in columns()}
    for field, rule in mapping.items():
        if field not in known:
            raise MappingError(f"{field} is no field of an event; there are {', '.join(sorted(known))}.")
        if isinstance(rule, Mapping) and ("path" not in rule or set(rule) - _KEYS):
            raise MappingError(f"The rule for {field} needs `path`, and may have `factor`, `true` or `hash`.")
    for field in ("event_time", "kind"):
        if field not in mapping:
            raise MappingError(f"The mapping says nothing of {field}; every event has one.")


def map_line(
    line: Mapping[str, Any], mapping: Mapping[str, Any], salt: bytes, seen: Counter[str] | None = None
) -> dict[str, Any]:
    """Return one line of a log as an event's fields; what it does not say is left out."""
    fields = {name: _follow(line, rule, salt) for name, rule in mapping.items()}
    fields = {name: value for name, value in fields.items() if value is not None}
    if "event_time" in fields:
        fields["event_time"] = _time(fields["event_time"])
    if mapping is not DEFAULT_MAPPING or "event_id" not in fields:
        fields["event_id"] = _identity(line, fields, Counter() if seen is None else seen)
    return fields


def _identity(line: Mapping[str, Any], fields: Mapping[str, Any], seen: Counter[str]) -> str:
    if "event_id" in fields:
        return content_id(f"{fields.get('kind')}\x1f{fields['event_id']}")
    whole = content_id(json.dumps(line, sort_keys=True))
    seen[whole] += 1
    return content_id(f"{whole}\x1f{seen[whole]}")


def _mapped(line: bytes, mapping: Mapping[str, Any], salt: bytes, seen: Counter[str]) -> bytes:
    """Return a line as the door takes it; one that is no event goes there without its content: it may be private."""
    try:
        parsed = json.loads(line)
        if isinstance(parsed, dict):
            return json.dumps(map_line(parsed, mapping, salt, seen)).encode()
    except (ValueError, TypeError, RecursionError, OverflowError):
        pass
    return json.dumps(f"a line of {len(line)} bytes that gives no event").encode()


def _follow(line: Mapping[str, Any], rule: Any, salt: bytes) -> Any:
    if isinstance(rule, Mapping):
        value = _follow(line, rule["path"], salt)
        if value is None:
            return None
        if "true" in rule:
            return value in rule["true"]
        if rule.get("hash"):
            return hash_user(str(value), salt)
        return value * rule["factor"] if "factor" in rule else value
    if isinstance(rule, str) and rule.startswith("$."):
        found: Any = line
        for key in rule.removeprefix("$.").split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found
    return rule


def _time(value: Any) -> Any:
    """Return a time as the door reads it: microseconds for a number of any usual unit, else the text as it is."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < _MILLISECONDS_SINCE:
            return round(value * 1_000_000)
        return round(value * 1000) if value < _MICROSECONDS_SINCE else int(value)
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
    return value


def _pieces(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    for line in lines:
        if line.strip():
            piece.append(line)
        if len(piece) >= LINES_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece

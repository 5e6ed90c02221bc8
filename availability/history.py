"""The door to the history: what happens to a model is appended to the spool, and never disturbs the model.

Whoever knows what happened says so in facts (`availability.events`); here each gets its id, its time, and the run and
the machine that recorded it. Standard library only, no network, and a few microseconds a fact. What ships the spool and
answers questions is `analytics`, which nothing here knows.
"""

import json
import logging
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from uuid import UUID, uuid4, uuid5

from availability.spool import MAX_BYTES, Spool, hash_user, read_salt, read_store_name, shared_spool

_NAMESPACE = UUID("5b0c2d5e-6f0b-4f0e-9b5f-2f6d6a1c7e11")
"""That of `analytics.events.event_id`, which makes the same ids."""
_WRITE_BYTES = 64 * 1024
"""What many facts that are told at once are written in."""

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt of an orchestrated run that records something.

    Attributes:
        run_id: the flow run.
        task_run_id: the task run, None between tasks.
        run_count: how often that run was begun, this time included.
    """

    run_id: str
    task_run_id: str | None = None
    run_count: int | None = None


@dataclass(slots=True)
class Fact:
    """Something that happened.

    Attributes:
        kind: what; the kinds are listed in docs/events.md.
        fields: what is known of it, by the names of an event's fields; None where something is not known.
        about: what tells facts of one kind apart within a run: a model, a file, a source.
        at: when, seconds since the epoch; None means now.
        user: who asked; only a salted hash of the name is written.
    """

    kind: str
    fields: Mapping[str, object] = field(default_factory=dict)
    about: str = ""
    at: float | None = None
    user: str | None = None


def outside_of_runs() -> Attempt | None:
    """Say that nobody orchestrates."""
    return None


def event_id(attempt: Attempt, kind: str, sequence: str) -> str:
    """Return a fact's id within a run: the same for a resend, another for a real second attempt."""
    parts = (attempt.run_id, attempt.task_run_id, attempt.run_count, kind, sequence)
    return str(uuid5(_NAMESPACE, "\x1f".join(map(str, parts))))


def drawn_ids() -> Iterator[str]:
    """Yield ids of 74 random bits and a count: as unique as random ones, at a tenth of their price."""
    noise = secrets.token_hex(10)
    start = f"{noise[:8]}-{noise[8:12]}-4{noise[12:15]}-8{noise[15:18]}-"
    return (f"{start}{number:012x}" for number in count())


class History:
    """The recording end of one installation's history; threads share it.

    Attributes:
        folder: of the spool.
        is_on: whether anything is recorded.
    """

    def __init__(
        self,
        folder: Path,
        store: Path,
        *,
        is_on: bool = True,
        max_bytes: int = MAX_BYTES,
        attempt: Callable[[], Attempt | None] = outside_of_runs,
        prepare: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Name the place; nothing is written before the first fact.

        Args:
            folder: of the spool.
            store: the models that the facts are about.
            is_on: False records nothing.
            max_bytes: what the spool may hold; beyond it facts are refused, with a warning.
            attempt: asked at each record which attempt of a run it belongs to.
            prepare: called before the first fact.
            now: the clock, seconds since the epoch.
        """
        self.folder = folder
        self.is_on = is_on
        self._store, self._prepare = store, prepare
        self._spool: Spool = shared_spool(folder, max_bytes)
        self._attempt, self._now = attempt, now
        self._ids = drawn_ids()
        self._process = os.getpid()
        self._told: Counter[tuple[object, ...]] = Counter()
        self._hashes: dict[str, str] = {}
        self._lock = Lock()
        self._complained = False

    def record(self, facts: Iterable[Fact]) -> None:
        """Append facts to the spool; whatever goes wrong with them is a warning and nothing else."""
        if not self.is_on:
            return
        try:
            self._record(facts)
        except Exception as error:  # noqa: BLE001  no history is worth a model
            level = logging.DEBUG if self._complained else logging.WARNING
            self._complained = True
            logger.log(level, "Something was not recorded: %s: %s", type(error).__name__, error)

    def close(self) -> None:
        """End the segment of this process, so that it can go when it is shipped; the next fact begins another."""
        self._spool.close()

    def _record(self, facts: Iterable[Fact]) -> None:
        end = self._end
        attempt = self._attempt()
        lines = bytearray()
        try:
            for fact in facts:
                lines += self._line(fact, attempt, end)
                if len(lines) > _WRITE_BYTES:
                    self._spool.append(bytes(lines))
                    lines.clear()
        finally:
            if lines:
                self._spool.append(bytes(lines))

    def _line(self, fact: Fact, attempt: Attempt | None, end: str) -> bytes:
        at = int((fact.at or self._now()) * 1e6)
        known = _encode({name: value for name, value in fact.fields.items() if value is not None})
        who = f'"user_hash":"{self._hash_of(fact.user)}",' if fact.user is not None else ""
        run = f'"run_id":"{attempt.run_id}",' if attempt else self._own_run
        more = f",{known[1:-1]}" if len(known) > len("{}") else ""
        identity = self._id(fact, attempt)
        return f'{{"event_id":"{identity}","event_time":{at},"kind":"{fact.kind}"{more},{who}{run}{end}}}\n'.encode()

    def _id(self, fact: Fact, attempt: Attempt | None) -> str:
        if attempt is None:
            return self._drawn()
        key = (attempt, fact.kind, fact.about)
        with self._lock:
            number = self._told[key]
            self._told[key] += 1
        return event_id(attempt, fact.kind, f"{fact.about}#{number}" if number else fact.about)

    def _drawn(self) -> str:
        if os.getpid() != self._process:  # a child made by fork would draw its parent's
            self._ids, self._process = drawn_ids(), os.getpid()
        return next(self._ids)

    @cached_property
    def _own_run(self) -> str:
        return f'"run_id":"{uuid4()}",'

    @cached_property
    def _end(self) -> str:
        """How every line ends; made before the first, when the place is made ready."""
        self._prepare()
        told = {"host": socket.gethostname(), "store": read_store_name(self.folder, self._store)}
        return _encode(told)[1:-1]

    def _hash_of(self, user: str) -> str:
        if user not in self._hashes:
            self._hashes[user] = hash_user(user, read_salt(self.folder))
        return self._hashes[user]

"""How many models are fetched at once, over all processes and machines, and who is next.

A download that moves bytes holds one of a few numbered slots: leases, which end with their holder. Who waits for one
has a ticket: a file whose name sorts as the queue does, by priority and then by age, so that to see the queue is to
list a folder, and to be put forward is to be renamed. A ticket counts while the process that wrote it lives, of which
one lease for all its tickets tells. Nobody serves the queue: each who waits looks whether it is his turn.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import time

from filelock import SoftFileLease, Timeout

from availability.catalog import Priority
from availability.durable import replace_content
from availability.lease import LEASE_SECONDS, is_held
from availability.model import ModelId

POLL_SECONDS = 0.25
"""How often one who waits looks whether it is his turn."""

_RANKS = tuple(Priority)
_TICKET = ".ticket"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One download that waits for its turn.

    Attributes:
        model: what.
        priority: how urgent.
        download_id: the id others know it by.
        runner: who will run it, for people.
        asked_at: since when, seconds since the epoch.
    """

    model: ModelId
    priority: Priority
    download_id: str
    runner: str
    asked_at: float


@dataclass(frozen=True)
class Ticket:
    """A file in the queue: `<rank>-<asked at, ns>-<number>-<process>.ticket`."""

    path: Path

    @property
    def tail(self) -> str:
        """What stays of the name when the priority changes."""
        return self.path.name.partition("-")[2]

    @property
    def process(self) -> str:
        """Whose it is."""
        return self.path.stem.rpartition("-")[2]

    @cached_property
    def content(self) -> Waiting | None:
        """What it says; None when it was torn up meanwhile, or is none."""
        try:
            rank, asked_at = self.path.name.split("-")[:2]
            told = json.loads(self.path.read_bytes())
            model = ModelId(told["repo_id"], told["revision"])
            return Waiting(model, _RANKS[int(rank)], told["download_id"], told["runner"], int(asked_at) / 1e9)
        except (OSError, ValueError, TypeError, KeyError, IndexError):
            return None

    def tear_up(self) -> None:
        """Take it out of the queue."""
        self.path.unlink(missing_ok=True)

    def put(self, priority: Priority) -> None:
        """Let it stand where this priority has its place; one that is not there any more stays away."""
        with suppress(FileNotFoundError):
            self.path.rename(self.path.with_name(f"{_RANKS.index(priority)}-{self.tail}"))


class Slot:
    """One of the places for downloads that move bytes."""

    def __init__(self, lease: SoftFileLease) -> None:
        self._lease = lease

    def give_back(self) -> None:
        """Let somebody else have it; twice is no error."""
        self._lease.release()


class DownloadQueue:
    """The queue of a state folder."""

    def __init__(self, root: Path) -> None:
        """Use the folders `queue` and `slots` below `root`."""
        self._tickets = root / "queue"
        self._slots = root / "slots"

    def waiting(self) -> list[Waiting]:
        """Return everybody who waits and lives, who is next first."""
        return [ticket.content for ticket in self.living(self.all_tickets()) if ticket.content is not None]

    def living(self, tickets: Iterable[Ticket]) -> Iterator[Ticket]:
        """Yield those of the tickets behind which somebody lives; the others are torn up."""
        alive: dict[str, bool] = {}
        for ticket in tickets:
            process = ticket.process
            if process not in alive:
                alive[process] = is_held(self.lease_path(process))
            if alive[process]:
                yield ticket
            else:
                ticket.tear_up()
                self.clear_away(process)

    def all_tickets(self) -> list[Ticket]:
        """Return all tickets in their order, whether anybody lives behind them or not."""
        try:
            names = os.listdir(self._tickets)  # noqa: PTH208  thousands of names: pathlib triples what each costs
        except FileNotFoundError:
            return []
        return [Ticket(self._tickets / name) for name in sorted(names) if name.endswith(_TICKET)]

    def of(self, model: ModelId) -> list[Ticket]:
        """Return the tickets for a model."""
        found = self.living(self.all_tickets())
        return [ticket for ticket in found if ticket.content is not None and ticket.content.model == model]

    def write(self, waiting: Waiting, number: int, process: str) -> Ticket:
        """Put somebody into the queue."""
        rank, since = _RANKS.index(waiting.priority), int(waiting.asked_at * 1e9)
        ticket = Ticket(self._tickets / f"{rank}-{since:020d}-{number:06d}-{process}{_TICKET}")
        told = {
            "repo_id": waiting.model.repo_id,
            "revision": waiting.model.revision,
            "download_id": waiting.download_id,
            "runner": waiting.runner,
        }
        replace_content(ticket.path, json.dumps(told).encode())
        return ticket

    def lease_path(self, process: str) -> Path:
        """Return the lease that tells whether a process with tickets lives."""
        return self._tickets / f"{process}.lease"

    def clear_away(self, process: str) -> None:
        """Drop what a process that is gone has left beside its tickets."""
        self.lease_path(process).unlink(missing_ok=True)
        self.lease_path(process).with_suffix(".claim").unlink(missing_ok=True)

    def take_slot(self, limit: int) -> Slot | None:
        """Take a free slot out of the first `limit`, None when there is none."""
        self._slots.mkdir(parents=True, exist_ok=True)
        for number in range(limit):
            lease = SoftFileLease(self._slot_path(number), lease_duration=LEASE_SECONDS, thread_local=False, mode=0o666)
            with suppress(Timeout):
                lease.acquire(timeout=0)
                return Slot(lease)
        return None

    def has_free_slot(self, limit: int) -> bool:
        """Say whether a slot looks free, without a hand on it."""
        return any(not self._is_taken(number) for number in range(limit))

    def _is_taken(self, number: int) -> bool:
        try:
            return time() - self._slot_path(number).stat().st_mtime < LEASE_SECONDS
        except FileNotFoundError:
            return False

    def _slot_path(self, number: int) -> Path:
        return self._slots / f"{number}.lease"

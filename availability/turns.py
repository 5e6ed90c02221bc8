"""Taking turns: the downloads of one process, each begun when it is first in the queue and a slot is free.

`Line` is one process's part in the queue; `take_turns` runs jobs by it. What a job does, and how it ends, is not known
here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from secrets import token_hex
from threading import Event
from time import monotonic
from typing import Generic, Protocol, Self, TypeVar

from availability.download_queue import POLL_SECONDS, DownloadQueue, Slot, Ticket, Waiting
from availability.lease import hold

T = TypeVar("T")

_COURTESY_SECONDS = 1.0
"""A slot that was free for so long is not wanted by those in front: their processes have no hand free."""


@dataclass(frozen=True, slots=True)
class Call:
    """One of those who wait is called.

    Attributes:
        number: which, as they were given.
        slot: his; None for one who was taken out of the queue and only has to learn why.
    """

    number: int
    slot: Slot | None


class Line:
    """The downloads of one process that wait for their turn; as a context manager it leaves nothing behind."""

    def __init__(
        self, queue: DownloadQueue, waiting: Sequence[Waiting], slots: int, *, clock: Callable[[], float] = monotonic
    ) -> None:
        """Wait for one of so many slots.

        Args:
            queue: where.
            waiting: who; of those who are equally urgent, whoever is named first comes first.
            slots: how many there are.
            clock: seconds, never going back.
        """
        self._queue = queue
        self._waiting = dict(enumerate(waiting))
        self._slots = slots
        self._clock = clock
        self._process = token_hex(4)
        self._tails: dict[str, int] = {}
        self._free_since: float | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ticket in self._queue.all_tickets() if self._tails else ():
            if ticket.tail in self._tails:
                ticket.tear_up()
        self._stack.close()

    def __len__(self) -> int:
        return len(self._waiting)

    def call(self) -> Call | None:
        """Return whose turn it is, None when it is nobody's of ours."""
        if not self._tails:
            return self._call_at_once()
        there = {ticket.tail: ticket for ticket in self._queue.all_tickets()}
        for tail in self._tails:
            if tail not in there:
                return Call(self._take(tail), None)
        if not self._is_ours_first(there.values()) and not self._is_unwanted():
            return None
        slot = self._queue.take_slot(self._slots)
        if slot is None:
            return None
        self._free_since = None
        first = next(tail for tail in there if tail in self._tails)
        there[first].tear_up()
        return Call(self._take(first), slot)

    def call_all(self) -> Iterator[Call]:
        """Yield everybody, without a slot: they need not wait any longer, because all of it ends."""
        for number in [*self._waiting]:
            del self._waiting[number]
            yield Call(number, None)

    def stand(self) -> None:
        """Let everybody see who waits, and let them be put forward or taken out."""
        if self._tails or not self._waiting:
            return
        path = self._queue.lease_path(self._process)
        self._stack.callback(self._queue.clear_away, self._process)
        self._stack.enter_context(hold(path, on_wait=lambda: None, should_stop=lambda: False))
        for number, one in self._waiting.items():
            self._tails[self._queue.write(one, number, self._process).tail] = number

    def next_of_ours(self) -> tuple[int, str] | None:
        """Return who of ours is next, and where he stands in the whole queue, in words."""
        for place, ticket in enumerate(self._queue.living(self._queue.all_tickets()), 1):
            if ticket.tail in self._tails:
                return self._tails[ticket.tail], f"place {place} in the queue of downloads"
        return None

    def where_next(self) -> str:
        """Return where the next of ours stands, in words."""
        found = self.next_of_ours()
        return found[1] if found else "on its way into the queue of downloads"

    def _call_at_once(self) -> Call | None:
        """Do without tickets while nobody else waits and there is a slot: it is what nearly always happens."""
        if not self._waiting or self._queue.waiting():
            return None
        slot = self._queue.take_slot(self._slots)
        if slot is None:
            return None
        number = min(self._waiting, key=lambda number: self._waiting[number].priority)
        del self._waiting[number]
        return Call(number, slot)

    def _take(self, tail: str) -> int:
        number = self._tails.pop(tail)
        del self._waiting[number]
        return number

    def _is_ours_first(self, tickets: Iterable[Ticket]) -> bool:
        first = next(self._queue.living(tickets), None)
        return first is not None and first.tail in self._tails

    def _is_unwanted(self) -> bool:
        """Say whether a slot has been free for so long that those in front of us cannot want it."""
        now = self._clock()
        if not self._queue.has_free_slot(self._slots):
            self._free_since = None
        elif self._free_since is None:
            self._free_since = now
        return self._free_since is not None and now - self._free_since >= _COURTESY_SECONDS


class Taker(Protocol):
    """Whoever takes turns."""

    def as_it_waits(self) -> Waiting:
        """Return how it enters the queue."""

    def turn(self, slot: Slot | None) -> AbstractContextManager[None]:
        """Use a slot, and give it back."""


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """What is done when it is somebody's turn.

    Attributes:
        taker: whose.
        run: does it.
        tell_waiting: told why it has to wait, in words.
    """

    taker: Taker
    run: Callable[[], T]
    tell_waiting: Callable[[str], None]


def take_turns(queue: DownloadQueue, jobs: Sequence[Job[T]], slots: int, stop: Event) -> list[T]:
    """Run jobs, each when it is its turn and `slots` at once at most; return what they return, in the same order.

    Args:
        queue: where others wait as well.
        jobs: of those who are equally urgent, whoever is named first comes first.
        slots: how many may run at once, in all processes together.
        stop: set when all shall end; the jobs that wait are run without a turn then, so that each can say so.

    Raises:
        BaseException: what a job raises, or what is raised in this thread; `stop` is set, and all jobs have ended.
    """
    at_once = min(len(jobs), slots) or 1
    with ThreadPoolExecutor(at_once, thread_name_prefix="model") as pool:
        try:
            with Line(queue, [job.taker.as_it_waits() for job in jobs], slots) as line:
                work = _Work(line, jobs, pool, at_once, stop)
                while len(line):
                    work.go_on()
            return [work.futures[number].result() for number in range(len(jobs))]
        except BaseException:
            stop.set()
            raise


@dataclass(frozen=True, slots=True)
class _Work(Generic[T]):
    line: Line
    jobs: Sequence[Job[T]]
    pool: Executor
    hands: int
    stop: Event
    futures: dict[int, Future[T]] = field(default_factory=dict)
    running: set[Future[T]] = field(default_factory=set)

    def go_on(self) -> None:
        """Begin whatever may be begun, then wait until more may be, or somebody should look again."""
        if self.stop.is_set():
            for everybody in self.line.call_all():
                self._begin(everybody)
        try:
            self._go_by_the_queue()
        except OSError:  # a disk that takes no queue: each job will meet it too, and name it
            for everybody in self.line.call_all():
                self._begin(everybody)
        if self.running:
            wait(self.running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        elif len(self.line):
            self.stop.wait(POLL_SECONDS)

    def _go_by_the_queue(self) -> None:
        while self._has_a_hand_free() and (call := self.line.call()) is not None:
            self._begin(call)
        self.line.stand()
        if self._has_a_hand_free() and (found := self.line.next_of_ours()):
            number, where = found
            self.jobs[number].tell_waiting(where)

    def _begin(self, call: Call) -> None:
        self.futures[call.number] = future = self.pool.submit(_run, self.jobs[call.number], call.slot)
        self.running.add(future)

    def _has_a_hand_free(self) -> bool:
        self.running.difference_update([future for future in self.running if future.done()])
        return len(self.running) < self.hands


def _run(job: Job[T], slot: Slot | None) -> T:
    with job.taker.turn(slot):
        return job.run()

"""The law of turns: so many at once in all processes together by priority and age; the dead are not waited for."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock

import pytest

from availability.catalog import Priority
from availability.download_queue import DownloadQueue, Waiting
from availability.model import ModelId
from availability.turns import Job, Line, take_turns
from tests.builders import until
from tests.prefect_api import PATIENCE_SECONDS


@pytest.fixture
def queue(tmp_path):
    return DownloadQueue(tmp_path)


def waiting(name, priority=Priority.NORMAL, at=1000.0):
    return Waiting(ModelId(f"org/{name}"), priority, f"id-{name}", "ann", at)


def names(queue):
    return [one.model.repo_id.removeprefix("org/") for one in queue.waiting()]


@contextmanager
def standing(queue, *all_of_them, slots=1, clock=None):
    with Line(queue, all_of_them, slots, **({"clock": clock} if clock else {})) as line:
        line.stand()
        yield line


# --- one line -------------------------------------------------------------------------------------------


def test_while_nobody_waits_and_a_slot_is_free_there_are_no_tickets(queue, tmp_path):
    with Line(queue, [waiting("a"), waiting("b", Priority.HIGH)], 2) as line:
        assert [line.call().number, line.call().number] == [1, 0], "the more urgent one first"
        assert line.call() is None
        assert len(line) == 0
    assert not (tmp_path / "queue").exists()


def test_who_waits_stands_by_priority_and_then_by_age_whichever_line_he_is_in(queue):
    with (
        standing(queue, waiting("old"), waiting("low", Priority.LOW, 1.0)),
        standing(queue, waiting("young", at=2000.0), waiting("urgent", Priority.CRITICAL, 3000.0)),
    ):
        assert names(queue) == ["urgent", "old", "young", "low"]
    assert names(queue) == []


def test_of_equals_in_one_line_whoever_is_named_first_comes_first(queue):
    with standing(queue, *(waiting(str(number)) for number in range(12))):
        assert names(queue) == [str(number) for number in range(12)]


def test_only_the_first_in_the_queue_is_called_and_only_when_a_slot_is_free(queue):
    slot = queue.take_slot(1)
    with standing(queue, waiting("first")) as mine, standing(queue, waiting("second", at=2000.0)) as other:
        assert mine.call() is None
        slot.give_back()
        assert other.call() is None
        call = mine.call()
        assert call.number == 0
        assert other.call() is None
        call.slot.give_back()
        assert other.call().slot is not None


def test_who_is_put_forward_is_called_first(queue):
    with standing(queue, waiting("first"), waiting("second")) as line:
        (ticket,) = queue.of(ModelId("org/second"))
        ticket.put(Priority.CRITICAL)
        assert names(queue) == ["second", "first"]
        assert line.call().number == 1
        ticket.put(Priority.LOW)  # he is not there any more, and stays away
        assert names(queue) == ["first"]


def test_who_is_taken_out_is_called_without_a_slot(queue):
    with standing(queue, waiting("first"), waiting("second")) as line:
        (ticket,) = queue.of(ModelId("org/second"))
        ticket.tear_up()
        call = line.call()
        assert (call.number, call.slot) == (1, None)
        assert line.call().slot is not None


def test_a_slot_that_those_in_front_do_not_want_is_taken_after_a_while(queue):
    now = [0.0]
    with standing(queue, waiting("busy")), standing(queue, waiting("b", at=2000.0), clock=lambda: now[0]) as line:
        assert line.call() is None
        now[0] += 0.5
        assert line.call() is None
        slot = queue.take_slot(1)
        now[0] += 10
        assert line.call() is None, "it was not free all the time"
        slot.give_back()
        assert line.call() is None
        now[0] += 1.0
        assert line.call().slot is not None


def test_where_ours_stand_is_told_in_words(queue):
    with standing(queue, waiting("other")), standing(queue, waiting("a", at=2000.0), waiting("b", at=3000.0)) as line:
        assert line.next_of_ours() == (0, "place 2 in the queue of downloads")
        assert line.where_next() == "place 2 in the queue of downloads"


# --- what is left behind --------------------------------------------------------------------------------


def test_a_line_leaves_nothing_behind(queue, tmp_path):
    with standing(queue, waiting("a"), waiting("b")) as line:
        line.call()
    assert [*(tmp_path / "queue").iterdir()] == []


def test_tickets_of_the_dead_are_torn_up_by_whoever_looks(queue, tmp_path):
    queue.write(waiting("ghost", Priority.CRITICAL), 0, "deadbeef")
    with standing(queue, waiting("a")) as line:
        assert names(queue) == ["a"]
        assert line.call().slot is not None
    assert [*(tmp_path / "queue").iterdir()] == []


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff"], ids=repr)
def test_a_ticket_that_cannot_be_read_is_not_listed_and_stops_nobody(queue, tmp_path, content):
    with standing(queue, waiting("a", at=1.0), waiting("b", at=2.0)) as line:
        first = min((tmp_path / "queue").glob("*.ticket"))
        first.write_bytes(content)
        assert names(queue) == ["b"]
        assert line.call().number == 0


# --- jobs -----------------------------------------------------------------------------------------------


class Taker:
    """Whoever takes turns in these tests."""

    def __init__(self, name, priority=Priority.NORMAL):
        self._waiting = waiting(name, priority)
        self.had = []

    def as_it_waits(self):
        return self._waiting

    @contextmanager
    def turn(self, slot):
        self.had.append(slot is not None)
        try:
            yield
        finally:
            if slot is not None:
                slot.give_back()


class Crowd:
    """Counts how many are at work at once; the first stay at it until `expected` are, or it takes too long."""

    def __init__(self, expected=1):
        self.most = self.now = 0
        self._expected, self._all_there = expected, Event()
        self.order = []
        self._guard = Lock()

    def work(self, name):
        with self._guard:
            self.order.append(name)
            self.now += 1
            self.most = max(self.most, self.now)
            if self.most >= self._expected:
                self._all_there.set()
        self._all_there.wait(PATIENCE_SECONDS)
        with self._guard:
            self.now -= 1
        return name


def jobs_of(crowd, *takers):
    told = []
    return [Job(taker, lambda name=taker._waiting.model.repo_id: crowd.work(name), told.append) for taker in takers]


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_lines_of_several_processes_never_have_more_at_work_than_there_are_slots(tmp_path, slots):
    crowd = Crowd(expected=slots)

    def process(number):
        jobs = jobs_of(crowd, *(Taker(f"{number}-{index}") for index in range(6)))
        return take_turns(DownloadQueue(tmp_path), jobs, slots, Event())

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(process, range(3)))
    assert found == [[f"org/{number}-{index}" for index in range(6)] for number in range(3)]
    assert crowd.most == slots


def test_the_most_urgent_go_first_and_the_answers_keep_their_order(queue):
    crowd = Crowd()
    takers = [Taker("a", Priority.LOW), Taker("b"), Taker("c", Priority.CRITICAL), Taker("d")]
    assert take_turns(queue, jobs_of(crowd, *takers), 1, Event()) == ["org/a", "org/b", "org/c", "org/d"]
    assert crowd.order == ["org/c", "org/b", "org/d", "org/a"]
    assert [taker.had for taker in takers] == [[True]] * 4


def test_when_all_shall_end_those_who_wait_are_run_without_a_turn(queue):
    slot, stop, crowd = queue.take_slot(1), Event(), Crowd()
    takers = [Taker("a"), Taker("b")]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(take_turns, queue, jobs_of(crowd, *takers), 1, stop)
        until(lambda: names(queue) == ["a", "b"])
        stop.set()
        assert future.result() == ["org/a", "org/b"]
    assert [taker.had for taker in takers] == [[False], [False]]
    slot.give_back()


def test_what_a_job_raises_is_raised_after_the_others_were_told_to_end(queue):
    stop = Event()

    def fail():
        raise ZeroDivisionError

    jobs = [Job(Taker("a"), fail, print), Job(Taker("b"), stop.is_set, print)]
    with pytest.raises(ZeroDivisionError):
        take_turns(queue, jobs, 1, stop)
    assert stop.is_set()


def test_nothing_to_do_is_nothing_done(queue, tmp_path):
    assert take_turns(queue, [], 3, Event()) == []
    assert [*tmp_path.iterdir()] == []

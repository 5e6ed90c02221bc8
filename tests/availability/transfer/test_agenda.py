"""The law of the agenda: everything is done once, failures stay with their file, and no thread waits for nothing."""

import os
from random import Random
from threading import Event, Thread

import pytest

from availability.errors import DownloadIntegrityError, SourceUnavailableError, TransientError
from availability.journal import Journal
from availability.ledger import Ledgers
from availability.transfer.agenda import SMALL_FILE_BYTES, Agenda, LargeFile, Part, SmallFile
from availability.transfer.first import FirstDelivery
from availability.transfer.meter import Meter
from availability.transfer.staging import Staging
from tests.builders import KIB, MIB, file_record, flipped, random_bytes, until

PATIENCE_SECONDS = 30
PART = 16 * MIB
HUGE = random_bytes(2 * PART + 5)
LARGE = random_bytes(2 * MIB, 1)
SMALL = random_bytes(10 * KIB, 2)


class SlowDisk(Staging):
    """A staging folder on a disk that takes its time to keep a proven file."""

    def __init__(self, *places):
        super().__init__(*places)
        self.may_go_on = Event()
        self.is_asked = Event()
        self.may_go_on.set()

    def promote(self, delivery):
        self.is_asked.set()
        assert self.may_go_on.wait(PATIENCE_SECONDS)
        super().promote(delivery)


class Ground:
    """An agenda over real files, and the contents that workers bring."""

    def __init__(self, folder, contents):
        self.files = {path: file_record(content, path) for path, content in contents.items()}
        self.contents = dict(contents)
        self.staging = SlowDisk(folder / "staging", folder / "journals", Ledgers(folder / "ledgers"))
        self.staging.folder.mkdir(parents=True, exist_ok=True)
        self.meter = Meter()
        self.agenda = Agenda(self.files.values(), self.staging, self.meter)
        self.jobs = []

    def bring(self, job, most=PART, part_tag='"t"'):
        """Do a job as a worker does, up to `most` bytes of it."""
        content = self.contents[job.file.path]
        match job:
            case SmallFile(file):
                self.staging.put(file, content)
                return None
            case LargeFile():
                return self.agenda.open(job)
            case Part(delivery, part):
                start, stop = delivery.missing(part)
                assert delivery.accept(part, start, part_tag)
                delivery.begin()
                writer = delivery.writer(part)
                stop = min(stop, start + most)
                while writer.offset < stop and not delivery.is_over and not self.agenda.stop.is_set():
                    writer.write(memoryview(content)[writer.offset : min(stop, writer.offset + 300 * KIB)])
                return delivery

    def work(self, chance=None):
        """Work until nothing is left; with `chance`, as somebody whose connections break now and then."""
        mine = None
        while (job := self.agenda.next_job(mine)) is not None:
            self.jobs.append(job)
            most = PART if chance is None else chance.choice([PART, PART, 3 * MIB + 7])
            mine = self.bring(job, most)
            self.agenda.done(job)

    def one(self, mine=None):
        job = self.agenda.next_job(mine)
        self.jobs.append(job)
        return job

    def is_kept(self, path):
        place = self.staging.path(self.files[path])
        return place.exists() and place.read_bytes() == self.contents[path]


@pytest.fixture
def ground(tmp_path):
    def make(**contents):
        return Ground(tmp_path, contents)

    return make


def finishes(*threads):
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return not any(thread.is_alive() for thread in threads)


def started(action, *arguments):
    thread = Thread(target=action, args=arguments, daemon=True)
    thread.start()
    return thread


# --- the order ------------------------------------------------------------------------------------------


def test_large_files_come_first_the_largest_of_all_and_small_ones_after_them(ground):
    here = ground(a=SMALL, b=LARGE, c=HUGE, d=SMALL + b"x")
    opened = []
    for _ in range(4):
        job = here.one()
        opened.append((type(job), job.file.path))
    assert opened == [(LargeFile, "c"), (LargeFile, "b"), (SmallFile, "d"), (SmallFile, "a")]


@pytest.mark.parametrize(("size", "kind"), [(SMALL_FILE_BYTES, SmallFile), (SMALL_FILE_BYTES + 1, LargeFile)])
def test_a_file_of_one_chunk_is_small(ground, size, kind):
    assert isinstance(ground(a=bytes(size)).one(), kind)


def test_a_worker_goes_on_with_its_own_file_before_it_begins_another(ground):
    here = ground(a=HUGE, b=LARGE)
    mine = here.bring(here.one())
    assert here.one(mine) == Part(mine, 0)
    assert isinstance(here.one(), LargeFile)
    assert here.one(mine) == Part(mine, 1)


def test_who_has_nothing_of_his_own_helps_where_most_is_left(ground):
    here = ground(a=HUGE, b=LARGE)
    huge, large = (here.bring(here.agenda.next_job(None)) for _ in range(2))
    helped = [here.one() for _ in range(4)]
    assert [job.delivery for job in helped] == [huge, huge, huge, large]
    assert here.agenda.work_waits() is False


def test_nothing_to_do_is_done_at_once(ground):
    here = ground()
    assert here.agenda.next_job(None) is None
    assert here.agenda.finished.is_set()


# --- everything once ------------------------------------------------------------------------------------


def test_one_worker_does_it_all_and_every_file_is_kept(ground):
    here = ground(a=HUGE, b=LARGE, c=SMALL, d=b"")
    here.work()
    assert all(here.is_kept(path) for path in "abcd")
    assert here.agenda.finished.is_set()
    assert here.agenda.failures == {}
    assert here.agenda._open == {}
    here.agenda.close()


@pytest.mark.parametrize("seed", range(6))
def test_many_workers_whose_connections_break_do_it_all_and_come_to_an_end(tmp_path, seed):
    contents = {"huge": HUGE, "empty": b""}
    contents |= {f"large{index}": random_bytes(2 * MIB + index, index) for index in range(3)}
    contents |= {f"small{index}": random_bytes(index, index) for index in range(1, 6)}
    here = Ground(tmp_path, contents)
    assert finishes(*(started(here.work, Random(seed * 10 + index)) for index in range(6)))
    assert here.agenda.fatal is None
    assert all(here.is_kept(path) for path in contents)
    assert here.agenda.finished.is_set()
    assert here.agenda._open == {}


def test_a_worker_without_work_waits_for_what_others_may_leave(ground):
    here = ground(a=HUGE)
    delivery = here.bring(here.one())
    jobs = [here.one() for _ in range(3)]
    helper = started(here.work)
    # A connection that breaks leaves the rest of its part to whoever is free.
    here.bring(jobs[0], MIB)
    here.agenda.done(LargeFile(delivery.file))
    here.agenda.done(jobs[0])
    for job in jobs[1:]:
        here.bring(job)
        here.agenda.done(job)
    assert finishes(helper)
    assert here.is_kept("a")


def test_waiting_ends_when_the_last_file_is_judged(ground):
    here = ground(a=LARGE)
    here.staging.may_go_on.clear()
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    delivery.begin()
    delivery._frontier.follow()
    waiting = [started(here.work) for _ in range(3)]
    assert here.staging.is_asked.wait(PATIENCE_SECONDS)
    assert not here.agenda.finished.is_set()
    here.staging.may_go_on.set()
    assert finishes(*waiting)
    assert here.is_kept("a")


class Nobody:
    """A watcher that was killed: it does nothing with what it is told."""

    def on_settled(self, delivery):
        pass

    def on_kept(self, count):
        pass

    def on_dirty(self, delivery):
        pass

    def on_error(self, error):
        pass


def test_a_file_of_which_all_arrived_earlier_only_has_to_be_judged(ground):
    here = ground(a=LARGE)
    earlier = here.staging.open(here.files["a"], Nobody())
    earlier.begin()
    earlier.writer(0).write(memoryview(LARGE))
    earlier.close()
    here.work()
    assert [type(job) for job in here.jobs] == [LargeFile]
    assert here.is_kept("a")


# --- failures -------------------------------------------------------------------------------------------


def test_a_failure_stays_with_its_file_and_the_others_go_on(ground):
    here = ground(a=HUGE, b=LARGE, c=SMALL)
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    part = here.one(delivery)
    error = SourceUnavailableError("no answer")
    here.agenda.done(part, error)
    here.work()
    assert here.agenda.failures == {"a": error}
    assert here.agenda.fatal is None
    assert [here.is_kept(path) for path in "abc"] == [False, True, True]
    here.agenda.close()
    assert here.staging.received_bytes(here.files["a"]) == 0


def test_a_source_that_only_fails_is_given_up_for_all_files(ground):
    here = ground(**{f"f{index:02}": SMALL + bytes([index]) for index in range(20)})
    errors = [SourceUnavailableError(str(index)) for index in range(12)]
    for error in errors:
        assert not here.agenda.stop.is_set()
        here.agenda.done(here.one(), error)
    assert here.agenda.fatal is errors[-1]
    assert here.agenda.next_job(None) is None


def test_bytes_between_failures_say_that_the_source_lives(ground):
    here = ground(**{f"f{index:02}": SMALL + bytes([index]) for index in range(40)})
    for _ in range(30):
        here.agenda.progressed()
        here.agenda.done(here.one(), SourceUnavailableError("again"))
    assert here.agenda.fatal is None


def test_wrong_bytes_do_not_count_as_a_source_that_is_away(ground):
    here = ground(**{f"f{index:02}": SMALL + bytes([index]) for index in range(40)})
    for _ in range(30):
        here.agenda.done(here.one(), TransientError("wrong"))
    assert here.agenda.fatal is None


def test_the_first_error_that_ends_it_all_is_the_one_that_is_told(ground):
    here = ground(a=HUGE)
    first = OSError("full")
    job = here.one()
    waiting = [started(here.work) for _ in range(3)]
    here.agenda.fail(first)
    here.agenda.fail(OSError("later"))
    assert finishes(*waiting)
    assert here.agenda.fatal is first
    assert here.agenda.stop.is_set()
    assert here.agenda.finished.is_set()
    here.agenda.done(job)


def test_a_file_that_arrived_wrong_is_named_and_compared_the_next_time(ground):
    here = ground(a=LARGE, b=SMALL)
    here.contents["a"] = flipped(LARGE, MIB)
    here.meter.plan(bytes_total=len(LARGE), bytes_done=0)
    here.work()
    error = here.agenda.failures["a"]
    assert isinstance(error, DownloadIntegrityError)
    assert (error.path, error.expected) == ("a", here.files["a"].digest)
    assert here.meter.progress().bytes_done == 0
    assert here.agenda.proven == set()
    assert not here.staging.path(here.files["a"]).exists()
    assert here.is_kept("b")
    again = here.staging.open(here.files["a"], here.agenda)
    assert again.journal.suspect
    again.close()


def test_what_was_proven_is_told(ground):
    here = ground(a=LARGE)
    here.work()
    assert here.agenda.proven == {here.files["a"].digest}


def test_a_proven_file_that_cannot_be_kept_ends_it_all(ground):
    here = ground(a=LARGE)
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    (here.staging.folder / f"{delivery.file.digest}.part").unlink()
    here.work()
    assert isinstance(here.agenda.fatal, FileNotFoundError)


def test_a_write_that_the_disk_lost_ends_it_all(ground, tmp_path):
    here = ground(a=LARGE)
    # Of a pipe nothing can be brought to a disk, and the kernel says so.
    reader, writer = os.pipe()
    journal = Journal(tmp_path / "j", digest="a" * 64, size=len(LARGE))
    delivery = FirstDelivery(here.files["a"], writer, journal, here.agenda)
    here.agenda._open[delivery] = 0
    here.agenda.on_dirty(delivery)
    here.agenda.dirty.put(None)
    here.agenda.write_back()
    assert isinstance(here.agenda.fatal, OSError)
    here.agenda.close()
    os.close(reader)


def test_a_file_is_closed_only_when_nobody_uses_it_any_more(ground):
    here = ground(a=LARGE)
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    part = here.one(delivery)
    here.agenda.on_dirty(delivery)
    here.bring(part)
    assert delivery.proven
    here.agenda.done(part)
    os.fstat(delivery._descriptor)  # still open: it waits to be written back
    here.agenda.dirty.put(None)
    here.agenda.write_back()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(delivery._descriptor)
    assert here.agenda.fatal is None


# --- the end before the end -----------------------------------------------------------------------------


def test_a_file_that_is_judged_while_all_is_closed_is_closed_once(ground):
    here = ground(a=LARGE)
    here.staging.may_go_on.clear()
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    delivery.begin()
    delivery._frontier.follow()
    part = here.one(delivery)
    here.bring(part)
    here.agenda.done(part)
    assert here.staging.is_asked.wait(PATIENCE_SECONDS)
    here.agenda.halt()
    errors = []

    def close():
        try:
            here.agenda.close()
        except Exception as error:  # noqa: BLE001  whatever it is, the test must tell
            errors.append(error)

    closing = started(close)
    until(lambda: delivery._frontier._stopped)
    here.staging.may_go_on.set()
    assert finishes(closing)
    assert errors == []
    assert here.is_kept("a")


def test_who_comes_back_after_the_end_closes_nothing_again(ground):
    here = ground(a=LARGE)
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    part = here.one(delivery)
    here.bring(part)
    here.agenda.halt()
    here.agenda.close()
    # The number belongs to somebody else now.
    other = os.open(os.devnull, os.O_RDONLY)
    here.agenda.done(part)
    os.fstat(other)
    os.close(other)


def test_what_was_open_at_the_end_goes_on_from_there_the_next_time(ground):
    here = ground(a=HUGE)
    job = here.one()
    delivery = here.bring(job)
    here.agenda.done(job)
    part = here.one(delivery)
    here.bring(part, 5 * MIB)
    here.agenda.halt()
    here.agenda.done(part)
    here.agenda.close()
    assert here.staging.received_bytes(here.files["a"]) == 5 * MIB

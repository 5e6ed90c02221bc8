"""The law of the frontier: the digest is that of the whole file, in whatever order and by whomever it arrives."""

import hashlib
from itertools import pairwise
from threading import Barrier, Event, Thread, get_ident

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES
from availability.transfer.frontier import Frontier
from tests.builders import MIB, no_deadline, random_bytes, until

PATIENCE_SECONDS = 20
CONTENT = random_bytes(3 * MIB + 11)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class File:
    """Bytes that arrive, and what the frontier makes of them."""

    def __init__(self, content=CONTENT, read=None, complete=None):
        self.content = content
        self.arrived = bytearray(len(content))
        self.reads = []
        self.told = []
        self.errors = []
        self.thread = None
        self.over = Event()
        self.frontier = Frontier(
            hashlib.sha256(),
            len(content),
            contiguous=self.contiguous,
            read=read or self.read,
            on_complete=complete or self.complete,
            on_error=self.fail,
        )

    def contiguous(self, offset):
        end = self.arrived.find(0, offset)
        return len(self.content) if end < 0 else end

    def read(self, offset, count):
        self.reads.append(count)
        return self.content[offset : offset + count]

    def complete(self, digest):
        self.told.append(digest)
        self.thread = get_ident()
        self.over.set()

    def fail(self, error):
        self.errors.append(error)
        self.over.set()

    def arrive(self, start, stop):
        self.arrived[start:stop] = b"\x01" * (stop - start)
        self.frontier.offer(start, memoryview(self.content)[start:stop])
        self.frontier.wake()

    def digest(self):
        assert self.over.wait(PATIENCE_SECONDS)
        self.frontier.stop()
        return self.told


def pieces(size, cuts):
    marks = sorted({0, size, *(cut % size for cut in cuts)})
    return list(pairwise(marks))


def test_bytes_in_order_are_hashed_by_whoever_brings_them_and_never_read_back():
    file = File()
    for start, stop in pieces(len(CONTENT), range(0, len(CONTENT), 300_000)):
        assert file.frontier.is_at(start)
        file.arrive(start, stop)
    assert file.digest() == [DIGEST]
    assert file.reads == []
    assert file.thread == get_ident()


@no_deadline
@given(st.data())
def test_in_any_order_the_digest_is_that_of_the_whole(data):
    content = random_bytes(data.draw(st.integers(2, 4000)))
    file = File(content)
    parts = pieces(len(content), data.draw(st.lists(st.integers(1, 10**6), max_size=12)))
    order = data.draw(st.permutations(parts))
    follow_at = data.draw(st.integers(0, len(order)))
    for index, (start, stop) in enumerate(order):
        if index == follow_at or not file.frontier.is_at(start):
            file.frontier.follow()
        file.arrive(start, stop)
    assert file.digest() == [hashlib.sha256(content).hexdigest()]


def test_what_an_earlier_run_left_is_read_back():
    file = File()
    file.arrived[: 2 * MIB] = b"\x01" * (2 * MIB)
    file.frontier.follow()
    file.arrive(2 * MIB, len(CONTENT))
    assert file.digest() == [DIGEST]
    assert sum(file.reads) == len(CONTENT)
    assert max(file.reads) <= CHUNK_BYTES


def test_the_follower_goes_on_where_hashing_on_arrival_ended():
    file = File()
    file.arrive(0, MIB)
    file.frontier.follow()
    file.arrive(2 * MIB, len(CONTENT))
    file.arrive(MIB, 2 * MIB)
    assert file.digest() == [DIGEST]
    assert sum(file.reads) == len(CONTENT) - MIB


@pytest.mark.parametrize("round_", range(20))
def test_many_who_bring_parts_at_once_wake_the_follower_and_it_ends_once(round_):
    file = File()
    stretches = pieces(len(CONTENT), random_bytes(30, round_))
    start = Barrier(4)

    def bring(mine):
        start.wait()
        file.frontier.follow()
        for part in mine:
            file.arrive(*part)

    threads = [Thread(target=bring, args=(stretches[index::4],)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.digest() == [DIGEST]


# --- the end before the end -----------------------------------------------------------------------------


def test_a_follower_that_waits_for_more_can_be_stopped():
    file = File()
    file.frontier.follow()
    file.arrive(0, MIB)
    until(lambda: sum(file.reads) == MIB and file.frontier._moved._waiters)
    stopping = Thread(target=file.frontier.stop, daemon=True)
    stopping.start()
    until(lambda: not stopping.is_alive())
    assert not file.frontier._follower.is_alive()
    assert (file.told, file.errors) == ([], [])


def test_stopping_does_not_wait_for_all_that_an_earlier_run_left():
    reads = []

    def read(offset, count):
        reads.append(count)
        if len(reads) == 1:
            Thread(target=file.frontier.stop).start()
            until(lambda: file.frontier._stopped)
        return CONTENT[offset : offset + count]

    file = File(read=read)
    file.arrived[:] = b"\x01" * len(CONTENT)
    file.frontier.follow()
    until(lambda: not file.frontier._follower.is_alive())
    assert reads == [CHUNK_BYTES]
    assert file.told == []


def test_stopping_what_never_followed_is_nothing():
    File().frontier.stop()


def test_whoever_is_told_the_end_may_stop_the_follower():
    file = File(complete=lambda digest: (file.frontier.stop(), file.complete(digest)))
    file.frontier.follow()
    file.arrive(0, len(CONTENT))
    assert file.digest() == [DIGEST]


@pytest.mark.parametrize("error", [OSError(5, "the disk rots"), MemoryError()], ids=["disk", "memory"])
def test_an_error_while_reading_back_is_told(error):
    def read(_offset, _count):
        raise error

    file = File(read=read)
    file.frontier.follow()
    file.arrive(0, MIB)
    assert file.over.wait(PATIENCE_SECONDS)
    assert (file.errors, file.told) == ([error], [])


def test_bytes_that_had_arrived_and_are_gone_are_an_error_and_no_endless_wait():
    file = File(read=lambda _offset, _count: b"")
    file.frontier.follow()
    file.arrive(0, MIB)
    assert file.over.wait(PATIENCE_SECONDS)
    assert isinstance(file.errors[0], OSError)

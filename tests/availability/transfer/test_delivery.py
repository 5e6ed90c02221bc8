"""The law of a delivery: however the parts come, what is kept is proven, and a mistake costs no more than it must."""

import json
import os
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.ledger import Ledgers
from availability.transfer.comparison import SecondDelivery
from availability.transfer.delivery import WRITE_BACK_BYTES
from availability.transfer.first import FirstDelivery
from availability.transfer.staging import Staging
from tests.builders import KIB, MIB, file_record, flipped, random_bytes, until

PART = 16 * MIB
CONTENT = random_bytes(2 * PART + MIB + 5)
FILE = file_record(CONTENT)
PARTS = range(3)
CHUNKS = b"".join(chunk_digest(CONTENT[start : start + CHUNK_BYTES]) for start in range(0, FILE.size, CHUNK_BYTES))
PATIENCE_SECONDS = 20
few = settings(deadline=None, max_examples=10)


class Run:
    """What one process does with a file: it opens it, brings parts, and is told what becomes of them."""

    def __init__(self, folder, content=CONTENT, tag='"v1"'):
        self.staging = Staging(folder / "staging", folder / "journals", Ledgers(folder / "ledgers"))
        self.content = content
        self.tag = tag
        self.kept = 0
        self.brought = 0
        self.dirty = []
        self.settled = Event()
        self.delivery = self.staging.open(FILE, self)
        if not self.delivery.claimable():
            self.delivery.begin()

    def on_settled(self, _delivery):
        self.settled.set()

    def on_kept(self, count):
        self.kept += count

    def on_dirty(self, delivery):
        self.dirty.append(delivery)

    def on_error(self, error):
        raise error

    def accepts(self, part, start):
        return self.delivery.accept(part, start, self.tag)

    def bring(self, part, most=PART, piece=300 * KIB):
        """Bring up to `most` bytes of what a part lacks, as a connection that then breaks."""
        start, stop = self.delivery.missing(part)
        if start == stop or self.delivery.is_over:
            return
        assert self.accepts(part, start)
        self.delivery.begin()
        writer = self.delivery.writer(part)
        stop = min(stop, start + most)
        while writer.offset < stop and not self.delivery.is_over:
            data = self.content[writer.offset : min(stop, writer.offset + piece)]
            self.brought += len(data)
            writer.write(memoryview(data))

    def finish(self):
        for part in PARTS:
            self.bring(part)
        assert self.settled.wait(PATIENCE_SECONDS)
        return self.delivery.proven

    def end(self):
        self.delivery.close()

    def reject(self):
        """Do what the agenda does with a file that arrived wrong."""
        self.delivery.journal.receive_again()
        self.end()


@pytest.fixture
def run(tmp_path):
    runs = []

    def start(**options):
        runs.append(Run(tmp_path, **options))
        return runs[-1]

    return start


def delivered_wrong(run, content):
    first = run(content=content)
    assert not first.finish()
    first.reject()


# --- the first delivery ---------------------------------------------------------------------------------

steps = st.lists(st.tuples(st.sampled_from(PARTS), st.integers(1, 20 * MIB), st.booleans()), max_size=8)


@few
@given(steps, st.integers(1000, 3 * MIB))
def test_in_any_order_and_with_any_kills_the_file_is_proven_and_has_its_ledger(tmp_path_factory, steps, piece):
    folder = tmp_path_factory.mktemp("run")
    run, kept = Run(folder), 0
    for part, count, is_killed in steps:
        run.bring(part, count, piece)
        if is_killed:
            run.end()
            kept += run.kept
            run = Run(folder)
    assert run.finish()
    run.staging.promote(run.delivery)
    run.end()
    assert run.staging.path(FILE).read_bytes() == CONTENT
    ledger = Ledgers(folder / "ledgers").read(FILE.digest)
    assert (ledger.size, ledger.chunks) == (FILE.size, CHUNKS)
    assert kept + run.kept == FILE.size
    assert [*(folder / "journals").iterdir()] == []
    run.staging.path(FILE).unlink()


def test_nothing_that_arrived_comes_twice(run):
    first = run()
    first.bring(0, 5 * MIB + 123)
    first.bring(2)
    first.end()
    second = run()
    assert second.staging.received_bytes(FILE) == first.brought
    assert second.delivery.missing(0) == (5 * MIB + 123, PART)
    assert second.finish()
    assert first.brought + second.brought == FILE.size
    second.end()


def test_a_file_of_which_all_arrived_only_has_to_be_judged(run):
    first = run()
    for part in PARTS:
        first.bring(part)
    first.end()
    second = run()
    assert second.finish()
    assert second.brought == 0
    second.end()


def test_parts_come_from_several_threads_at_once(run):
    one = run()
    threads = [Thread(target=one.bring, args=(part,)) for part in PARTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.settled.wait(PATIENCE_SECONDS)
    assert one.delivery.proven
    one.end()


def test_a_file_that_arrived_wrong_is_not_proven(run):
    one = run(content=flipped(CONTENT, 20 * MIB))
    assert not one.finish()
    assert one.delivery.got not in (None, FILE.digest)
    one.end()


def test_what_waits_to_be_written_back_is_bounded(run):
    one = run()
    piece = CONTENT[:MIB]
    for _ in range(2 * WRITE_BACK_BYTES // MIB):
        one.delivery.put(piece, 0)
    assert one.dirty == [one.delivery] * 2
    one.delivery.write_back()
    one.end()


def test_two_who_work_on_one_file_do_not_write_into_each_other(run):
    one, other = run(), run()
    one.bring(0, 3 * MIB)
    assert other.delivery.missing(0) == (0, PART)
    assert other.finish()
    assert one.finish()
    for each in (one, other):
        each.staging.promote(each.delivery)
        each.end()
    assert one.staging.path(FILE).read_bytes() == CONTENT


# --- claims ---------------------------------------------------------------------------------------------


def test_a_part_is_claimed_once_until_it_is_released(run):
    delivery = run().delivery
    assert [delivery.claim_part() for _ in range(4)] == [0, 1, 2, None]
    assert delivery.claimable() == 0
    delivery.release_part(1)
    assert (delivery.claimable(), delivery.claim_part()) == (1, 1)
    delivery.close()


def test_a_complete_part_is_claimed_by_nobody(run):
    one = run()
    one.bring(1)
    assert [one.delivery.claim_part() for _ in range(3)] == [0, 2, None]
    assert not one.delivery.claim_from_whole(1)
    one.end()


def test_while_the_whole_file_comes_to_one_nobody_else_asks_for_parts(run):
    delivery = run().delivery
    assert delivery.claim_part() == 0
    with delivery.whole() as first, delivery.whole() as second:
        assert (first, second) == (True, False)
        assert (delivery.claim_part(), delivery.claimable()) == (None, 0)
        assert [delivery.claim_from_whole(part) for part in PARTS] == [False, True, True]
        for part in PARTS:
            delivery.release_part(part)
    assert delivery.claim_part() == 0
    delivery.close()


def test_the_second_who_wanted_the_whole_file_does_not_end_it_for_the_first(run):
    delivery = run().delivery
    with delivery.whole():
        with delivery.whole():
            pass
        assert delivery.claim_part() is None
    delivery.close()


def test_of_a_file_that_was_given_up_nothing_is_claimed(run):
    delivery = run().delivery
    delivery.given_up = True
    assert delivery.is_over
    assert delivery.claim_part() is None
    delivery.close()


# --- tags -----------------------------------------------------------------------------------------------


def test_the_first_tag_is_kept_and_another_one_is_refused_and_costs_nothing(run):
    one = run()
    one.bring(0, MIB)
    one.tag = '"v2"'
    assert not one.accepts(0, MIB)
    assert not one.accepts(1, PART)
    assert one.delivery.missing(0)[0] == MIB
    one.tag = '"v1"'
    assert one.finish()
    one.end()


def test_a_source_without_tags_is_believed(run):
    one = run(tag=None)
    one.bring(0, MIB)
    one.tag = '"v1"'
    one.bring(1, MIB)
    one.tag = None
    assert one.finish()
    one.end()


def test_what_an_earlier_run_left_under_another_tag_is_dropped(run):
    earlier = run(content=random_bytes(FILE.size, 7))
    earlier.bring(0, 5 * MIB)
    earlier.end()
    one = run(tag='"v2"')
    assert not one.accepts(0, 5 * MIB)
    assert one.kept == -5 * MIB
    assert one.finish()
    assert one.brought == FILE.size
    one.end()


def test_an_answer_that_was_asked_for_before_the_drop_is_dropped_too(run):
    earlier = run()
    earlier.bring(0, 5 * MIB)
    earlier.bring(1, 3 * MIB)
    earlier.end()
    one = run(tag='"v2"')
    assert not one.accepts(0, 5 * MIB)
    # Another connection had asked for the rest of its part, and gets it under the new tag.
    assert not one.accepts(1, PART + 3 * MIB)
    assert one.accepts(1, PART)
    assert one.finish()
    one.end()


# --- a second delivery ----------------------------------------------------------------------------------


@few
@given(st.integers(0, FILE.size - 1))
def test_one_flipped_byte_costs_no_more_than_the_file_up_to_it(tmp_path_factory, offset):
    folder = tmp_path_factory.mktemp("run")
    delivered_wrong(lambda **options: Run(folder, **options), flipped(CONTENT, offset))
    second = Run(folder)
    assert isinstance(second.delivery, SecondDelivery)
    assert second.finish()
    assert second.brought <= offset + CHUNK_BYTES + 300 * KIB
    assert second.kept == FILE.size
    second.staging.promote(second.delivery)
    second.end()
    assert second.staging.path(FILE).read_bytes() == CONTENT
    assert Ledgers(folder / "ledgers").read(FILE.digest).chunks == CHUNKS
    second.staging.path(FILE).unlink()


@few
@given(st.sets(st.integers(0, FILE.size - 1), max_size=5), steps)
def test_any_flipped_bytes_are_healed_by_a_second_delivery_in_any_order_with_any_kills(tmp_path_factory, flips, steps):
    folder = tmp_path_factory.mktemp("run")
    wrong = bytearray(CONTENT)
    for offset in flips | {0}:
        wrong[offset] ^= 0x10
    delivered_wrong(lambda **options: Run(folder, **options), bytes(wrong))
    run = Run(folder)
    for part, count, is_killed in steps:
        run.bring(part, count)
        if is_killed and not run.settled.is_set():
            run.end()
            run = Run(folder)
    assert run.finish()
    assert run.delivery.ledger().chunks == CHUNKS
    run.staging.promote(run.delivery)
    run.end()
    assert run.staging.path(FILE).read_bytes() == CONTENT
    run.staging.path(FILE).unlink()


def test_two_flipped_bytes_cost_no_more_than_the_file_up_to_the_second(run):
    delivered_wrong(run, flipped(flipped(CONTENT, 3 * MIB), 10 * MIB))
    second = run()
    assert second.finish()
    assert second.brought <= 11 * MIB + 300 * KIB
    second.end()


def test_where_everything_differs_the_file_is_not_read_again_for_each_difference(run):
    delivered_wrong(run, random_bytes(FILE.size, 5))
    second = run()
    get, reads = second.delivery.get, []

    def count(offset, size):
        reads.append(size)
        return get(offset, size)

    second.delivery.get = count
    assert second.finish()
    # Once to compare; then after 1, 2, 4, ... differences, and at the end.
    assert sum(reads) <= 10 * FILE.size
    second.end()


def test_two_equal_deliveries_that_are_wrong_are_reported_and_never_proven(run):
    wrong = flipped(CONTENT, 20 * MIB)
    delivered_wrong(run, wrong)
    second = run(content=wrong)
    assert not second.finish()
    assert second.brought == second.kept == FILE.size
    second.reject()
    # And the next one, if it is right, still heals it.
    third = run()
    assert third.finish()
    third.end()


def test_a_second_delivery_that_is_wrong_elsewhere_is_not_proven_and_a_third_heals_it(run):
    delivered_wrong(run, flipped(CONTENT, 3 * MIB))
    second = run(content=flipped(CONTENT, 5 * MIB))
    # It is right where the first one was wrong: proven before its own mistake arrives.
    assert second.finish()
    second.end()


def test_a_second_delivery_that_spoils_what_was_right_is_found_out(run):
    delivered_wrong(run, flipped(CONTENT, 5 * MIB))
    second = run(content=flipped(CONTENT, 3 * MIB))
    assert not second.finish()
    second.reject()
    third = run()
    assert third.finish()
    assert third.brought <= 4 * MIB + 300 * KIB
    third.end()


def test_a_second_delivery_of_which_all_arrived_only_has_to_be_judged(run):
    delivered_wrong(run, flipped(CONTENT, 0))
    second = run(content=flipped(CONTENT, 0))
    for part in PARTS:
        second.bring(part)
    second.end()
    again = run()
    assert again.settled.wait(PATIENCE_SECONDS)
    assert (again.brought, again.delivery.proven) == (0, False)
    again.end()


def test_a_second_delivery_under_another_tag_begins_again_and_ends_well(run):
    delivered_wrong(run, flipped(CONTENT, 30 * MIB))
    second = run()
    second.bring(0, 5 * MIB)
    second.end()
    third = run(tag='"v2"')
    assert not third.accepts(0, 5 * MIB)
    assert third.finish()
    assert third.delivery.ledger().chunks == CHUNKS
    third.end()


# --- what the disk has lost -----------------------------------------------------------------------------


def part_file(run):
    return run.staging.folder / f"{FILE.digest}.part"


def after_power_cut(run):
    journal = run.delivery.journal.path
    content = bytearray(journal.read_bytes())
    content[:1024] = json.dumps(json.loads(content[:1024]) | {"boot": "another"}).encode().ljust(1024)
    journal.write_bytes(content)


def test_after_a_power_cut_only_chunks_that_are_still_there_count(run):
    first = run()
    first.bring(0, 8 * MIB + 99)
    first.bring(1)
    first.end()
    after_power_cut(first)
    with part_file(first).open("r+b") as file:
        file.seek(3 * MIB)
        file.write(bytes(MIB))
    second = run()
    assert second.delivery.missing(0)[0] == 3 * MIB
    assert second.delivery.missing(1)[0] == 2 * PART
    assert second.finish()
    second.end()


def test_a_file_that_is_shorter_than_its_journal_says_is_begun_anew(run):
    first = run()
    first.bring(0, 8 * MIB)
    first.end()
    os.truncate(part_file(first), 8 * MIB - 1)
    second = run()
    assert [second.delivery.missing(part)[0] for part in PARTS] == [0, PART, 2 * PART]
    assert second.finish()
    second.end()


def test_a_journal_without_its_file_promises_nothing(run):
    first = run()
    first.bring(0, MIB)
    first.end()
    part_file(first).unlink()
    assert first.staging.received_bytes(FILE) == 0
    second = run()
    assert second.delivery.missing(0)[0] == 0
    second.end()


def test_a_file_without_its_journal_is_begun_anew_and_ends_at_its_size(run):
    first = run()
    first.end()
    part_file(first).write_bytes(bytes(FILE.size + 1000))
    first.delivery.journal.path.unlink()
    second = run()
    assert isinstance(second.delivery, FirstDelivery)
    assert second.finish()
    second.staging.promote(second.delivery)
    second.end()
    assert second.staging.path(FILE).read_bytes() == CONTENT


def test_a_disk_that_cannot_be_read_while_hashing_is_told_and_not_taken_for_an_answer(run):
    one = run()
    errors = []
    one.on_error = errors.append
    one.bring(1, MIB)
    os.truncate(part_file(one), 0)
    one.bring(0)
    until(lambda: errors)
    assert isinstance(errors[0], OSError)
    assert not one.settled.is_set()
    one.end()

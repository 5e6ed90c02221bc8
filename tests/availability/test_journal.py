"""The law of the journal: it continues what has arrived, promises nothing the disk does not hold, and mixes nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.journal import Journal, part_bytes_for
from tests.builders import MIB, no_deadline

DIGEST = "ab" * 32
SIZE = 40 * MIB + 5
PART = 16 * MIB
HUB = "hub"
SEALS = {index: chunk_digest(b"%d" % index) for index in range(41)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journals" / f"{DIGEST}.journal"


def opened(path, *, digest=DIGEST, size=SIZE):
    return Journal(path, digest=digest, size=size)


def left_behind(path, marks, *, tag='"v1"'):
    """Leave a journal as a run that was killed has left it: never closed."""
    journal = opened(path)
    if tag is not None:
        journal.provenance.adopt_tag(HUB, tag)
    for part, mark in enumerate(marks):
        first = part * PART // CHUNK_BYTES
        for index in range(first, first + mark // CHUNK_BYTES):
            journal.seal_chunk(index, SEALS[index], [HUB])
        journal.mark(part, mark)
    return journal


def rewrite_header(path, **changes):
    content = bytearray(path.read_bytes())
    header = json.loads(content[:1024]) | changes
    content[:1024] = json.dumps(header).encode().ljust(1024)
    path.write_bytes(content)


def is_fresh(journal):
    nobody = journal.provenance.tag(HUB) is None and journal.provenance.shares() == {}
    return not any(journal.marks) and not any(journal.chunks()) and nobody and not journal.suspect


def tag_of(journal):
    return journal.provenance.tag(HUB)


# --- parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "part"),
    [(1, 16 * MIB), (16 * MIB, 16 * MIB), (4096 * MIB, 16 * MIB), (8192 * MIB, 32 * MIB), (10**15, 128 * MIB)],
)
def test_parts_are_neither_too_small_nor_too_many(size, part):
    assert part_bytes_for(size) == part


@no_deadline
@given(st.integers(1, 10**13))
def test_a_part_is_whole_chunks(size):
    assert part_bytes_for(size) % CHUNK_BYTES == 0


# --- continuing -----------------------------------------------------------------------------------------


def test_a_new_journal_has_received_nothing(path):
    journal = opened(path)
    assert is_fresh(journal)
    assert (len(journal.marks), journal.received_bytes, journal.distrusted) == (3, 0, False)
    assert journal.chunk(0) is None


def test_what_was_marked_is_there_after_a_kill(path):
    marks = [16 * MIB, 3 * MIB + 7, 0]
    before = left_behind(path, marks)
    after = opened(path)
    assert after.marks == marks
    assert after.received_bytes == sum(marks)
    assert (tag_of(after), after.suspect, after.distrusted) == ('"v1"', False, False)
    assert after.chunks() == before.chunks()
    assert after.chunk(18) == SEALS[18]
    assert after.chunk(19) is None


@no_deadline
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8 * MIB)), max_size=20))
def test_the_last_mark_of_each_part_holds(tmp_path_factory, marks):
    path = tmp_path_factory.mktemp("state") / "j"
    journal = opened(path)
    for part, received in marks:
        journal.mark(part, received)
    assert opened(path).marks == journal.marks == [dict(marks).get(part, 0) for part in range(3)]


@pytest.mark.parametrize("changes", [{"digest": "cd" * 32}, {"size": SIZE + 1}], ids=str)
def test_a_journal_of_something_else_is_begun_anew(path, changes):
    left_behind(path, [MIB, MIB, MIB])
    assert is_fresh(opened(path, **changes))


@no_deadline
@given(st.floats(0, 1, exclude_max=True))
def test_a_journal_that_is_cut_off_is_begun_anew(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("state") / "j"
    left_behind(path, [MIB, MIB, MIB])
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    journal = opened(path)
    assert is_fresh(journal)
    journal.mark(2, 5)
    assert opened(path).marks == [0, 0, 5]


@pytest.mark.parametrize("header", [b"", b"null", b"[]", b"{}", b'"of"', b"\xff"], ids=repr)
def test_a_journal_whose_header_is_nonsense_is_begun_anew(path, header):
    left_behind(path, [MIB, MIB, MIB])
    path.write_bytes(header.ljust(1024) + path.read_bytes()[1024:])
    assert is_fresh(opened(path))


def test_a_journal_that_marks_more_than_a_part_has_is_begun_anew(path):
    left_behind(path, [PART, PART, 8 * MIB + 6])
    assert is_fresh(opened(path))


def test_a_whole_last_part_is_not_more_than_it_has(path):
    left_behind(path, [PART, PART, 8 * MIB + 5])
    assert opened(path).received_bytes == SIZE


# --- starting over --------------------------------------------------------------------------------------


def test_after_a_restart_nothing_of_the_old_content_is_left(path):
    left_behind(path, [MIB, MIB, MIB]).restart()
    journal = opened(path)
    assert not any(journal.marks)
    assert not any(journal.chunks())
    assert tag_of(journal) is None
    assert journal.provenance.shares() == {}


def test_the_tag_of_the_first_answer_is_kept(path):
    journal = opened(path)
    journal.mark(0, 7)
    journal.provenance.adopt_tag(HUB, '"v3"')
    assert (tag_of(opened(path)), opened(path).marks) == ('"v3"', [7, 0, 0])


@pytest.mark.parametrize("tag", ["x" * 200, "é" * 200, '"' * 200, None], ids=["long", "accents", "quotes", "none"])
def test_any_tag_survives(path, tag):
    left_behind(path, [MIB, 0, 0], tag=tag)
    assert (tag_of(opened(path)), opened(path).marks[0]) == (tag, MIB)


def test_a_second_delivery_starts_over_and_keeps_the_digests_of_the_first(path):
    first = left_behind(path, [16 * MIB, 16 * MIB, 8 * MIB])
    first.receive_again()
    second = opened(path)
    assert not any(second.marks)
    assert (second.suspect, tag_of(second)) == (True, '"v1"')
    assert second.chunks() == first.chunks()
    assert second.chunk(0) == SEALS[0]


# --- after a power cut ----------------------------------------------------------------------------------


def test_another_boot_is_distrusted_and_the_same_one_is_not(path):
    left_behind(path, [MIB, 0, 0])
    assert not opened(path).distrusted
    rewrite_header(path, boot="another")
    assert opened(path).distrusted


def test_of_a_distrusted_journal_each_part_keeps_its_chunks_before_the_first_that_is_not_intact(path):
    left_behind(path, [4 * MIB + 9, 3 * MIB, 2 * MIB])
    rewrite_header(path, boot="another")
    journal = opened(path)
    asked = []

    def is_intact(index, digest):
        asked.append((index, digest))
        return index != 17

    journal.trust(is_intact)
    assert journal.marks == [4 * MIB, MIB, 2 * MIB]
    assert asked == [(index, SEALS[index]) for index in (0, 1, 2, 3, 16, 17, 32, 33)]
    again = opened(path)
    assert (again.marks, again.distrusted, tag_of(again)) == (journal.marks, False, '"v1"')


def test_a_mark_whose_chunk_was_never_sealed_is_not_believed(path):
    journal = left_behind(path, [MIB, 0, 0])
    journal.mark(0, 5 * MIB)
    rewrite_header(path, boot="another")
    again = opened(path)
    again.trust(lambda _index, _digest: True)
    assert again.marks == [MIB, 0, 0]


def test_a_distrusted_second_delivery_stays_one(path):
    left_behind(path, [MIB, 0, 0]).receive_again()
    rewrite_header(path, boot="another")
    opened(path).trust(lambda _index, _digest: True)
    assert opened(path).suspect


# --- who sent what --------------------------------------------------------------------------------------


def test_who_sent_a_chunk_is_known_after_a_kill(path):
    journal = opened(path)
    for index, sources in enumerate([["a"], ["b"], ["a", "b"], ["a"]]):
        journal.seal_chunk(index, SEALS[index], sources)
    again = opened(path).provenance
    assert [again.owner(index) for index in range(5)] == ["a", "b", None, "a", None]
    assert again.shares() == {"a": 2, "b": 1, "": 1}


def test_a_chunk_that_is_sealed_again_keeps_its_owner(path):
    journal = opened(path)
    journal.seal_chunk(0, SEALS[0], ["a"])
    journal.seal_chunk(0, SEALS[1])
    assert (opened(path).chunk(0), opened(path).provenance.owner(0)) == (SEALS[1], "a")


def test_of_one_source_too_many_nobody_is_blamed(path):
    journal = opened(path)
    for index in range(9):
        journal.seal_chunk(index, SEALS[index], [f"source {index}"])
        journal.provenance.adopt_tag(f"source {index}", "t")
    again = opened(path).provenance
    assert [again.owner(index) for index in (7, 8)] == ["source 7", None]
    assert [again.tag(f"source {index}") for index in (7, 8)] == ["t", None]


def test_a_second_delivery_of_some_parts_leaves_the_others_as_they_are(path):
    left_behind(path, [PART, PART, 8 * MIB + 5]).receive_again([1])
    second = opened(path)
    assert (second.marks, second.suspect) == ([PART, 0, 8 * MIB + 5], True)

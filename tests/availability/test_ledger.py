"""The law of the ledger: what is read is what was written, and one that is damaged is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.ledger import Ledger, Ledgers
from tests.builders import flipped, no_deadline, random_bytes

DIGEST = "ab" * 32


def ledger_of(chunks, *, tail=0):
    size = chunks * CHUNK_BYTES - tail
    return Ledger(DIGEST, size, random_bytes(32 * chunks))


@pytest.fixture
def ledgers(tmp_path):
    return Ledgers(tmp_path / "ledgers")


@pytest.mark.parametrize("ledger", [ledger_of(1), ledger_of(2), ledger_of(3, tail=17), Ledger(DIGEST, 0, b"")], ids=str)
def test_what_is_read_is_what_was_written(ledgers, ledger):
    ledgers.write(ledger)
    assert ledgers.read(DIGEST) == ledger


def test_there_is_none_before_one_was_written(ledgers):
    assert ledgers.read(DIGEST) is None


def test_a_ledger_costs_32_bytes_a_mebibyte(ledgers):
    ledgers.write(ledger_of(100))
    assert ledgers.path(DIGEST).stat().st_size < 100 * 32 + 64


def test_each_chunk_has_its_own_digest():
    ledger = Ledger(DIGEST, 2 * CHUNK_BYTES, chunk_digest(b"a") + chunk_digest(b"b"))
    assert (ledger.chunk(0), ledger.chunk(1)) == (chunk_digest(b"a"), chunk_digest(b"b"))


@pytest.mark.parametrize(("size", "of_use"), [(0, False), (1, False), (CHUNK_BYTES, False), (CHUNK_BYTES + 1, True)])
def test_a_file_of_one_chunk_needs_none(size, of_use):
    assert Ledger(DIGEST, size, b"").is_of_use is of_use


@no_deadline
@given(place=st.integers(0, 10**6), cut=st.booleans())
def test_a_damaged_ledger_is_none(tmp_path_factory, place, cut):
    ledgers = Ledgers(tmp_path_factory.mktemp("ledgers"))
    ledgers.write(ledger_of(3))
    path = ledgers.path(DIGEST)
    content = path.read_bytes()
    place %= len(content)
    path.write_bytes(content[:place] if cut else flipped(content, place))
    assert ledgers.read(DIGEST) is None


@pytest.mark.parametrize("content", [b"", b"x" * 31, bytes(52), bytes(1000)], ids=["empty", "short", "zeros", "long"])
def test_what_never_was_a_ledger_is_none(ledgers, content):
    ledgers.path(DIGEST).parent.mkdir(parents=True)
    ledgers.path(DIGEST).write_bytes(content)
    assert ledgers.read(DIGEST) is None


def test_a_ledger_with_a_right_seal_and_the_wrong_number_of_chunks_is_none(ledgers):
    ledgers.write(Ledger(DIGEST, 3 * CHUNK_BYTES, random_bytes(64)))
    assert ledgers.read(DIGEST) is None


def test_a_later_ledger_replaces_the_earlier_one_and_leaves_nothing_else(ledgers):
    ledgers.write(ledger_of(2))
    ledgers.write(ledger_of(3))
    assert ledgers.read(DIGEST) == ledger_of(3)
    assert [path.name for path in ledgers.path(DIGEST).parent.iterdir()] == [DIGEST]

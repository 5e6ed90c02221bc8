"""The law of mending: only what is wrong is fetched, only what is right is written, and the file stays where it is."""

import mmap
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.errors import DownloadIntegrityError, SourceUnavailableError
from availability.ledger import Ledger
from availability.transfer.mend import mend
from availability.transfer.meter import Meter
from availability.transfer.throttle import Throttle
from tests.builders import MIB, file_record, flipped, listing_of, random_bytes, run_program

CONTENT = random_bytes(5 * MIB + 17)
FILE = file_record(CONTENT)
LISTING = listing_of(FILE)
STARTS = range(0, FILE.size, CHUNK_BYTES)
LEDGER = Ledger(
    FILE.digest, FILE.size, b"".join(chunk_digest(CONTENT[start : start + CHUNK_BYTES]) for start in STARTS)
)
ALL = ((0, FILE.size),)


class Bytes:
    """A body that comes from memory."""

    tag = None

    def __init__(self, content, start, stop):
        self.start, self.stop = start, stop
        self._content = content[start:stop]
        self.closed = False

    def read(self, most):
        data, self._content = self._content[: min(most, 70_000)], self._content[min(most, 70_000) :]
        return data

    def abort(self):
        self._content = b""

    def close(self):
        self.closed = True


class Shelf:
    """A source whose content is in memory; with `ignores_ranges` it always sends all of it."""

    name = "shelf"

    def __init__(self, content=CONTENT, *, ignores_ranges=False, breaks_after=None):
        self.content = content
        self.ignores_ranges = ignores_ranges
        self.breaks_after = breaks_after
        self.asked = []
        self.bodies = []

    def listing(self, model):
        raise NotImplementedError(model)

    def open(self, _listing, file, start, stop):
        self.asked.append((start, stop))
        span = (0, file.size) if self.ignores_ranges else (start, stop)
        content = self.content if self.breaks_after is None else self.content[: self.breaks_after]
        self.bodies.append(Bytes(content, *span))
        return self.bodies[-1]


@pytest.fixture
def blob(tmp_path):
    return tmp_path / FILE.digest


def heal(path, ranges=ALL, source=None):
    source, meter = source or Shelf(), Meter()
    mend(
        path,
        LEDGER,
        ranges,
        file=FILE,
        source=source,
        listing=LISTING,
        meter=meter,
        throttle=Throttle(),
        on_tick=lambda: None,
    )
    return source, meter


def spoil(path, *offsets):
    content = bytearray(CONTENT)
    for offset in offsets:
        content[offset] ^= 0x01
    path.write_bytes(content)


def test_only_the_damaged_chunks_are_fetched(blob):
    spoil(blob, MIB + 5, 4 * MIB)
    source, meter = heal(blob, ((MIB, 2 * MIB), (4 * MIB, 5 * MIB)))
    assert blob.read_bytes() == CONTENT
    assert source.asked == [(MIB, 2 * MIB), (4 * MIB, 5 * MIB)]
    assert meter.bytes_by_source == {"shelf": 2 * MIB}
    assert meter.progress().bytes_done == 2 * MIB
    assert all(body.closed for body in source.bodies)


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(0, FILE.size - 1), max_size=6), st.booleans())
def test_whatever_is_flipped_is_healed_and_what_is_right_is_not_fetched(tmp_path_factory, offsets, ignores_ranges):
    path = tmp_path_factory.getbasetemp() / "mended"
    spoil(path, *offsets)
    source, meter = heal(path, source=Shelf(ignores_ranges=ignores_ranges))
    assert path.read_bytes() == CONTENT
    chunks = {offset // CHUNK_BYTES for offset in offsets}
    assert sum(stop - start for start, stop in source.asked) == meter.progress().bytes_done
    assert {start // CHUNK_BYTES for begin, end in source.asked for start in range(begin, end, CHUNK_BYTES)} == chunks


def test_neighbouring_chunks_are_fetched_in_one_go(blob):
    spoil(blob, 0, MIB, 3 * MIB, FILE.size - 1)
    assert heal(blob)[0].asked == [(0, 2 * MIB), (3 * MIB, 4 * MIB), (5 * MIB, FILE.size)]


def test_a_truncated_file_gets_its_end_back(blob):
    blob.write_bytes(CONTENT[: 3 * MIB + 1])
    heal(blob, ((3 * MIB, FILE.size),))
    assert blob.read_bytes() == CONTENT


def test_a_file_that_is_right_by_now_costs_nothing(blob):
    blob.write_bytes(CONTENT)
    assert heal(blob)[0].asked == []


def test_an_attempt_that_broke_off_is_continued_and_not_repeated(blob):
    spoil(blob, 0, MIB, 2 * MIB)
    with pytest.raises(SourceUnavailableError):
        heal(blob, source=Shelf(breaks_after=2 * MIB + 50))
    assert blob.read_bytes()[: 2 * MIB] == CONTENT[: 2 * MIB]
    assert heal(blob)[0].asked == [(2 * MIB, 3 * MIB)]
    assert blob.read_bytes() == CONTENT


def test_wrong_bytes_are_never_written(blob):
    spoil(blob, MIB)
    damaged = blob.read_bytes()
    with pytest.raises(DownloadIntegrityError) as caught:
        heal(blob, source=Shelf(flipped(CONTENT, MIB + 7)))
    assert blob.read_bytes() == damaged
    assert (caught.value.path, caught.value.expected) == (FILE.path, LEDGER.chunk(1).hex())
    assert f"at byte {MIB}" in caught.value.message


def test_what_was_healed_before_a_wrong_chunk_stays_healed(blob):
    spoil(blob, 0, MIB)
    with pytest.raises(DownloadIntegrityError):
        heal(blob, source=Shelf(flipped(CONTENT, MIB + 7)))
    assert blob.read_bytes()[:MIB] == CONTENT[:MIB]


def test_it_is_healed_where_it_lies_and_whoever_has_it_mapped_sees_it(blob):
    spoil(blob, 2 * MIB)
    inode = blob.stat().st_ino
    with blob.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[2 * MIB] != CONTENT[2 * MIB]
        heal(blob)
        assert mapped[2 * MIB] == CONTENT[2 * MIB]
    assert blob.stat().st_ino == inode


def test_through_a_link_the_shared_content_is_healed_and_the_link_stays(blob, tmp_path):
    shared = tmp_path / "shared"
    spoil(shared, 5)
    blob.symlink_to(shared)
    heal(blob)
    assert shared.read_bytes() == CONTENT
    assert blob.is_symlink()


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o644, 0o664], ids=oct)
def test_the_files_mode_is_what_it_was(blob, mode):
    spoil(blob, 5)
    blob.chmod(mode)
    heal(blob)
    assert blob.read_bytes() == CONTENT
    assert stat.S_IMODE(blob.stat().st_mode) == mode


OWNER_WITHOUT_WRITING = """
import os, sys
from pathlib import Path
from availability.transfer.mend import _writable
folder = Path(sys.argv[1])
blob = folder / "blob"
become_nobody()
os.chdir("/")
os.umask(0)
with _writable(blob) as descriptor:
    print(oct(blob.stat().st_mode & 0o777))
    os.pwrite(descriptor, b"y", 0)
print(blob.read_bytes().decode())
"""


def test_an_owner_need_not_be_root_to_heal_his_read_only_blob(readable_by_all):
    blob = readable_by_all / "blob"
    blob.write_bytes(b"x")
    blob.chmod(0o444)
    if not os.geteuid():
        os.chown(blob, 65534, 65534)
    # It is read-only again before anything is written.
    assert run_program(OWNER_WITHOUT_WRITING, readable_by_all).split() == ["0o444", "y"]


def test_a_file_that_is_gone_cannot_be_healed(blob):
    with pytest.raises(FileNotFoundError):
        heal(blob)

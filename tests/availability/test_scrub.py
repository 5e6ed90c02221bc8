"""The law of scrubbing: every byte is read once, from where it was asked, and what changes meanwhile is not judged."""

import gc
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.direct import Content, aligned_buffer
from availability.findings import FindingKind
from availability.integrity import Other
from availability.ledger import Ledger
from availability.pace import Pace
from availability.scrub import Subject, scrub
from tests.builders import KIB, MIB, file_record, flipped, no_deadline, random_bytes

CONTENT = random_bytes(9 * MIB + 17)
FILE = file_record(CONTENT)


def ledger_of(content, file):
    chunks = (content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES))
    return Ledger(file.digest, file.size, b"".join(map(chunk_digest, chunks)))


LEDGER = ledger_of(CONTENT, FILE)
MEMORY_FOLDER = Path("/dev/shm")
WAYS = pytest.mark.parametrize("from_memory", [False, True], ids=["from the disk", "from memory"])


def nobody(_file, _size):
    return ()


def one(place, *, file=FILE, ledger=LEDGER, pace=None, others=nobody, **subject):
    (reading,) = scrub([Subject(place, file, ledger, **subject)], pace or Pace(), others=others)
    return reading


@pytest.fixture
def blob(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


@WAYS
@pytest.mark.parametrize("ledger", [LEDGER, None], ids=["by ledger", "whole"])
def test_an_intact_file_is_read_once_and_has_no_finding(blob, ledger, from_memory):
    reading = one(blob, ledger=ledger, pace=Pace(from_memory=from_memory))
    assert (reading.finding, reading.ledger) == (None, LEDGER)
    assert (reading.bytes_read, reading.position, reading.is_done) == (FILE.size, FILE.size, True)
    assert not reading.has_changed


@WAYS
@settings(no_deadline, max_examples=12)
@given(st.sets(st.integers(0, FILE.size - 1), min_size=1, max_size=5))
def test_any_flipped_bytes_are_found_as_exactly_their_chunks(tmp_path_factory, from_memory, offsets):
    place = tmp_path_factory.mktemp("store") / "blob"
    content = CONTENT
    for offset in offsets:
        content = flipped(content, offset)
    place.write_bytes(content)
    finding = one(place, pace=Pace(from_memory=from_memory)).finding
    told = {start // MIB for begin, end in finding.ranges for start in range(begin, end, MIB)}
    assert told == {offset // MIB for offset in offsets}


@WAYS
@pytest.mark.parametrize("size", [0, 1, 511, 4097, MIB, MIB + 1, 4 * MIB, FILE.size - 1, FILE.size, FILE.size + 5000])
def test_a_file_of_any_length_is_judged(blob, size, from_memory):
    blob.write_bytes((CONTENT + CONTENT)[:size])
    for ledger in (LEDGER, None):
        finding = one(blob, ledger=ledger, pace=Pace(from_memory=from_memory)).finding
        expected = FindingKind.TRUNCATED if size < FILE.size else FindingKind.OVERSIZED
        assert (finding and finding.kind) == (None if size == FILE.size else expected)


@pytest.mark.skipif(not MEMORY_FOLDER.is_dir(), reason="there is no file system in memory here")
def test_a_file_system_in_memory_is_read_too():
    folder = Path(tempfile.mkdtemp(dir=MEMORY_FOLDER))
    try:
        (folder / "blob").write_bytes(CONTENT)
        assert one(folder / "blob").finding is None
        (folder / "blob").write_bytes(flipped(CONTENT, 5))
        assert one(folder / "blob").finding.ranges == ((0, MIB),)
    finally:
        shutil.rmtree(folder)


def resident_pages(place):
    """Return how many pages of a file are in memory, as the kernel tells of a mapping that touches none."""
    import ctypes  # noqa: PLC0415  for this law alone

    with place.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        mapped = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        address = ctypes.c_char.from_buffer(mapped)
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mincore(ctypes.c_void_p(ctypes.addressof(address)), ctypes.c_size_t(size), pages) == 0
        del address
        mapped.close()
    return sum(page & 1 for page in pages)


def test_what_serves_from_memory_stays_there_and_nothing_is_added(blob, tmp_path):
    serving, cold = blob, tmp_path / "cold"
    cold.write_bytes(CONTENT)
    for path in (serving, cold):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    serving.read_bytes()
    before = resident_pages(serving), resident_pages(cold)
    if before[1]:
        pytest.skip("this file system keeps its pages whatever it is told")
    for path in (serving, cold):
        assert one(path).finding is None
    assert (resident_pages(serving), resident_pages(cold)) == before


def test_the_disk_is_read_and_not_what_lies_in_memory(blob):
    with Content(blob, from_memory=False) as content:
        view = aligned_buffer(MIB)
        assert content.read(view, MIB) == MIB
        assert bytes(view) == CONTENT[MIB : 2 * MIB]


@pytest.mark.parametrize("stop", [4 * MIB, 5 * MIB, 8 * MIB])
def test_a_part_is_read_and_the_rest_later(blob, stop):
    blob.write_bytes(flipped(flipped(CONTENT, 3), FILE.size - 1))
    first = one(blob, stop=stop)
    assert (first.position, first.is_done, first.bytes_read) == (stop, False, stop)
    assert first.damaged == ((0, MIB),)
    assert first.finding.ranges == ((0, MIB),)
    second = one(blob, start=stop, signature=first.signature, damaged=first.damaged)
    assert second.is_done
    assert second.bytes_read == FILE.size - stop
    assert second.finding.ranges == ((0, MIB), (9 * MIB, FILE.size))


def test_a_part_that_was_read_under_another_signature_makes_the_judgement_void(blob):
    first = one(blob, stop=4 * MIB)
    os.utime(blob)
    assert one(blob, start=4 * MIB, signature=first.signature).has_changed


def test_a_file_that_is_written_to_while_it_is_read_is_not_judged(blob):
    reading = scrub([Subject(blob, FILE, LEDGER)], Pace(), others=nobody, on_read=lambda _: os.utime(blob))[0]
    assert reading.has_changed


def test_a_stop_ends_it_and_what_was_read_counts(blob):
    stop = Event()
    readings = scrub(
        [Subject(blob, FILE, LEDGER), Subject(blob, FILE, None)],
        Pace(stop=stop),
        others=nobody,
        on_read=lambda _: stop.set(),
    )
    assert all(not reading.is_done for reading in readings)
    assert sum(reading.bytes_read for reading in readings) < 2 * FILE.size


class ListenerError(Exception):
    pass


def test_what_a_listener_raises_ends_the_scrub(blob):
    def on_read(_count):
        raise ListenerError

    with pytest.raises(ListenerError):
        scrub([Subject(blob, FILE, LEDGER)] * 4, Pace(), others=nobody, on_read=on_read)


def test_no_file_stays_open(blob):
    gc.collect()  # what others have left open is not closed meanwhile
    before = len([*Path("/proc/self/fd").iterdir()])
    scrub([Subject(blob, FILE, LEDGER), Subject(blob, FILE, None, stop=1)] * 5, Pace(), others=nobody)
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_what_is_absent_or_no_file_is_a_finding_and_not_an_error(tmp_path):
    assert one(tmp_path / "nowhere").finding.kind is FindingKind.MISSING_FILE
    assert one(tmp_path).finding.kind is FindingKind.UNREADABLE
    assert one(tmp_path, ledger=None).finding.kind is FindingKind.UNREADABLE


@pytest.mark.parametrize("with_ledgers", [True, False])
@pytest.mark.parametrize("size", [20 * KIB, 3 * MIB + 7])
def test_the_content_of_another_file_of_the_listing_is_named(tmp_path, size, with_ledgers):
    contents = [random_bytes(size, seed) for seed in (1, 2)]
    files = [file_record(content, f"{index}.safetensors") for index, content in enumerate(contents)]
    ledgers = [ledger_of(c, f) if with_ledgers and size > MIB else None for c, f in zip(contents, files, strict=True)]
    (tmp_path / "first").write_bytes(contents[1])
    reading = one(
        tmp_path / "first",
        file=files[0],
        ledger=ledgers[0],
        others=lambda _file, _size: [Other(files[1], ledgers[1])],
    )
    assert reading.finding.kind is FindingKind.FOREIGN_FILE
    assert "1.safetensors" in reading.finding.cause

"""The law of examination: exactly what is wrong is found, by reading, and nothing else is said to be wrong."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.integrity import FindingKind, examine
from availability.ledger import Ledger
from tests.builders import KIB, MIB, file_record, no_deadline, random_bytes, run_program

CONTENT = random_bytes(5 * MIB + 17)
FILE = file_record(CONTENT)
CHUNKS = [CONTENT[start : start + CHUNK_BYTES] for start in range(0, len(CONTENT), CHUNK_BYTES)]
LEDGER = Ledger(FILE.digest, FILE.size, b"".join(map(chunk_digest, CHUNKS)))
ALL = ((0, FILE.size),)
BOTH = pytest.mark.parametrize("ledger", [LEDGER, None], ids=["by ledger", "whole"])


@pytest.fixture
def blob(tmp_path):
    path = tmp_path / FILE.digest
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def look(path, ledger, file=FILE):
    reads = []
    examination = examine(path, file, ledger, reads.append)
    return examination, sum(reads)


def spoil(path, offsets):
    content = bytearray(CONTENT)
    for offset in offsets:
        content[offset] ^= 0x01
    path.write_bytes(content)


@BOTH
def test_an_intact_file_has_no_finding_and_is_read_whole(blob, ledger):
    examination, read = look(blob, ledger)
    assert examination.finding is None
    assert examination.ledger == LEDGER
    assert examination.bytes_read == read == FILE.size


@pytest.mark.parametrize("lfs", [True, False], ids=["sha256", "git blob id"])
@pytest.mark.parametrize("content", [b"", b"{}\n", random_bytes(MIB + 1)], ids=["empty", "small", "two chunks"])
def test_any_file_that_has_its_publishers_digest_passes_and_gets_a_ledger(tmp_path, content, lfs):
    (tmp_path / "blob").write_bytes(content)
    examination, _ = look(tmp_path / "blob", None, file_record(content, lfs=lfs))
    assert examination.finding is None
    assert examination.ledger.size == len(content)


@no_deadline
@given(st.sets(st.integers(0, FILE.size - 1), max_size=6))
def test_any_flipped_bytes_are_found_as_exactly_their_chunks(one_folder, offsets):
    path = one_folder / "blob"
    spoil(path, offsets)
    finding = look(path, LEDGER)[0].finding
    told = {
        start // CHUNK_BYTES for begin, end in (finding.ranges if finding else ()) for start in range(begin, end, MIB)
    }
    assert told == {offset // CHUNK_BYTES for offset in offsets}
    if finding is not None:
        assert finding.kind is FindingKind.FLIPPED_RANGE
        assert all(one[1] < other[0] for one, other in zip(finding.ranges, finding.ranges[1:], strict=False))
        assert finding.ranges[-1][1] <= FILE.size


def test_one_flipped_byte_is_found_without_a_ledger_but_not_where(blob):
    spoil(blob, [4 * MIB])
    examination, _ = look(blob, None)
    assert (examination.finding.kind, examination.finding.ranges) == (FindingKind.FLIPPED_RANGE, ALL)
    assert examination.ledger is None


def test_the_last_short_chunk_ends_where_the_file_does(blob):
    spoil(blob, [FILE.size - 1])
    assert look(blob, LEDGER)[0].finding.ranges == ((5 * MIB, FILE.size),)


def test_a_zeroed_stretch_is_one_range(blob):
    with blob.open("r+b") as file:
        file.seek(MIB + 5)
        file.write(bytes(2 * MIB))
    assert look(blob, LEDGER)[0].finding.ranges == ((MIB, 4 * MIB),)


@pytest.mark.parametrize("size", [0, 1, MIB, 2 * MIB + 5, FILE.size - 1])
def test_a_truncated_file_lacks_the_chunks_from_its_end_on(blob, size):
    os.truncate(blob, size)
    finding = look(blob, LEDGER)[0].finding
    assert (finding.kind, finding.ranges) == (FindingKind.TRUNCATED, ((size // MIB * MIB, FILE.size),))
    assert f"after {size} of {FILE.size} bytes" in finding.cause


@pytest.mark.parametrize(("ledger", "ranges"), [(LEDGER, ()), (None, ALL)], ids=["by ledger", "whole"])
def test_a_file_that_is_too_long_is_oversized_even_if_its_beginning_is_right(blob, ledger, ranges):
    blob.write_bytes(CONTENT + b"x")
    finding = look(blob, ledger)[0].finding
    assert (finding.kind, finding.ranges) == (FindingKind.OVERSIZED, ranges)


def test_of_a_file_of_the_wrong_size_without_a_ledger_hardly_anything_is_read(blob):
    os.truncate(blob, 3 * MIB)
    examination, read = look(blob, None)
    assert (examination.finding.kind, examination.finding.ranges) == (FindingKind.TRUNCATED, ALL)
    assert examination.bytes_read == read < KIB


@BOTH
def test_an_absent_file_and_a_dangling_link_are_missing(tmp_path, ledger):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "nowhere", tmp_path / "link"):
        assert look(path, ledger)[0].finding.kind is FindingKind.MISSING_FILE


@BOTH
def test_what_cannot_be_read_is_unreadable_and_says_why(tmp_path, ledger):
    finding = look(tmp_path, ledger)[0].finding
    assert finding.kind is FindingKind.UNREADABLE
    assert os.strerror(errno.EISDIR) in finding.cause


def test_a_disk_that_fails_while_it_is_read_is_a_finding_too():
    # The kernel answers with EIO for the first page of a process's memory.
    finding = look(Path("/proc/self/mem"), LEDGER)[0].finding
    assert finding.kind is FindingKind.UNREADABLE
    assert os.strerror(errno.EIO) in finding.cause


def test_a_file_we_may_not_read_is_unreadable(tmp_path):
    # As another user, because root may read everything.
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    path.chmod(0)
    program = f"""
import os, sys
from pathlib import Path
from availability.integrity import examine
from availability.model import FileRecord
descriptor = os.open(sys.argv[1], os.O_DIRECTORY)
become_nobody()
place = Path(f"/proc/self/fd/{{descriptor}}/blob")
print(examine(place, FileRecord("f", {FILE.size}, "a" * 40), None, print).finding.kind)
"""
    assert run_program(program, tmp_path).strip() == "unreadable"


@BOTH
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), FileNotFoundError(errno.ENOENT, "gone")],
    ids=["interrupt", "full disk", "no folder for records"],
)
def test_what_the_listener_raises_ends_the_reading_and_is_no_finding(blob, ledger, error):
    def on_read(_count):
        raise error

    with pytest.raises(type(error)) as caught:
        examine(blob, FILE, ledger, on_read)
    assert caught.value is error

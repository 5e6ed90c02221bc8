"""Judging bytes that are already there: findings, never sizes alone as a verdict.

A judge takes a file's bytes from whoever reads them and says in the end what is wrong: chunk by chunk and in any order
where the file has a ledger (`ChunkJudge`), else as a whole and in order (`WholeJudge`), which makes the ledger anew.
`examine` reads one file through the page cache, once; reading many from the disk itself is `availability.scrub`'s task.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from availability.diagnosis import HEAD_BYTES, Observation, diagnose, joined, zero_runs
from availability.digests import CHUNK_BYTES, Buffer, chunk_count, chunk_digest, publisher_hasher
from availability.findings import SEVERITIES, Finding, FindingKind, FindingRecord, Severity
from availability.ledger import Ledger
from availability.model import FileRecord

__all__ = [
    "SEVERITIES",
    "ChunkJudge",
    "Examination",
    "Finding",
    "FindingKind",
    "FindingRecord",
    "Judge",
    "Other",
    "Severity",
    "WholeJudge",
    "examine",
    "finding_of_error",
    "judge_of",
]

_TELLING_ZEROS = 4096


@dataclass(frozen=True, slots=True)
class Examination:
    """What reading a file told.

    Attributes:
        finding: what is wrong, None when the file has its publisher's digest.
        ledger: the file's ledger, None when it is damaged and had none.
        bytes_read: from the disk.
    """

    finding: Finding | None
    ledger: Ledger | None
    bytes_read: int


@dataclass(frozen=True, slots=True)
class Other:
    """Another file of the same listing, whose content a damaged one might hold, and its ledger if it has one."""

    file: FileRecord
    ledger: Ledger | None = None


@dataclass(slots=True)
class ChunkJudge:
    """Judges a file's chunks against its ledger, in any order and from any thread.

    Attributes:
        file: what it must be.
        ledger: what its chunks must be.
        size: bytes it has on the disk.
        damaged: the ranges found wrong so far.
    """

    file: FileRecord
    ledger: Ledger
    size: int
    damaged: list[tuple[int, int]] = field(default_factory=list)
    _head: bytes = b""
    _zeroed: list[tuple[int, int]] = field(default_factory=list)
    _actual: dict[int, bytes] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def wants(self) -> int:
        """How many bytes it has to be given: up to where the file should end, even if it ends before."""
        return self.file.size

    def take(self, index: int, chunk: Buffer) -> None:
        """Judge one chunk; what lies beyond the end of the file is an empty one."""
        digest = chunk_digest(chunk)
        if digest == self.ledger.chunk(index):
            return
        start = index * CHUNK_BYTES
        runs = list(zero_runs(chunk, start))
        with self._lock:
            self.damaged.append((start, min(start + CHUNK_BYTES, self.file.size)))
            self._zeroed += runs
            self._actual[index] = digest
            if index == 0:
                self._head = bytes(chunk[:HEAD_BYTES])

    def finding(self, others: Iterable[Other]) -> Finding | None:
        """Return what is wrong, after every chunk was taken."""
        observation = Observation(
            self.size, joined(self.damaged), self._head, tuple(sorted(self._zeroed)), self._content_of(others)
        )
        return diagnose(self.file, observation)

    def _content_of(self, others: Iterable[Other]) -> str | None:
        if not self._actual:
            return None
        # The last chunk of files of unequal size says nothing.
        comparable = range(min(self.size, self.file.size) // CHUNK_BYTES)
        for other in others:
            ledger = other.ledger
            if ledger is not None and comparable and all(self._digest(i) == ledger.chunk(i) for i in comparable):
                return other.file.path
        return None

    def _digest(self, index: int) -> bytes:
        return self._actual.get(index) or self.ledger.chunk(index)


class WholeJudge:
    """Judges a file without a ledger, from its first byte to its last, and makes its ledger on the way."""

    def __init__(self, file: FileRecord, size: int) -> None:
        """Judge a file that has `size` bytes on the disk."""
        self._file = file
        self._size = size
        self._whole = publisher_hasher(file)
        self._chunks = bytearray()
        self._zeroed: list[tuple[int, int]] = []
        self._first = b""

    @property
    def wants(self) -> int:
        """How many bytes it has to be given: of a file of another size only what tells what it is."""
        if self._size == self._file.size or self._size <= CHUNK_BYTES:
            return self._size
        return HEAD_BYTES

    def take(self, index: int, chunk: Buffer) -> None:
        """Take the next chunk."""
        self._whole.update(chunk)
        self._chunks += chunk_digest(chunk)
        if index == 0:
            self._first = bytes(chunk)
        # Nothing says which chunk is wrong, and tensors may well hold some zeros of their own.
        least = 0 if self._file.size <= CHUNK_BYTES else _TELLING_ZEROS
        offset = index * CHUNK_BYTES
        self._zeroed += [run for run in zero_runs(chunk, offset) if run[1] - run[0] >= least]

    @property
    def ledger(self) -> Ledger | None:
        """The ledger, None while the file is not known to be what its publisher says."""
        if self._size != self._file.size or self._whole.hexdigest() != self._file.digest:
            return None
        return Ledger(self._file.digest, self._size, bytes(self._chunks))

    def finding(self, others: Iterable[Other]) -> Finding | None:
        """Return what is wrong, after everything it wants was taken."""
        if self.ledger is not None:
            return None
        observation = Observation(
            size=self._size,
            damaged=((0, self._file.size),) if self._file.size else (),
            head=self._first[:HEAD_BYTES],
            zeroed=tuple(self._zeroed),
            content_of=next((other.file.path for other in others if self._is(other.file)), None),
        )
        return diagnose(self._file, observation) or Finding(
            FindingKind.FLIPPED_RANGE, self._file, (), "the publisher lists another digest for no bytes at all"
        )

    def _is(self, other: FileRecord) -> bool:
        if self._size != other.size:
            return False
        if self._size > CHUNK_BYTES:
            return self._size == self._file.size and self._whole.hexdigest() == other.digest
        hasher = publisher_hasher(other)
        hasher.update(self._first)
        return hasher.hexdigest() == other.digest


Judge = ChunkJudge | WholeJudge


def examine(path: Path, file: FileRecord, ledger: Ledger | None, on_read: Callable[[int], None]) -> Examination:
    """Read a file and judge it: chunk by chunk where it has a ledger, else as a whole.

    Args:
        path: where it lies.
        file: what it must be.
        ledger: what its chunks must be, if that is known.
        on_read: told how many bytes were read, again and again; what it raises ends the reading.
    """
    try:
        content = path.open("rb", buffering=0)
    except OSError as error:
        return Examination(finding_of_error(file, error), ledger, 0)
    bytes_read = 0
    with content:
        judge = judge_of(file, ledger, os.fstat(content.fileno()).st_size)
        for index in range(chunk_count(judge.wants)):
            start = index * CHUNK_BYTES
            try:
                chunk = os.pread(content.fileno(), min(CHUNK_BYTES, judge.wants - start), start)
            except OSError as error:
                return Examination(finding_of_error(file, error), ledger, bytes_read)
            judge.take(index, chunk)
            bytes_read += len(chunk)
            on_read(len(chunk))
    return Examination(judge.finding(()), judge.ledger, bytes_read)


def judge_of(file: FileRecord, ledger: Ledger | None, size: int) -> Judge:
    """Return the judge for a file that has `size` bytes on the disk."""
    return WholeJudge(file, size) if ledger is None else ChunkJudge(file, ledger, size)


def finding_of_error(file: FileRecord, error: OSError) -> Finding:
    """Return what it means that a file could not be read."""
    if isinstance(error, FileNotFoundError):
        return Finding(FindingKind.MISSING_FILE, file, (), "it was removed")
    cause = f"reading it failed: {error.strerror}; the disk or its permissions are at fault"
    return Finding(FindingKind.UNREADABLE, file, (), cause)

"""Judging bytes that are already there: findings, never sizes alone as a verdict.

Here the reading and comparing happens; what to do about a finding is `availability.repair`'s question.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from availability.digests import CHUNK_BYTES, chunk_count, chunk_digest, publisher_hasher
from availability.ledger import Ledger
from availability.model import FileRecord


class FindingKind(StrEnum):
    """What is wrong with a file."""

    MISSING_FILE = "missing_file"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    FLIPPED_RANGE = "flipped_range"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one file.

    Attributes:
        kind: what.
        file: with which file of the listing.
        ranges: the damaged bytes as (start, stop), stop exclusive; none when they are not known, which means all.
        cause: the likely cause, as a sentence.
    """

    kind: FindingKind
    file: FileRecord
    ranges: tuple[tuple[int, int], ...]
    cause: str


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


def examine(path: Path, file: FileRecord, ledger: Ledger | None, on_read: Callable[[int], None]) -> Examination:
    """Read a file and judge it: chunk by chunk where it has a ledger, else as a whole.

    Args:
        path: where it lies.
        file: what it must be.
        ledger: what its chunks must be, if that is known.
        on_read: told how many bytes were read, again and again; what it raises ends the reading.
    """
    try:
        with path.open("rb", buffering=0) as content:
            size = os.fstat(content.fileno()).st_size
            if ledger is not None:
                return _by_chunks(content.fileno(), file, ledger, size, on_read)
            return _as_whole(content.fileno(), file, size, on_read)
    except FileNotFoundError:
        return Examination(Finding(FindingKind.MISSING_FILE, file, (), "it was removed"), ledger, 0)
    except OSError as error:
        cause = f"reading it failed: {error.strerror}; the disk or its permissions are at fault"
        return Examination(Finding(FindingKind.UNREADABLE, file, (), cause), ledger, 0)


def _by_chunks(
    descriptor: int, file: FileRecord, ledger: Ledger, size: int, on_read: Callable[[int], None]
) -> Examination:
    damaged: list[tuple[int, int]] = []
    for index in range(chunk_count(file.size)):
        start, stop = index * CHUNK_BYTES, min((index + 1) * CHUNK_BYTES, file.size)
        chunk = os.pread(descriptor, stop - start, start)
        if chunk_digest(chunk) != ledger.chunk(index):
            if damaged and damaged[-1][1] == start:
                damaged[-1] = (damaged[-1][0], stop)
            else:
                damaged.append((start, stop))
        on_read(len(chunk))
    return Examination(_finding(file, size, tuple(damaged)), ledger, min(size, file.size))


def _as_whole(descriptor: int, file: FileRecord, size: int, on_read: Callable[[int], None]) -> Examination:
    if size != file.size:
        # Its digest cannot match, so it need not be read.
        return Examination(_finding(file, size, ((0, file.size),)), None, 0)
    whole, chunks = publisher_hasher(file), bytearray()
    for index in range(chunk_count(file.size)):
        chunk = os.pread(descriptor, CHUNK_BYTES, index * CHUNK_BYTES)
        whole.update(chunk)
        chunks += chunk_digest(chunk)
        on_read(len(chunk))
    if whole.hexdigest() == file.digest:
        return Examination(None, Ledger(file.digest, file.size, bytes(chunks)), size)
    return Examination(_finding(file, size, ((0, file.size),)), None, size)


def _finding(file: FileRecord, size: int, damaged: tuple[tuple[int, int], ...]) -> Finding | None:
    if size < file.size:
        return Finding(
            FindingKind.TRUNCATED, file, damaged, f"it ends after {size} of {file.size} bytes: a copy was cut off"
        )
    if size > file.size:
        return Finding(
            FindingKind.OVERSIZED, file, damaged, f"it has {size} bytes instead of {file.size}: it was written to"
        )
    if damaged:
        return Finding(FindingKind.FLIPPED_RANGE, file, damaged, "it was overwritten, or the disk rots")
    return None

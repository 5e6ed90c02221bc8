"""Healing a blob where it lies: only the damaged chunks are fetched, and each is proven before it is written.

Blobs are named by their content, so right bytes over wrong ones are safe for whoever reads or maps the file meanwhile,
and after a crash: every chunk is either still wrong, and found again, or right.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.durable import write_whole
from availability.errors import DownloadIntegrityError, SourceUnavailableError
from availability.ledger import Ledger
from availability.model import FileRecord, Listing
from availability.sources.base import Body, Source
from availability.transfer.meter import Meter


def mend(
    path: Path,
    ledger: Ledger,
    ranges: Iterable[tuple[int, int]],
    *,
    file: FileRecord,
    source: Source,
    listing: Listing,
    meter: Meter,
) -> None:
    """Fetch ranges of a file and write them over what is there; what is right by now is left alone.

    Args:
        path: the blob; links are followed, so content that models share is healed for all of them.
        ledger: what each chunk must be.
        ranges: where it is not, as (start, stop) on chunk boundaries.
        file: its record in the listing.
        source: where from.
        listing: which commit.
        meter: counts.

    Raises:
        DownloadIntegrityError: what arrived, or what could be read back, is not what the ledger says.
        SourceUnavailableError: it did not arrive.
        OSError: the blob cannot be written.
    """
    with _writable(path.resolve()) as descriptor:
        for start, stop in _still_wrong(descriptor, ledger, ranges):
            with closing(source.open(listing, file, start, stop)) as body:
                for offset, chunk in _chunks(body, start, stop, source.name, meter):
                    _write_chunk(descriptor, file, ledger, offset, chunk)
                    meter.kept(len(chunk))
        os.fsync(descriptor)


def _still_wrong(descriptor: int, ledger: Ledger, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the stretches that are wrong now: an attempt that broke off has healed some already."""
    for start, stop in ranges:
        begin: int | None = None
        for offset in range(start, stop, CHUNK_BYTES):
            wrong = not _is_right(descriptor, ledger, offset)
            if wrong and begin is None:
                begin = offset
            if not wrong and begin is not None:
                yield begin, offset
                begin = None
        if begin is not None:
            yield begin, stop


def _chunks(body: Body, start: int, stop: int, source: str, meter: Meter) -> Iterator[tuple[int, bytes]]:
    """Yield the chunks of a range as they arrive; a source that ignores ranges sends what is before them as well."""
    for _ in _pieces(body, start - body.start, source, meter):
        pass
    for offset in range(start, stop, CHUNK_BYTES):
        yield offset, b"".join(_pieces(body, min(CHUNK_BYTES, stop - offset), source, meter))


def _pieces(body: Body, count: int, source: str, meter: Meter) -> Iterator[bytes]:
    while count > 0:
        data = body.read(min(CHUNK_BYTES, count))
        if not data:
            raise SourceUnavailableError(f"{source} ended a file before its last byte")
        meter.received(source, len(data))
        count -= len(data)
        yield data


def _is_right(descriptor: int, ledger: Ledger, offset: int) -> bool:
    length = min(CHUNK_BYTES, ledger.size - offset)
    return chunk_digest(os.pread(descriptor, length, offset)) == ledger.chunk(offset // CHUNK_BYTES)


def _write_chunk(descriptor: int, file: FileRecord, ledger: Ledger, offset: int, chunk: bytes) -> None:
    expected = ledger.chunk(offset // CHUNK_BYTES)
    got = chunk_digest(chunk)
    if got == expected:
        write_whole(descriptor, chunk, offset)
        got = chunk_digest(os.pread(descriptor, len(chunk), offset))
    if got != expected:
        raise DownloadIntegrityError(
            f"{file.path} cannot be healed at byte {offset}: the chunk has the BLAKE3 {got.hex()}, expected "
            f"{expected.hex()}; nothing wrong was written",
            path=file.path,
            expected=expected.hex(),
            got=got.hex(),
        )


@contextmanager
def _writable(path: Path) -> Iterator[int]:
    """Open a blob for writing; one that its owner has made read-only is so again before anything is written."""
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        if not mode & stat.S_IWUSR:
            path.chmod(mode | stat.S_IWUSR)
        descriptor = os.open(path, os.O_RDWR)
    finally:
        with suppress(OSError):
            path.chmod(mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

"""Healing a blob where it lies: only the damaged chunks are fetched, and each is proven before it is written.

Blobs are named by their content, so right bytes over wrong ones are safe for whoever reads or maps the file meanwhile,
and after a crash: every chunk is either still wrong, and found again, or right.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.durable import write_whole
from availability.errors import DownloadIntegrityError, SourceUnavailableError, StorageError
from availability.ledger import Ledger
from availability.model import FileRecord, Listing
from availability.sources.base import Source
from availability.sources.body import SourcedBody
from availability.sources.chain import Chain, chain_of
from availability.transfer.meter import Meter
from availability.transfer.throttle import Limiter, read_within

_NEVER = Event()
"""Whoever waits here for leave is not called away: `on_tick` ends it between two pieces."""


def mend(
    path: Path,
    ledger: Ledger,
    ranges: Iterable[tuple[int, int]],
    *,
    file: FileRecord,
    source: Source,
    listing: Listing,
    meter: Meter,
    throttle: Limiter,
    on_tick: Callable[[], None],
) -> None:
    """Fetch ranges of a file and write them over what is there; what is right by now is left alone.

    Args:
        path: the blob; links are followed, so content that models share is healed for all of them.
        ledger: what each chunk must be.
        ranges: where it is not, as (start, stop) on chunk boundaries.
        file: its record in the listing.
        source: where from; of a chain, whoever fails or lies is left for another one.
        listing: which commit.
        meter: counts.
        throttle: the speed limits that hold for it.
        on_tick: called for each piece; what it raises ends it.

    Raises:
        DownloadIntegrityError: what arrived is not what the ledger says.
        SourceUnavailableError: it did not arrive.
        OSError, StorageError: the blob cannot be written.
    """
    chain, ranges = chain_of(source), tuple(ranges)
    try:
        with _writable(path.resolve()) as descriptor:
            wound = _Wound(descriptor, file, ledger, meter, throttle, on_tick)
            _mend(wound, ranges, chain, listing)
            os.fsync(descriptor)
    finally:
        chain.rest(listing.model, [file.digest])


def _mend(wound: "_Wound", ranges: Sequence[tuple[int, int]], chain: Chain, listing: Listing) -> None:
    while True:
        try:
            for start, stop in _still_wrong(wound.descriptor, wound.ledger, ranges):
                with chain.open(listing, wound.file, start, stop) as body:
                    wound.heal(body, start, stop)
        except (SourceUnavailableError, DownloadIntegrityError) as error:
            # Each chunk is judged by itself, so whoever failed is known, and another one goes on from here.
            if not chain.has_another(listing, wound.file):
                raise chain.verdict(listing, wound.file, error) from None
        else:
            return


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


@dataclass(frozen=True, slots=True)
class _Wound:
    """A file open for healing."""

    descriptor: int
    file: FileRecord
    ledger: Ledger
    meter: Meter
    throttle: Limiter
    on_tick: Callable[[], None]

    def heal(self, body: SourcedBody, start: int, stop: int) -> None:
        """Write the chunks of a range as they arrive; a source that ignores ranges sends what is before them too."""
        for _ in self._pieces(body, start - body.start):
            pass
        for offset in range(start, stop, CHUNK_BYTES):
            chunk = b"".join(self._pieces(body, min(CHUNK_BYTES, stop - offset)))
            self._check(offset, chunk)
            self._write(offset, chunk)
            self.meter.kept(len(chunk))

    def _pieces(self, body: SourcedBody, count: int) -> Iterator[bytes]:
        while count > 0:
            self.on_tick()
            data = read_within(self.throttle, body, min(CHUNK_BYTES, count), _NEVER)
            self.meter.received(body.source, len(data))
            count -= len(data)
            yield data

    def _check(self, offset: int, chunk: bytes) -> None:
        expected, got = self.ledger.chunk(offset // CHUNK_BYTES), chunk_digest(chunk)
        if got != expected:
            raise DownloadIntegrityError(
                f"{self.file.path} cannot be healed at byte {offset}: the chunk has the BLAKE3 {got.hex()}, expected "
                f"{expected.hex()}; nothing wrong was written",
                path=self.file.path,
                expected=expected.hex(),
                got=got.hex(),
            )

    def _write(self, offset: int, chunk: bytes) -> None:
        write_whole(self.descriptor, chunk, offset)
        if not _is_right(self.descriptor, self.ledger, offset):
            raise StorageError(f"The disk gives back something else than was written to {self.file.path} at {offset}.")


def _is_right(descriptor: int, ledger: Ledger, offset: int) -> bool:
    length = min(CHUNK_BYTES, ledger.size - offset)
    return chunk_digest(os.pread(descriptor, length, offset)) == ledger.chunk(offset // CHUNK_BYTES)


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

"""Writing right bytes over wrong ones in one file, with evidence before and proof after.

In place where that can be done, so that whoever has the file mapped sees it heal; in a copy that takes its place where
the file is too long or not ours to write in. What was written is read back from the disk, not from memory.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from availability.digests import CHUNK_BYTES, chunk_digest
from availability.direct import ALIGNMENT_BYTES, Content, aligned_buffer
from availability.download import Download
from availability.errors import DownloadIntegrityError
from availability.ledger import Ledger
from availability.model import FileRecord, Listing
from availability.road.fetching import make_sure_of_room, mend_in_place

Ranges = Sequence[tuple[int, int]]
_COPY_BYTES = 8 * CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Wound:
    """What is to be healed.

    Attributes:
        file: whose content.
        place: where it lies.
        ledger: what each chunk must be.
        ranges: where it is not, as (start, stop) on chunk boundaries.
    """

    file: FileRecord
    place: Path
    ledger: Ledger
    ranges: Ranges


def heal(download: Download, listing: Listing, wound: Wound) -> None:
    """Fetch the wrong ranges of a file and write them, each chunk proven before and after.

    Raises:
        TransientError: another attempt can heal the rest.
        FinalError: refused, cancelled, or there is no room.
        DownloadIntegrityError: what the disk gives back is still wrong.
    """
    try:
        if wound.place.stat().st_size <= wound.file.size:
            _mend(download, listing, wound)
            _confirm(wound)
            return
    except PermissionError:
        # Not our file: its folder may be ours none the less.
        pass
    copy = replace(wound, place=_copy(download, wound))
    _mend(download, listing, copy)
    download.check_lease()
    download.workspace.store.publish_blobs(download.model, [wound.file])
    _confirm(replace(wound, place=download.workspace.store.blob(download.model, wound.file)))


def still_wrong(place: Path, ledger: Ledger, ranges: Ranges, *, from_memory: bool = False) -> list[tuple[int, int]]:
    """Return which chunks of ranges the disk gives back wrong."""
    with Content(place, from_memory=from_memory) as content:
        view = aligned_buffer(CHUNK_BYTES)
        return [chunk for chunk in _chunks(ranges, ledger.size) if not _is_right(content, view, ledger, chunk)]


def _mend(download: Download, listing: Listing, wound: Wound) -> None:
    mend_in_place(download, listing, wound.file, wound.place, ledger=wound.ledger, ranges=wound.ranges)


def _confirm(wound: Wound) -> None:
    wrong = still_wrong(wound.place, ledger=wound.ledger, ranges=wound.ranges)
    if wrong and not still_wrong(wound.place, wound.ledger, wrong, from_memory=True):
        # Right in memory, where the healing looked, and wrong on the disk: write it down.
        _write_down(wound.place, wrong)
        wrong = still_wrong(wound.place, wound.ledger, wrong)
    if wrong:
        raise DownloadIntegrityError(
            f"{wound.file.path} is still wrong at byte {wrong[0][0]} after it was healed: the disk does not keep it",
            path=wound.file.path,
            expected=wound.file.digest,
            got="something else",
        )


def _write_down(place: Path, ranges: Ranges) -> None:
    descriptor = os.open(place, os.O_RDWR)
    try:
        for start, stop in ranges:
            os.pwrite(descriptor, os.pread(descriptor, stop - start, start), start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(download: Download, wound: Wound) -> Path:
    """Copy what there is of a file, as far as it may go, to where blobs are published from."""
    file = wound.file
    make_sure_of_room(download, file.size)
    download.workspace.store.prepare(download.model)
    staged = download.workspace.staging(download.model).path(file)
    with wound.place.open("rb") as reader, staged.open("wb") as writer:
        for start in range(0, file.size, _COPY_BYTES):
            writer.write(reader.read(min(_COPY_BYTES, file.size - start)))
            download.tick()
    return staged


def _chunks(ranges: Ranges, size: int) -> Iterable[tuple[int, int]]:
    for start, stop in ranges:
        for offset in range(start, stop, CHUNK_BYTES):
            yield offset, min(offset + CHUNK_BYTES, stop, size)


def _is_right(content: Content, view: memoryview, ledger: Ledger, chunk: tuple[int, int]) -> bool:
    start, stop = chunk
    aligned = -(-(stop - start) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    count = min(content.read(view[:aligned], start), stop - start)
    return chunk_digest(view[:count]) == ledger.chunk(start // CHUNK_BYTES)

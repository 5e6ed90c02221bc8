"""Receiving a small file into memory and proving it there."""

from contextlib import closing

from availability.digests import publisher_hasher
from availability.errors import DownloadIntegrityError, SourceUnavailableError
from availability.model import FileRecord, Listing
from availability.sources.base import Source


def fetch_whole(source: Source, listing: Listing, file: FileRecord) -> bytes:
    """Return the proven content of a file, without writing anything.

    Raises:
        DownloadIntegrityError: what arrived is not what the publisher says.
        SourceUnavailableError: it did not arrive.
    """
    content = bytearray()
    with closing(source.open(listing, file, 0, file.size)) as body:
        while len(content) < file.size:
            data = body.read(file.size - len(content))
            if not data:
                raise SourceUnavailableError(f"{source.name} ended {file.path} before its last byte")
            content += data
    check_whole(file, content)
    return bytes(content)


def check_whole(file: FileRecord, content: bytes | bytearray) -> None:
    """Make sure that a file's content is what its publisher says.

    Raises:
        DownloadIntegrityError: it is not.
    """
    hasher = publisher_hasher(file)
    hasher.update(content)
    if hasher.hexdigest() != file.digest:
        raise wrong_bytes(file, hasher.hexdigest())


def wrong_bytes(file: FileRecord, got: str) -> DownloadIntegrityError:
    """Return the error of a file that arrived with another digest than its publisher's."""
    return DownloadIntegrityError(
        f"{file.path} arrived with the {file.digest_kind} {got}, expected {file.digest}; it was not published",
        path=file.path,
        expected=file.digest,
        got=got,
    )

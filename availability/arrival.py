"""What arrived, held against what its publisher says: the last look before content is kept."""

from availability.digests import publisher_hasher
from availability.errors import DownloadIntegrityError
from availability.model import FileRecord


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

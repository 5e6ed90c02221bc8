"""What every source of bytes promises.

Identity is separate from transport: `listing` is believed only from a trusted source, `open` may be answered by anyone,
because whoever receives the bytes proves them.
"""

from typing import Protocol

from availability.model import FileRecord, Listing, ModelId


class Body(Protocol):
    """Bytes of one file on their way.

    Attributes:
        start: offset in the file of the first byte that comes.
        stop: offset after the last byte that comes. A source that ignores ranges sends the whole file.
        tag: the source's ETag for the content, None when it gives none; equal tags mean equal content.
    """

    start: int
    stop: int
    tag: str | None

    def read(self, most: int) -> bytes:
        """Return the next bytes as soon as there are any, at most `most`; none at the end of what was asked for.

        Raises:
            SourceUnavailableError: the connection broke, stalled or ended early.
        """

    def abort(self) -> None:
        """Break the connection from another thread: a `read` that waits ends."""

    def close(self) -> None:
        """Let the connection go: kept for the next request when everything was read, else closed."""


class Source(Protocol):
    """One provider of models.

    Attributes:
        name: what people and records call it.
    """

    name: str

    def listing(self, model: ModelId) -> Listing:
        """Say what the revision consists of now.

        Raises:
            ModelNotFoundError, RevisionNotFoundError, AccessDeniedError, OfflineError: it cannot be had here.
            SourceUnavailableError: it could not be asked.
        """

    def open(self, listing: Listing, file: FileRecord, start: int, stop: int) -> Body:
        """Ask for bytes `start` to `stop` (exclusive) of a file of the listing.

        Raises:
            SourceUnavailableError, RateLimitedError: not now.
            FinalError: never.
        """

"""Bytes that know who sends them, and how long it was waited for them.

Whoever reads them uses it as a context: what ends the block tells what the source is worth. A block that ends with
`SourceUnavailableError` is a failure of the source, with `DownloadIntegrityError` a strike against it.
"""

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from availability.errors import (
    DownloadIntegrityError,
    EnhancedModelAvailabilityError,
    SourceUnavailableError,
    TransientError,
)
from availability.model import FileRecord, Listing
from availability.sources.base import Body
from availability.sources.member import Member


class LeftError(SourceUnavailableError):
    """A source that sends is left for another one.

    Attributes:
        is_at_fault: it is too slow; else another one is only tried.
    """

    def __init__(self, message: str, *, is_at_fault: bool) -> None:
        super().__init__(message, kind="slow")
        self.is_at_fault = is_at_fault


_REST_SECONDS = 1.0
_USEFUL_BYTES = 64 * 1024
"""What a request must have brought to count as one that went well although it was not read to its end."""
_WINDOW_SECONDS = 0.25


class _Seen(NamedTuple):
    received: int
    waited: float
    at: float


class SourcedBody:
    """One file's bytes from one member of the chain.

    Attributes:
        source: the member's name.
        member: who sends.
        listing: of which commit.
        file: which file.
        received: bytes so far.
        waited: seconds spent waiting for them; what we do with them in between does not count.
        failure: how it failed, or why it was left; None while neither is so.
    """

    def __init__(
        self,
        body: Body,
        member: Member,
        listing: Listing,
        file: FileRecord,
        *,
        on_close: Callable[["SourcedBody"], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.start, self.stop, self.tag = body.start, body.stop, body.tag
        self.source, self.member, self.listing, self.file = member.name, member, listing, file
        self.received = 0
        self.waited = 0.0
        self.failure: TransientError | None = None
        self._body = body
        self._on_close = on_close
        self._clock = clock
        self._reading_since: float | None = None
        self._seen = _Seen(0, 0.0, clock())
        self._dropped: LeftError | None = None
        self._is_aborted = False
        self._is_closed = False

    def read(self, most: int) -> bytes:
        """Return the next bytes; see `availability.sources.base.Body.read`."""
        self._reading_since = began = self._clock()
        try:
            data = self._body.read(most)
        except EnhancedModelAvailabilityError as error:
            raise self._dropped or error from None
        except Exception as error:
            raise self._dropped or SourceUnavailableError(
                f"{self.source} raised {type(error).__name__} while it sent {self.file.path}", kind="malformed"
            ) from error
        finally:
            self._reading_since = None
        self.waited += self._clock() - began
        self.received += len(data)
        if not data and self.received < self.stop - self.start:
            raise SourceUnavailableError(
                f"{self.source} ended {self.file.path} before its last byte", kind="broken_off"
            )
        return data

    def abort(self) -> None:
        """Break the connection from another thread; that is no failure of the source."""
        self._is_aborted = True
        self._body.abort()

    def drop(self, error: LeftError) -> None:
        """Give this source up from another thread: the read that waits ends with this error."""
        self._dropped = error
        self._body.abort()

    @property
    def waiting(self) -> float:
        """Seconds spent waiting for bytes, the read that waits just now included."""
        since = self._reading_since
        return self.waited + (self._clock() - since if since is not None else 0.0)

    def pace(self) -> float | None:
        """Return the bytes a second since this was last asked with an answer; None while it is too early to say.

        Judged is the time for which it was waited. What the source is credited with, by which others are judged, is the
        whole time: bytes that had gathered meanwhile would make it look faster than its line is.
        """
        now, before = _Seen(self.received, self.waiting, self._clock()), self._seen
        if now.at - before.at < _WINDOW_SECONDS:
            return None
        self._seen = now
        count = now.received - before.received
        self.member.account.sent(count, now.at - before.at)
        return count / max(now.waited - before.waited, 1e-6)

    def close(self) -> None:
        """Let the connection and the place at the source go."""
        if self._is_closed:
            return
        self._is_closed = True
        self.member.account.sent(self.received - self._seen.received, self._clock() - self._seen.at)
        self._body.close()
        self.member.release()
        self._on_close(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LeftError) and not error.is_at_fault:
            self.failure = error
            self.member.bench(_REST_SECONDS)
        elif self._is_aborted and isinstance(error, SourceUnavailableError):
            pass
        elif isinstance(error, SourceUnavailableError | DownloadIntegrityError):
            self.failure = error
            self.member.failed(self.listing, self.file, error)
        elif self.received >= min(_USEFUL_BYTES, self.stop - self.start):
            self.member.succeeded()
        self.close()

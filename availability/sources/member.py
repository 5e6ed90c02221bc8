"""One source as a member of the chain: whether it is asked for a file just now, and what is thought of it until then.

Everything here is of the moment and of this process; what outlives it is the account.
"""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from availability.digests import CHUNK_BYTES
from availability.errors import (
    DownloadIntegrityError,
    EnhancedModelAvailabilityError,
    FileNotServedError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceUnavailableError,
)
from availability.model import FileRecord, Listing
from availability.sources.account import ABSENT, REFUSED, Account
from availability.sources.base import Source
from availability.sources.verdict import BINDING

MOST_CONNECTIONS = 4
"""Of one transfer at one source, while another could be asked: then the line is what is slow, and two carry more."""

PROBATION_BYTES = 16 * CHUNK_BYTES
"""A source that has not proven so much is given one large file at a time: what it can spoil is bounded."""

_LACKS_SECONDS = 60.0
_FIRST_BENCH_SECONDS = 0.5
_LONGEST_BENCH_SECONDS = 30.0


class Member:
    """A source, and how it does; safe to call from any thread.

    Attributes:
        source: the provider.
        kind: which sort of provider: `hub`, `mirror`, or the name under which it is registered.
        account: what is counted of it.
        is_trusted: its listings are believed, and its answers about a file or a revision bind.
        is_local: it is on this machine: it works offline and no line limits it.
        doubts: the digests of files of which it has sent something wrong.
        was_examined: it has sent a small file right in this process.
        last_error: how it failed last, None when it went well since.
    """

    def __init__(
        self,
        source: Source,
        kind: str = "source",
        account: Account | None = None,
        *,
        is_trusted: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.source = source
        self.name = source.name
        self.kind = kind
        self.account = account or Account(source.name)
        self.is_trusted = is_trusted
        self.is_local = bool(getattr(source, "is_local", False))
        self.doubts: set[str] = set()
        self.was_examined = False
        self.last_error: EnhancedModelAvailabilityError | None = None
        self.load = 0
        self._clock = clock
        self._lock = Lock()
        self._benched_until = 0.0
        self._misses = 0
        self._trial: str | None = None
        self._lacks: dict[str, tuple[float, EnhancedModelAvailabilityError]] = {}

    @property
    def is_on_probation(self) -> bool:
        """Whether it must still prove itself."""
        return not (self.is_trusted or self.is_local) and self.account.credit_bytes < PROBATION_BYTES

    def is_good_for(self, file: FileRecord) -> bool:
        """Say whether it can be asked for a file like any other source."""
        is_rested = self._clock() >= self._benched_until
        return is_rested and file.digest not in self.doubts and self.account.breaker.may_be_asked

    def reserve(self, file: FileRecord, *, strictly: bool, spread: bool = True) -> bool:
        """Take a place at it for one request.

        Args:
            file: for which file.
            strictly: only when it is not on trial with another file, and not busy.
            spread: whether it can be busy at all.
        """
        is_large = file.size > CHUNK_BYTES
        with self._lock:
            on_trial = is_large and self.is_on_probation
            if strictly and on_trial and self._trial not in (None, file.digest):
                return False
            if strictly and spread and self.load >= MOST_CONNECTIONS and not self.is_local:
                return False
            if on_trial and self._trial is None:
                self._trial = file.digest
            self.load += 1
            return True

    def release(self) -> None:
        """Give a place back."""
        with self._lock:
            self.load -= 1

    def end_trial(self, digest: str) -> None:
        """Let another file be its trial: this one is judged, or given up."""
        with self._lock:
            if self._trial == digest:
                self._trial = None

    def lacks(self, listing: Listing, file: FileRecord) -> EnhancedModelAvailabilityError | None:
        """Return what it answered when it was last asked for this file, if it said that it has no such thing."""
        if self._lacks:
            for key in (file.digest, f"{listing.model.repo_id}@{listing.commit}", listing.model.repo_id):
                known = self._lacks.get(key)
                if known is not None and self._clock() < known[0] + _LACKS_SECONDS:
                    return known[1]
        return None

    def bench(self, seconds: float) -> None:
        """Prefer others for a while."""
        self._benched_until = max(self._benched_until, self._clock() + seconds)

    def succeeded(self) -> None:
        """Note that it sent something useful."""
        self._misses = 0
        self.last_error = None
        self.account.succeeded()

    def struck(self, error: DownloadIntegrityError) -> None:
        """Note that it has been shown to have sent wrong bytes."""
        self.account.failed(error, opens=not self.is_local)

    def failed(self, listing: Listing, file: FileRecord, error: EnhancedModelAvailabilityError) -> None:
        """Note how it failed, and prefer others for as long as that suggests."""
        self.account.failed(error, opens=not self.is_local)
        self.last_error = error
        match error:
            case DownloadIntegrityError():
                self.doubts.add(file.digest)
            case RateLimitedError(retry_after_seconds=float(seconds)):
                self.bench(seconds)
            case SourceUnavailableError():
                self.bench(min(_FIRST_BENCH_SECONDS * 2 ** min(self._misses, 16), _LONGEST_BENCH_SECONDS))
                self._misses += 1
            case _ if isinstance(error, (*ABSENT, *REFUSED)) and not (self.is_trusted and isinstance(error, BINDING)):
                self._lacks[_lacking(listing, file, error)] = self._clock(), error
            case _:
                pass


def _lacking(listing: Listing, file: FileRecord, error: EnhancedModelAvailabilityError) -> str:
    """Return what it does not have: the file, the commit, or the whole model."""
    if isinstance(error, RevisionNotFoundError):
        return f"{listing.model.repo_id}@{listing.commit}"
    return file.digest if isinstance(error, FileNotServedError) else listing.model.repo_id

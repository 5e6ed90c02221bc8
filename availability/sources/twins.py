"""The same content elsewhere on this machine: a blob of another model, or of another Hugging Face cache.

A blob is named by its publisher's digest, so one look at the names finds it; whether it still has that content is for
whoever receives it to prove. The very file that is being fetched or healed is never its own source.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from time import monotonic

from availability.errors import FileNotServedError, SourceUnavailableError
from availability.model import FileRecord, Listing, ModelId

NAME = "local"
_FRESH_SECONDS = 30.0


class TwinBody:
    """Bytes of one file of this machine."""

    tag: str | None = None

    def __init__(self, path: str, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._path = path
        self._offset = start
        self._descriptor = os.open(path, os.O_RDONLY)

    def read(self, most: int) -> bytes:
        """Return the next bytes; see `availability.sources.base.Body.read`."""
        try:
            data = os.pread(self._descriptor, min(most, self.stop - self._offset), self._offset)
        except OSError as error:
            raise SourceUnavailableError(
                f"{self._path} could not be read ({error.strerror})", kind="broken_off"
            ) from None
        self._offset += len(data)
        return data

    def abort(self) -> None:
        """Do nothing: a read from a disk comes to its end."""

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)


class TwinSource:
    """All blobs of some Hugging Face caches, by their names; safe to call from any thread."""

    name = NAME
    is_local = True

    def __init__(self, store: Path, others: Sequence[Path] = (), *, clock: Callable[[], float] = monotonic) -> None:
        """Look in the store that is filled, and in `others`."""
        self._store = store
        self._caches = (store, *others)
        self._clock = clock
        self._places: dict[str, list[str]] = {}
        self._looked_at = -_FRESH_SECONDS
        self._lock = Lock()

    def listing(self, model: ModelId) -> Listing:
        """Say nothing about identity: what lies here is judged, and judges nothing."""
        raise SourceUnavailableError(f"{self.name} cannot say what {model} must be")

    def open(self, listing: Listing, file: FileRecord, start: int, stop: int) -> TwinBody:
        """Open a blob that should have the content of a file."""
        for place in self._twins(listing, file):
            try:
                return TwinBody(place, start, stop)
            except OSError:
                continue
        raise FileNotServedError(f"No other model of this machine has the content of {file.path} of {listing.model}.")

    def _twins(self, listing: Listing, file: FileRecord) -> Iterator[str]:
        own = f"{self._store}/{listing.model.folder}/blobs/{file.digest}"
        for place in self._known().get(file.digest, []) + self._known().get(file.xet_hash or "", []):
            try:
                if os.stat(place).st_size == file.size and not _is_same(place, own):
                    yield place
            except OSError:
                continue

    def _known(self) -> dict[str, list[str]]:
        """Return where the blobs lie, by name; one look at the folders serves for a while."""
        with self._lock:
            if self._clock() - self._looked_at >= _FRESH_SECONDS:
                self._places = {}
                for place in (place for cache in self._caches for place in _blobs(str(cache))):
                    self._places.setdefault(place.rpartition("/")[2], []).append(place)
                self._looked_at = self._clock()
            return self._places


def _blobs(cache: str) -> Iterator[str]:
    """Yield the blobs of a cache: each model's own, and those in the store that newer clients share."""
    for name in _names(cache):
        if name.startswith("models--"):
            folder = f"{cache}/{name}/blobs"
            yield from (f"{folder}/{blob}" for blob in _names(folder))
    for shelf in _names(f"{cache}/blobs"):
        yield from (f"{cache}/blobs/{shelf}/{blob}" for blob in _names(f"{cache}/blobs/{shelf}"))


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_same(place: str, own: str) -> bool:
    try:
        return place == own or os.path.samefile(place, own)
    except OSError:
        return False

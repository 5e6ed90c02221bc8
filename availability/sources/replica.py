"""A copy of models on any fsspec file system, by content: written once, and read by range like any other source.

    <root>/blobs/<first two digits>/<digest>             the content of a file, whichever models have it
    <root>/listings/models--org--name/<commit>.json      what a commit consists of
    <root>/refs/models--org--name/<revision>             the commit that was copied last for a branch or tag

A blob comes before the listing that names it, and that before the reference. Credentials belong to the environment or
to the options, never into the URL. What it says about identity is not believed: whoever could write to it could lie.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from availability.arrival import wrong_bytes
from availability.digests import CHUNK_BYTES, publisher_hasher
from availability.errors import FileNotServedError, ModelNotFoundError, SourceUnavailableError
from availability.model import Commit, FileRecord, Listing, ModelId, is_commit
from availability.sources.remote import Remote

BLOCK_BYTES = 4 * CHUNK_BYTES
"""What one request fetches: few requests a file, and little memory a connection."""
_FORMAT = 1


class ReplicaBody:
    """One file's bytes, block by block."""

    tag: str | None = None

    def __init__(self, remote: Remote, path: str, start: int, stop: int) -> None:
        """Fetch the first block, so that what is not there is known at once."""
        self.start, self.stop = start, stop
        self._remote = remote
        self._path = path
        self._next = start
        self._is_aborted = False
        self._block = memoryview(self._fetch())

    def read(self, most: int) -> bytes:
        """Return the next bytes; see `availability.sources.base.Body.read`."""
        if not self._block and self._next < self.stop:
            self._block = memoryview(self._fetch())
        data, self._block = self._block[:most], self._block[most:]
        return bytes(data)

    def abort(self) -> None:
        """Let a read that waits end."""
        self._is_aborted = True
        self._remote.abort(self)

    def close(self) -> None:
        """Let the block go."""
        self._block = memoryview(b"")

    def _fetch(self) -> bytes:
        if self._is_aborted:
            raise SourceUnavailableError(f"{self._remote.shown} was left in the middle of {self._path}")
        begin, end = self._next, min(self._next + BLOCK_BYTES, self.stop)
        data = self._remote.read(self._path, begin, end, by=self) if end > begin else b""
        if len(data) != end - begin:
            raise SourceUnavailableError(
                f"{self._remote.shown} sent {len(data)} bytes of {self._path}, expected {end - begin}", kind="malformed"
            )
        self._next = end
        return data


class ReplicaSource:
    """A replica; safe to call from any thread."""

    def __init__(self, url: str, options: Mapping[str, Any] | None = None, *, timeout_seconds: float = 30.0) -> None:
        """Take a URL of any kind that fsspec knows, and what its file system needs."""
        self.name = url
        self._remote = Remote(url, options or {}, timeout_seconds)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self._remote.is_local

    def commit(self, model: ModelId) -> Commit:
        """Return the commit that was copied last for the revision."""
        if is_commit(model.revision):
            return Commit(model.revision)
        try:
            text = self._remote.read(f"refs/{model.folder}/{quote(model.revision, safe='')}").decode().strip()
        except FileNotServedError:
            raise ModelNotFoundError(str(model), reason=f"{self.name} has no copy of it") from None
        if not is_commit(text):
            raise SourceUnavailableError(f"{self.name} holds no commit for {model}", kind="malformed")
        return Commit(text)

    def listing(self, model: ModelId) -> Listing:
        """Return what was copied; see `availability.sources.base.Source.listing`."""
        commit = self.commit(model)
        try:
            content = json.loads(self._remote.read(_listing_path(model, commit)))
            files = tuple(FileRecord(*file) for file in content["files"])
            return Listing(model, commit, files, self.name)
        except FileNotServedError:
            raise ModelNotFoundError(str(model), reason=f"{self.name} has no copy of it") from None
        except (ValueError, TypeError, KeyError):
            raise SourceUnavailableError(f"{self.name} holds no listing of {model}", kind="malformed") from None

    def open(self, listing: Listing, file: FileRecord, start: int, stop: int) -> ReplicaBody:
        """Ask for a range of a file's content, whichever model it was copied with."""
        del listing
        return ReplicaBody(self._remote, _blob_path(file), start, stop)

    # --- writing ---

    def put(self, listing: Listing, places: Mapping[str, Path]) -> int:
        """Copy a snapshot here; return how many bytes had to be written. To do it again costs a look.

        Args:
            listing: what the commit consists of.
            places: where the content lies, by digest; files that are not among them are not copied.

        Raises:
            DownloadIntegrityError: what lies there is not what the listing says; its listing was not written.
            SourceUnavailableError, AccessDeniedError: it could not be written.
        """
        written = 0
        for file in {file.digest: file for file in listing.files if file.digest in places}.values():
            if self._remote.size(_blob_path(file)) != file.size:
                _check_content(file, places[file.digest])
                self._remote.put(_blob_path(file), places[file.digest])
                written += file.size
        model = listing.model
        files = [file.row for file in listing.files]
        content = {"format": _FORMAT, "model": model.repo_id, "commit": listing.commit, "files": files}
        self._remote.put(_listing_path(model, listing.commit), json.dumps(content).encode())
        if not is_commit(model.revision):
            self._remote.put(f"refs/{model.folder}/{quote(model.revision, safe='')}", listing.commit.encode())
        return written


def _blob_path(file: FileRecord) -> str:
    return f"blobs/{file.digest[:2]}/{file.digest}"


def _listing_path(model: ModelId, commit: Commit) -> str:
    return f"listings/{model.folder}/{commit}.json"


def _check_content(file: FileRecord, place: Path) -> None:
    hasher = publisher_hasher(file)
    with place.open("rb") as reader:
        while data := reader.read(CHUNK_BYTES):
            hasher.update(data)
    if hasher.hexdigest() != file.digest:
        raise wrong_bytes(file, hasher.hexdigest())

"""The Hugging Face Hub, or anything that speaks its protocol: the trusted source.

Listing goes through huggingface_hub (its session with the user's proxies and offline switch, its token, headers and
error codes). The pages are turned here, because the client's own loop has no time-out and retries by itself, and there
is one retry policy only. Bytes go through `availability.sources.http`.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import httpx2
from huggingface_hub import RepoFile, constants, get_token
from huggingface_hub import __version__ as client_version
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import get_session

from availability.errors import FailureKind, OfflineError, SourceUnavailableError, UnsafeModelError
from availability.model import Commit, FileRecord, Listing, ModelId, is_commit
from availability.sources.answers import error_of, note_limits
from availability.sources.http import HttpBody, HttpFiles, cause_of
from availability.sources.request_budget import RequestBudget

_MOST_PAGE_BYTES = 64 * 1024 * 1024
_LISTING_SECONDS = 120.0
"""A listing that is still coming after so long is a stall, however steadily it trickles."""


class HubSource:
    """A Hub at one endpoint."""

    def __init__(
        self,
        endpoint: str,
        *,
        token: str | None = None,
        timeout_seconds: float = 30.0,
        answer_seconds: float | None = None,
        max_files: int = 20_000,
        budgets: Path | None = None,
    ) -> None:
        """Prepare to ask the Hub at `endpoint`.

        Args:
            endpoint: the address without a path.
            token: sent to this endpoint only; None takes the one huggingface_hub knows (`HF_TOKEN`, `hf auth login`),
                and an empty one is none at all.
            timeout_seconds: without a byte for so long, a request has stalled.
            answer_seconds: the same before a file's first byte; None is as long.
            max_files: a listing longer than this is refused.
            budgets: where all who ask this hub keep together how often it may be asked; None keeps nothing.
        """
        self.endpoint = endpoint.rstrip("/")
        self._root = urlsplit(self.endpoint).path
        self.name = urlsplit(self.endpoint).netloc.rpartition("@")[2] + self._root
        self._headers = _headers(token)
        self._timeout_seconds = timeout_seconds
        self._max_files = max_files
        self._budget = RequestBudget(budgets, self.name, "api") if budgets else None
        self._files = HttpFiles(
            self.name,
            self.endpoint,
            self._headers,
            timeout_seconds=timeout_seconds,
            answer_seconds=answer_seconds,
            budget=RequestBudget(budgets, self.name, "resolvers") if budgets else None,
        )

    def listing(self, model: ModelId) -> Listing:
        """Say what the revision consists of now; see `availability.sources.base.Source.listing`."""
        commit, names = self._revision(model)
        files = tuple(sorted(self._tree(model, commit), key=lambda file: file.path))
        lost = names - {file.path for file in files}
        if lost:
            raise SourceUnavailableError(
                f"{self.name} cut the listing of {model} short: it lacks {len(lost)} files, {min(lost)!r} first",
                kind="malformed",
            )
        return Listing(model, commit, files, self.name)

    def commit(self, model: ModelId) -> Commit:
        """Return the commit that the revision stands for now; raises what `listing` raises."""
        return self._revision(model)[0]

    def _revision(self, model: ModelId) -> tuple[Commit, set[str]]:
        info = self._json(model, f"{self._api(model)}/revision/{quote(model.revision, safe='')}")[0]
        try:
            commit, names = info["sha"], {entry["rfilename"] for entry in info.get("siblings", ())}
        except (KeyError, TypeError):
            raise self._malformed(model) from None
        if not isinstance(commit, str) or not is_commit(commit) or not all(isinstance(name, str) for name in names):
            raise self._malformed(model)
        return Commit(commit), names

    def open(self, listing: Listing, file: FileRecord, start: int, stop: int) -> HttpBody:
        """Ask for a range of a file; see `availability.sources.base.Source.open`."""
        if constants.is_offline_mode():
            raise _offline(listing.model)
        path = f"{self._root}/{listing.model.repo_id}/resolve/{listing.commit}/{quote(file.path)}"
        return self._files.open(listing.model, file, path, start, stop)

    def close(self) -> None:
        """Close the kept connections."""
        self._files.close()

    def _api(self, model: ModelId) -> str:
        return f"{self.endpoint}/api/models/{model.repo_id}"

    def _tree(self, model: ModelId, commit: str) -> Iterator[FileRecord]:
        url: str | None = f"{self._api(model)}/tree/{commit}?recursive=true&expand=false"
        count = pages = 0
        while url is not None:
            page, url = self._json(model, url)
            pages += 1
            # Pages without files that lead from one to the next would otherwise never end.
            if not isinstance(page, list) or pages > self._max_files:
                raise self._malformed(model)
            for entry in page:
                if not isinstance(entry, dict):
                    raise self._malformed(model)
                if entry.get("type") != "file":
                    continue
                count += 1
                if count > self._max_files:
                    raise UnsafeModelError(
                        str(model),
                        [f"it lists more than {self._max_files} files"],
                        advice=("Raise ENHANCED_MODEL_ADMISSION_MAX_FILES if you trust it.",),
                    )
                yield self._record(model, entry)

    def _record(self, model: ModelId, entry: dict[str, Any]) -> FileRecord:
        try:
            file = RepoFile(**entry)
        except (KeyError, TypeError, AttributeError):
            raise self._malformed(model) from None
        record = FileRecord(
            path=file.path,
            size=file.lfs.size if file.lfs else file.size,
            blob_id=file.blob_id,
            sha256=file.lfs.sha256 if file.lfs else None,
            xet_hash=file.xet_hash,
        )
        if not _is_well_typed(record):
            raise self._malformed(model)
        return record

    def _json(self, model: ModelId, url: str) -> tuple[Any, str | None]:
        """Return a page's content and the URL of the next one."""
        content = bytearray()
        deadline = monotonic() + _LISTING_SECONDS
        if self._budget is not None:
            self._budget.ask()
        try:
            with get_session().stream("GET", url, headers=self._headers, timeout=self._timeout_seconds) as response:
                if self._budget is not None:
                    note_limits(self._budget, response.status_code, response.headers)
                if response.status_code != httpx2.codes.OK:
                    raise error_of(
                        self.name,
                        model,
                        response.status_code,
                        response.headers,
                        path=None,
                        authorized="authorization" in self._headers,
                        now=datetime.now(UTC),
                    )
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > _MOST_PAGE_BYTES or monotonic() > deadline:
                        raise SourceUnavailableError(
                            f"{self.name} does not come to an end with the listing of {model}", kind="stalled"
                        )
                following = response.links.get("next", {}).get("url")
        except OfflineModeIsEnabled:
            raise _offline(model) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            kind: FailureKind = "stalled" if isinstance(error, httpx2.ReadTimeout) else "unreachable"
            raise SourceUnavailableError(
                f"{self.name} could not be asked for the listing of {model} ({cause_of(error)})", kind=kind
            ) from None
        try:
            return json.loads(content), following and self._at_home(following)
        except (ValueError, RecursionError):
            raise self._malformed(model) from None

    def _at_home(self, url: str) -> str:
        # A mirror may hand on the Hub's own address; the next page is asked for where the first one was.
        parts = urlsplit(urljoin(self.endpoint, url))
        home = urlsplit(self.endpoint)
        return urlunsplit((home.scheme, home.netloc, parts.path, parts.query, ""))

    def _malformed(self, model: ModelId) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"{self.name} answered for {model} with something that is not a listing", kind="malformed"
        )


def _headers(token: str | None) -> dict[str, str]:
    """Return what every request says of us.

    Not the client's `build_hf_headers`: it asks its own default endpoint for a list of agents first, and a mirror is
    often chosen because that cannot be reached, or must not be.
    """
    headers = {"user-agent": f"enhanced-model-availability; hf_hub/{client_version}"}
    sent = get_token() if token is None and not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else token
    return {**headers, "authorization": f"Bearer {sent}"} if sent else headers


def _is_well_typed(record: FileRecord) -> bool:
    """Say whether the fields are what they are called: RepoFile takes whatever JSON held."""
    texts = (record.path, record.blob_id)
    optional = (record.sha256, record.xet_hash)
    return (
        type(record.size) is int
        and all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in optional)
    )


def _offline(model: ModelId) -> OfflineError:
    return OfflineError(
        f"{model} needs the network, which HF_HUB_OFFLINE switches off.",
        advice=("Unset HF_HUB_OFFLINE, or ask for a model that is already in the store.",),
    )

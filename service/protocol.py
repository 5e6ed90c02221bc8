"""What a Hugging Face Hub says: the read side of its protocol, judged from a library and one request.

Nothing here opens a socket or changes a store: `answer` returns what to send, and `service.hub` sends it. It proves
nothing: whoever fetches compares the bytes with the publisher's digests. It announces no Xet hashes, because no Xet
storage stands behind it, and a client that read one would ask for it.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from availability.model import DEFAULT_REVISION, FileRecord
from service.snapshots import NoSuchSnapshotError, Snapshot, find_snapshot, has_model, list_refs

_NO_HEADERS: Mapping[str, str] = {}
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `target` is what stood on the wire, header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query, still quoted."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]

    def option(self, name: str) -> str:
        """Return one value of the query, empty when it is not there."""
        return parse_qs(self.query).get(name, [""])[0]

    def switch(self, name: str) -> bool:
        """Say whether an option of the query is on."""
        return self.option(name).lower() in {"true", "1"}


@dataclass(frozen=True, slots=True)
class FilePart:
    """The bytes from `start` to `start + length` of a file of `size` bytes."""

    path: str
    start: int
    length: int
    size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send. Content-Length follows from the body unless the headers name one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FilePart = b""


@dataclass(frozen=True, slots=True)
class Library:
    """What is served, and to whom.

    Attributes:
        store: a Hugging Face cache; its real path.
        token: what opens the private and the gated models; None opens none of them.
        private: ids of models that do not exist for those without the token.
        gated: ids of models that everybody may list and only the token may fetch.
        page_size: entries in one page of a listing.
    """

    store: Path
    token: str | None = None
    private: frozenset[str] = frozenset()
    gated: frozenset[str] = frozenset()
    page_size: int = 1000

    def admits(self, request: Request) -> bool:
        """Say whether the request carries the token."""
        given = request.headers.get("authorization", "").encode()
        return self.token is not None and hmac.compare_digest(given, f"Bearer {self.token}".encode())


class _RefusedError(Exception):
    """Ends a request with an error in the Hub's words."""

    def __init__(self, status: int, code: str, message: str, commit: str | None = None) -> None:
        super().__init__(message)
        # A path may hold anything; a header may not.
        headers = {"X-Error-Code": code, "X-Error-Message": message.encode("ascii", "backslashreplace").decode()}
        if commit:
            headers["X-Repo-Commit"] = commit
        self.answer = json_answer({"error": message}, status, headers)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Answer:
    """Return an answer whose body is JSON."""
    return Answer(status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode())


def answer(library: Library, request: Request) -> Answer:
    """Judge one request: what a Hub that holds this library says. HEAD is judged as GET; only its body is not sent."""
    method = "GET" if request.method == "HEAD" else request.method
    for expected, pattern, reply in _ROUTES:
        if method == expected and (found := pattern.fullmatch(request.path)):
            fields = {name: unquote(text) for name, text in found.groupdict(default="").items()}
            try:
                snapshot = _open(library, request, fields["repo"], fields.get("revision", DEFAULT_REVISION))
                return reply(library, request, snapshot, fields.get("path", ""))
            except _RefusedError as refusal:
                return refusal.answer
    return json_answer({"error": "There is no such route here"}, 404)


def _open(library: Library, request: Request, repo_id: str, revision: str) -> Snapshot:
    store = str(library.store)
    hidden = repo_id in library.private and not library.admits(request)
    try:
        if not hidden:
            return find_snapshot(store, repo_id, revision)
    except NoSuchSnapshotError as error:
        if has_model(store, repo_id):
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision!r}") from error
    # Unknown and private look alike, as on the Hub: an answer must not tell what is kept here.
    status = 401 if library.private and not library.admits(request) else 404
    raise _RefusedError(status, "RepoNotFound", "Repository not found")


# --- one reply for each route ---------------------------------------------------------------------------


def _reply_info(library: Library, request: Request, snapshot: Snapshot, _path: str) -> Answer:
    name, with_blobs = snapshot.repo_id, request.switch("blobs")
    siblings = [_sibling(snapshot.entries[path], with_blobs=with_blobs) for path in snapshot.files]
    gated = "manual" if name in library.gated else False
    private = name in library.private
    return json_answer(
        {"id": name, "modelId": name, "sha": snapshot.commit, "private": private, "gated": gated, "siblings": siblings}
    )


def _sibling(entry: Mapping[str, Any], *, with_blobs: bool) -> dict[str, Any]:
    if not with_blobs:
        return {"rfilename": entry["path"]}
    lfs = {"lfs": {**entry["lfs"], "sha256": entry["lfs"]["oid"]}} if "lfs" in entry else {}
    return {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"], **lfs}


def _reply_refs(_library: Library, _request: Request, snapshot: Snapshot, _path: str) -> Answer:
    refs = list_refs(snapshot.store, snapshot.repo_id)
    branches = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit} for name, commit in refs.items()]
    return json_answer({"branches": branches, "converts": [], "tags": [], "pullRequests": []})


def _reply_tree(library: Library, request: Request, snapshot: Snapshot, path: str) -> Answer:
    if path and snapshot.entries.get(path, {}).get("type") != "directory":
        raise _RefusedError(404, "EntryNotFound", f"{path!r} does not exist", snapshot.commit)
    prefix, deep = f"{path}/" if path else "", request.switch("recursive")
    entries = [
        entry
        for name, entry in snapshot.entries.items()
        if name.startswith(prefix) and (deep or "/" not in name[len(prefix) :])
    ]
    cursor = request.option("cursor")
    first = int(cursor) if re.fullmatch(r"[0-9]{1,9}", cursor) else 0
    last = first + library.page_size
    link = {"Link": f'<{_page_url(request, snapshot, path, last)}>; rel="next"'} if last < len(entries) else {}
    return json_answer(entries[first:last], headers=link)


def _page_url(request: Request, snapshot: Snapshot, path: str, cursor: int) -> str:
    options = {name: request.option(name) for name in ("recursive", "expand") if request.option(name)}
    under = f"/{quote(path, safe='')}" if path else ""
    # The next page is of the same commit, even if the name that was asked for has moved by then.
    tree = f"/api/models/{snapshot.repo_id}/tree/{snapshot.commit}{under}"
    return f"http://{request.headers.get('host', '')}{tree}?{urlencode({**options, 'cursor': cursor})}"


def _reply_paths(_library: Library, request: Request, snapshot: Snapshot, _path: str) -> Answer:
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            paths = [str(path) for path in json.loads(request.body)["paths"]]
        else:
            paths = parse_qs(request.body.decode()).get("paths", [])
    except (ValueError, KeyError, TypeError) as error:
        raise _RefusedError(400, "BadRequest", "The body must name paths, as a form or as JSON") from error
    return json_answer([snapshot.entries[path] for path in paths if path in snapshot.entries])


def _reply_file(library: Library, request: Request, snapshot: Snapshot, path: str) -> Answer:
    if snapshot.repo_id in library.gated and not library.admits(request):
        status = 403 if "authorization" in request.headers else 401
        raise _RefusedError(status, "GatedRepo", f"Access to model {snapshot.repo_id} is restricted", snapshot.commit)
    try:
        content, size = snapshot.locate(path)
    except FileNotFoundError as error:
        raise _RefusedError(404, "EntryNotFound", f"{path!r} does not exist", snapshot.commit) from error
    return _content(request, snapshot.files[path], snapshot.commit, FilePart(content, 0, size, size))


def _content(request: Request, file: FileRecord, commit: str, whole: FilePart) -> Answer:
    headers = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.digest}"',
        "X-Repo-Commit": commit,
    }
    if file.sha256:
        headers |= {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(file.size)}
    return with_range(request, Answer(200, headers, whole))


def with_range(request: Request, whole: Answer) -> Answer:
    """Narrow the answer with a whole file to the range that was asked for, if one was."""
    if request.method != "GET" or "range" not in request.headers or not isinstance(whole.body, FilePart):
        return whole
    size = whole.body.size
    wanted = _wanted(request, size, whole.headers["ETag"])
    if wanted is None:
        return whole
    start, stop = wanted
    if start >= size:
        return Answer(416, {**whole.headers, "Content-Range": f"bytes */{size}"})
    headers = {**whole.headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Answer(206, headers, FilePart(whole.body.path, start, stop - start, size))


def _wanted(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return start and stop of the one range; None when it is no single range and so is answered whole (RFC 9110)."""
    found = _RANGE.fullmatch(request.headers["range"])
    if not found or request.headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if not first:
        return (size - min(size, int(last)) if int(last) else size, size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


_REPO = r"(?P<repo>[^/]+(?:/[^/]+)?)"
_REVISION = r"(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+)"
FILE_ROUTE = re.compile(f"/{_REPO}/resolve/{_REVISION}/(?P<path>.+)")
"""The route of a file's content, its parts still quoted."""

_Reply = Callable[[Library, Request, Snapshot, str], Answer]
_ROUTES: tuple[tuple[str, re.Pattern[str], _Reply], ...] = (
    ("GET", FILE_ROUTE, _reply_file),
    ("GET", re.compile(f"/api/models/{_REPO}/revision/{_REVISION}"), _reply_info),
    ("GET", re.compile(f"/api/models/{_REPO}/tree/{_REVISION}(?:/(?P<path>.+))?"), _reply_tree),
    ("POST", re.compile(f"/api/models/{_REPO}/paths-info/{_REVISION}"), _reply_paths),
    ("GET", re.compile(f"/api/models/{_REPO}/refs"), _reply_refs),
    ("GET", re.compile(f"/api/models/{_REPO}"), _reply_info),
)

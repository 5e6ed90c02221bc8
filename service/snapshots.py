"""What a store holds, in the words of the Hub: which commit a name stands for, and what is in it.

Only finished snapshots are found: the folder is there and every file of its listing leads to content inside the store.
The listing is the publisher's, as `huggingface_hub` recorded it in `trees/`, or else what the links say. No content is
read. Paths are plain strings here: with `Path` the small answers of a hub cost twice as much.
"""

import hashlib
import json
import os
import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

from availability.errors import InvalidModelIdError
from availability.model import DEFAULT_REVISION, FileRecord, ModelId, is_commit, parse_model_id

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError)  # what a listing that is none ends in
_READING = threading.Lock()  # of many clients that begin at once, one reads the listing and the others find it read

Entry = Mapping[str, Any]
"""A file or a folder as the Hub's listing shows it."""


class NoSuchSnapshotError(Exception):
    """The store has no finished snapshot under this name."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One finished commit of a model.

    Attributes:
        repo_id: `org/name`, or `name` alone for an old model.
        commit: the full commit id.
        store: the store's real path.
        files: every file by its path.
        entries: files and folders by path, in the Hub's order.
        contents: where the link of each file leads.
    """

    repo_id: str
    commit: str
    store: str
    files: Mapping[str, FileRecord]
    entries: Mapping[str, Entry]
    contents: Mapping[str, str]

    def locate(self, path: str) -> tuple[str, int]:
        """Return where a file's content is and its size as it is now.

        Raises:
            FileNotFoundError: there is none, or none inside the store.
        """
        content = self.contents.get(path, "")
        status = os.lstat(content)
        if not S_ISREG(status.st_mode):  # the blob was moved and left a link: links were followed once, when reading
            content = _follow(self.store, content)
            status = os.lstat(content)
        return content, status.st_size


def has_model(store: str, repo_id: str) -> bool:
    """Say whether the store has any such model, finished or not."""
    try:
        return Path(store, _parse_exactly(repo_id, DEFAULT_REVISION).folder).is_dir()
    except InvalidModelIdError:
        return False


def find_snapshot(store: str, repo_id: str, revision: str) -> Snapshot:
    """Return the snapshot that a branch, a tag or a commit stands for at this moment.

    Raises:
        NoSuchSnapshotError: the name is unknown, or what it stands for is not finished.
        OSError: the store could not be read, so nothing is known.
    """
    try:
        folder = f"{store}/{_parse_exactly(repo_id, revision).folder}"
        commit = revision if is_commit(revision) else _read_ref(f"{folder}/refs/{revision}")
        stamps = _stamp(f"{folder}/snapshots/{commit}"), _stamp(f"{folder}/trees/{commit}.json")
        with _READING:
            return _read_snapshot(store, folder, repo_id, commit, stamps)
    except (*_ABSENT, *_MALFORMED, InvalidModelIdError) as error:
        raise NoSuchSnapshotError(f"{repo_id} has no finished snapshot {revision!r}") from error


def list_refs(store: str, repo_id: str) -> dict[str, str]:
    """Return the commit of every branch and tag of a model that the store has."""
    refs = Path(store, parse_model_id(repo_id).folder, "refs")
    return {
        path.relative_to(refs).as_posix(): path.read_text("ascii").strip()
        for path in sorted(refs.rglob("*"))
        if path.is_file()
    }


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return what git holds in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def git_id(kind: str, content: bytes) -> str:
    """Return git's id of an object: of a `blob`, a `tree` or a `commit`."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content, usedforsecurity=False).hexdigest()


def _parse_exactly(repo_id: str, revision: str) -> ModelId:
    """Refuse all that could lead out of a model's folder, and a second spelling: it would pass by a list of ids."""
    model = parse_model_id(f"{repo_id}@{revision}")
    if model != ModelId(repo_id, revision):
        raise InvalidModelIdError(f"{repo_id!r} at {revision!r} is not written as an id is")
    return model


def _read_ref(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        commit = os.read(descriptor, 64).decode("ascii").strip()
    finally:
        os.close(descriptor)
    if not is_commit(commit):
        raise ValueError(f"{path} holds no commit id")
    return commit


def _stamp(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  see the module's docstring
    except FileNotFoundError:
        return None


def _follow(store: str, path: str) -> str:
    real = os.path.realpath(path)
    if not real.startswith(f"{store}{os.sep}") or not Path(real).is_file():
        raise FileNotFoundError(f"{path} leads to no file inside the store")
    return real


@lru_cache(maxsize=256)  # a commit never changes; the stamps are for a store that was emptied and filled again
def _read_snapshot(
    store: str, folder: str, repo_id: str, commit: str, stamps: tuple[int | None, int | None]
) -> Snapshot:
    links, tree = Path(folder, "snapshots", commit), Path(folder, "trees", f"{commit}.json")
    files = _linked_files(links) if stamps[1] is None else _recorded_files(tree)
    if stamps[0] is None or any({"", ".", ".."} & set(path.split("/")) for path in files):
        raise ValueError(f"{links} is no snapshot, or {tree} no listing of one")
    contents = {path: _follow(store, f"{links}/{path}") for path in files}
    return Snapshot(repo_id, commit, store, files, _entries(files), contents)


def _recorded_files(tree: Path) -> dict[str, FileRecord]:
    """Read the listing that `huggingface_hub` keeps of a commit (format 1 of its `_tree_cache.py`)."""
    recorded = json.loads(tree.read_bytes())
    if recorded["format_version"] != 1:
        raise ValueError(f"{tree} has an unknown format")
    return {
        path: _record(path, int(info["size"]), info.get("blob_id"), info.get("lfs_sha256"))
        for path, info in sorted(recorded["files"].items())
    }


def _linked_files(links: Path) -> dict[str, FileRecord]:
    """Read the listing off the links: a blob's name is its digest, and its length tells which digest."""
    files = {}
    for link in sorted(path for path in links.rglob("*") if not path.is_dir()):
        path, size = link.relative_to(links).as_posix(), link.stat().st_size
        digest = link.readlink().name if link.is_symlink() else ""
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest):
            raise ValueError(f"{link} does not lead to a blob")
        files[path] = _record(path, size, *((digest, None) if len(digest) == 40 else (None, digest)))
    return files


def _record(path: str, size: int, blob_id: str | None, sha256: str | None) -> FileRecord:
    return FileRecord(path, size, blob_id or git_id("blob", lfs_pointer(sha256 or "", size)), sha256)


def _entries(files: Mapping[str, FileRecord]) -> dict[str, Entry]:
    entries = {path: _file_entry(file) for path, file in files.items()}
    for path, oid in _tree_ids(files).items():
        entries[path] = {"type": "directory", "oid": oid, "size": 0, "path": path}
    return dict(sorted(entries.items()))


def _file_entry(file: FileRecord) -> Entry:
    entry = {"type": "file", "oid": file.blob_id, "size": file.size, "path": file.path}
    if not file.sha256:
        return entry
    pointer_size = len(lfs_pointer(file.sha256, file.size))
    return entry | {"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": pointer_size}}


def _tree_ids(files: Mapping[str, FileRecord]) -> dict[str, str]:
    """Return git's id of every folder (a store keeps no file modes: 644 is taken for granted)."""
    inside: defaultdict[str, dict[str, bytes]] = defaultdict(dict)  # by folder, then by the name git sorts by
    for path, file in files.items():
        folder, _, name = path.rpartition("/")
        inside[folder][name] = b"100644 " + name.encode() + b"\0" + bytes.fromhex(file.blob_id)
        while folder:
            folder = folder.rpartition("/")[0]
            inside[folder]
    ids = {}
    for folder in sorted(filter(None, inside), key=len, reverse=True):  # the inner name is longer, so it comes first
        ids[folder] = git_id("tree", b"".join(record for _, record in sorted(inside[folder].items())))
        parent, _, name = folder.rpartition("/")
        inside[parent][f"{name}/"] = b"40000 " + name.encode() + b"\0" + bytes.fromhex(ids[folder])
    return ids

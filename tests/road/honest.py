"""The one law of the road, as a check that any test can make at any moment: nothing unverified is ever visible.

It reads a store as its users do and believes nobody: every byte is hashed again, and compared with what the publisher's
own store says. It fails with the sentence of what is wrong.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import scan_cache_dir, snapshot_download

from availability.catalog import Catalog
from availability.digests import CHUNK_BYTES, chunk_digest
from availability.inventory import ModelStatus, all_models, model_status
from availability.ledger import Ledgers
from availability.model import Commit, ModelId, is_commit
from availability.settings import load_settings
from availability.status import Availability
from availability.workspace import Workspace
from service.faults import FaultyHub

Published = Mapping[tuple[str, str], Mapping[str, str]]
"""By model folder and commit: the publisher's digest of each path."""


def assert_honest(store: Path, state: Path, published: FaultyHub | Path, *, ours: bool = True) -> None:
    """Make sure that nothing unverified is visible, that nobody is told otherwise, and that the client agrees.

    Args:
        store: the Hugging Face cache that was published into.
        state: our records beside it.
        published: the hub, or its store: what the files must be.
        ours: every reference was set by us, so each has its record; False for a cache that the client has begun.
    """
    if not store.exists():
        return
    source = published.library.store if isinstance(published, FaultyHub) else published
    truth = _published(source)
    workspace = Workspace(load_settings(_folders(store, state), env={}, dotenv=None))
    for folder in sorted(store.glob("models--*")):
        _check_blobs(folder, workspace.ledgers)
        _check_snapshots(folder, truth)
        _check_references(folder, workspace, ours=ours)
    warnings = scan_cache_dir(store).warnings
    assert not warnings, f"the client's scan warns: {[str(warning) for warning in warnings]}"
    for model in all_models(workspace, Catalog()):
        _check_status(workspace, model_status(workspace, model, Catalog()))


def digest_of(path: Path, kind: int) -> str:
    """Return a file's digest as a publisher gives it: SHA-256 for 64 digits, a git blob id for 40."""
    size = path.stat().st_size
    hasher = hashlib.sha256() if kind == 64 else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            hasher.update(data)
    return hasher.hexdigest()


def _folders(store: Path, state: Path) -> dict[str, object]:
    return {"storage.models_directory": store, "storage.cache_directory": state}


def _published(source: Path) -> Published:
    return {
        (tree.parent.parent.name, tree.stem): {
            path: told.get("lfs_sha256") or told["blob_id"]
            for path, told in json.loads(tree.read_bytes())["files"].items()
        }
        for tree in source.glob("models--*/trees/*.json")
    }


def _check_blobs(folder: Path, ledgers: Ledgers) -> None:
    for blob in (folder / "blobs").glob("*"):
        if blob.suffix == ".incomplete":
            continue  # the client's own, and no blob yet
        got = digest_of(blob, len(blob.name))
        assert got == blob.name, f"{blob} is named by a digest it does not have: {got}"
        _check_ledger(ledgers, blob)


def _check_ledger(ledgers: Ledgers, blob: Path) -> None:
    ledger = ledgers.read(blob.name)
    if ledger is not None:
        with blob.open("rb") as file:
            digests = [chunk_digest(data) for data in iter(lambda: file.read(CHUNK_BYTES), b"")]
        assert ledger.chunks == b"".join(digests), f"the ledger of {blob} says something else than it has"


def _check_snapshots(folder: Path, truth: Published) -> None:
    store = folder.parent.resolve()
    for snapshot in (folder / "snapshots").glob("*"):
        digests = truth[folder.name, snapshot.name]
        for file in snapshot.rglob("*"):
            if file.is_dir():
                continue
            path = file.relative_to(snapshot).as_posix()
            assert path in digests, f"{file} is visible and was never published"
            assert file.exists(), f"{file} leads nowhere"
            assert file.resolve().is_relative_to(store), f"{file} leads out of the store"
            got = digest_of(file, len(digests[path]))
            assert got == digests[path], f"{file} is visible with wrong content: {got}"


def _check_references(folder: Path, workspace: Workspace, *, ours: bool) -> None:
    model = ModelId(folder.name.removeprefix("models--").replace("--", "/"))
    for reference in (folder / "refs").rglob("*"):
        if reference.is_dir():
            continue
        commit = reference.read_text()
        snapshot = folder / "snapshots" / commit
        assert is_commit(commit), f"{reference} holds no commit: {commit!r}"
        assert snapshot.is_dir(), f"{reference} points to a snapshot that is not there"
        record = workspace.records.read(model, Commit(commit))
        assert record is not None or not ours, f"{reference} points to a snapshot that nobody has proven"
        if record is not None:
            lacking = [path for path in record.wanted if not (snapshot / path).exists()]
            assert not lacking, f"{reference} points to a snapshot that lacks {lacking}"


def _check_status(workspace: Workspace, told: ModelStatus) -> None:
    """Hold the word against what was just read: no file is wrong, so the model is complete or it is missing."""
    record = workspace.records.read(told.model, told.commit) if told.commit else None
    if told.availability_status is Availability.MISSING:
        assert told.path is None
        lacks = told.missing or told.unverified or record is None or told.commit is None
        assert lacks or not workspace.store.snapshot(told.model, told.commit).is_dir(), f"{told} lacks nothing"
        return
    assert told.availability_status is Availability.AVAILABLE, f"{told.model} is {told.availability_status}; why?"
    assert record is not None, f"{told.model} is available, and nobody has proven it"
    assert told.path is not None
    assert all((told.path / path).is_file() for path in record.wanted)
    if len(record.wanted) == len(record.listing.files):
        found = snapshot_download(
            told.model.repo_id, revision=told.model.revision, cache_dir=workspace.store.root, local_files_only=True
        )
        assert Path(found) == told.path, "the client finds another snapshot"

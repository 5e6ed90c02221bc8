"""Which commit a request is about, and what its files must be: the part that is never left to whoever sends the bytes.

A model that is in the store already is completed, proven or healed as the commit it is; moving on to a newer one is an
update, and a decision. So the trusted listing is, in this order: the one we recorded; what the hub says of the commit
that stands here; what the client recorded of it; and for a model that is not here, what the hub says of the revision,
or what it said when a download of it began that is to go on while the hub is away.
"""

import json
from typing import Any

from availability.errors import (
    AccessDeniedError,
    FinalError,
    ModelNotFoundError,
    OfflineError,
    RevisionNotFoundError,
    SourceUnavailableError,
    UnverifiableError,
)
from availability.model import Commit, FileRecord, Listing, ModelId
from availability.workspace import Workspace

CLIENT = "client"
"""The origin of a listing that huggingface_hub recorded in the store."""


def find_listing(workspace: Workspace, model: ModelId) -> Listing:
    """Return the trusted listing for a model.

    Raises:
        UnverifiableError: the model is here, but nobody can say what it must be.
        ModelNotFoundError, RevisionNotFoundError, AccessDeniedError, OfflineError: it is not here and cannot be had.
        SourceUnavailableError: the hub could not be asked.
    """
    commit = workspace.store.commit(model)
    if commit is None or not workspace.store.snapshot(model, commit).is_dir():
        return _listing_of_absent(workspace, model)
    record = workspace.records.read(model, commit)
    if record is not None:
        return record.listing
    return _listing_of_stored(workspace, model, commit)


def _listing_of_absent(workspace: Workspace, model: ModelId) -> Listing:
    try:
        return workspace.source.listing(model)
    except (SourceUnavailableError, OfflineError):
        begun = workspace.begun.read(model)
        if begun is None:
            raise
        return begun


def _listing_of_stored(workspace: Workspace, model: ModelId, commit: Commit) -> Listing:
    try:
        told = workspace.source.listing(ModelId(model.repo_id, commit))
    except (
        SourceUnavailableError,
        OfflineError,
        ModelNotFoundError,
        RevisionNotFoundError,
        AccessDeniedError,
    ) as error:
        recorded = client_listing(workspace, model, commit)
        if recorded is not None:
            return recorded
        if isinstance(error, FinalError):
            raise _unverifiable(model, commit, error) from None
        raise
    return Listing(model, commit, told.files, told.origin)


def client_listing(workspace: Workspace, model: ModelId, commit: Commit) -> Listing | None:
    """Return what huggingface_hub recorded of a commit, None when it did not or it cannot be understood."""
    try:
        content: dict[str, Any] = json.loads(workspace.store.client_listing(model, commit).read_bytes())
        if content["format_version"] != 1:
            return None
        files = tuple(
            FileRecord(path, told["size"], told["blob_id"], told.get("lfs_sha256"), told.get("xet_hash"))
            for path, told in sorted(content["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Listing(model, commit, files, CLIENT)


def _unverifiable(model: ModelId, commit: Commit, error: FinalError) -> UnverifiableError:
    return UnverifiableError(
        f"{model} is in the store at commit {commit}, but what its files must be is not known: {error.message}",
        advice=("Let the hub be asked once: it can be verified without a download then.",),
    )

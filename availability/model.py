"""The values everything else talks about: a model's id, a file's record, a listing.

No disk, no network, no settings: text in, frozen values out.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NewType

from availability.errors import InvalidModelIdError

DEFAULT_REVISION = "main"

Commit = NewType("Commit", str)
"""A full git commit id: 40 lower-case hexadecimal digits."""

DigestKind = Literal["sha256", "git-sha1"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
# The rule of huggingface_hub.utils.validate_repo_id, without the half second its import costs a status call.
_REPO_ID = re.compile(r"(?:[A-Za-z0-9_.-]{1,96}/)?[A-Za-z0-9_.-]{1,96}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
_MOST_KEY_BYTES = 200


def is_commit(text: str) -> bool:
    """Say whether a revision is a full commit id and so can never move."""
    return _COMMIT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class ModelId:
    """One model at one revision: `org/name`, and `main` unless said otherwise."""

    repo_id: str
    revision: str = DEFAULT_REVISION

    def __str__(self) -> str:
        """Return the text a person would type: `org/name`, or `org/name@revision`."""
        return self.repo_id if self.revision == DEFAULT_REVISION else f"{self.repo_id}@{self.revision}"

    @property
    def folder(self) -> str:
        """The model's folder in a Hugging Face cache: `models--org--name`."""
        return "models--" + self.repo_id.replace("/", "--")

    @property
    def key(self) -> str:
        """A file name that is this model at this revision and no other, with room for an ending."""
        name = f"{self.folder}@{self.revision.replace('%', '%25').replace('/', '%2F')}"
        if len(name) <= _MOST_KEY_BYTES:
            return name
        # `~` is in no id and no revision, so a shortened name is nobody's full one.
        return f"{name[: _MOST_KEY_BYTES - 65]}~{hashlib.sha256(name.encode()).hexdigest()}"


def parse_model_id(text: str) -> ModelId:
    """Read `org/name[@revision]`; the one place where an id is normalised.

    Surrounding blanks are dropped. A name without an organisation is accepted here, because old models of
    the Hub have one; whether it is known is for the catalog and the store to say.

    Raises:
        InvalidModelIdError: the text is not such an id.
    """
    repo_id, at, revision = text.strip().partition("@")
    why = _why_not_repo_id(repo_id) or (_why_not_revision(revision) if at else None)
    if why:
        raise InvalidModelIdError(
            f"{text!r} is not a model id: {why}.",
            advice=("Write org/name or org/name@revision, for example Qwen/Qwen3-0.6B@main.",),
        )
    return ModelId(repo_id, revision or DEFAULT_REVISION)


def _why_not_repo_id(repo_id: str) -> str | None:
    if not _REPO_ID.fullmatch(repo_id):
        return "expected letters, digits, '-', '_' and '.' in org/name, at most 96 of them on each side"
    if "--" in repo_id or ".." in repo_id:
        return "'--' and '..' are not allowed in it"
    if repo_id.endswith(".git"):
        return "it ends in '.git'"
    if any(part[0] in "-." or part[-1] in "-." for part in repo_id.split("/")):
        return "its parts may not begin or end with '-' or '.'"
    return None


def _why_not_revision(revision: str) -> str | None:
    # git's rules; with them one name is one file below refs/.
    misplaced = any(pair in revision for pair in ("..", "//", "/."))
    if not _REVISION.fullmatch(revision) or misplaced or revision[-1] in "/.":
        return f"{revision!r} is not the name of a branch, a tag or a commit"
    return None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a listing, with the digests its publisher gave.

    Attributes:
        path: relative to the snapshot, with `/`.
        size: bytes.
        blob_id: git blob id, 40 hexadecimal digits (for a large file: of its pointer).
        sha256: of the content, for files in large-file storage; None for the rest.
        xet_hash: of the content in Xet storage, None when it is not there.
    """

    path: str
    size: int
    blob_id: str
    sha256: str | None = None
    xet_hash: str | None = None

    @property
    def digest(self) -> str:
        """The publisher's digest of the content; also the ETag, and the blob's name in the cache."""
        return self.sha256 or self.blob_id

    @property
    def row(self) -> list[str | int | None]:
        """The record as a row of JSON; `FileRecord(*row)` reads it."""
        return [self.path, self.size, self.blob_id, self.sha256, self.xet_hash]

    @property
    def digest_kind(self) -> DigestKind:
        """How `digest` is computed: SHA-256 of the bytes, or the git blob id (SHA-1 with a header)."""
        return "sha256" if self.sha256 else "git-sha1"


@dataclass(frozen=True, slots=True)
class Listing:
    """What a trusted source says one commit of a model consists of.

    Attributes:
        model: the model and the revision that was asked for.
        commit: the commit the revision stood for.
        files: every file of the commit, ordered by path.
        origin: who said so: the name of a source, or `recorded`.
    """

    model: ModelId
    commit: Commit
    files: tuple[FileRecord, ...]
    origin: str

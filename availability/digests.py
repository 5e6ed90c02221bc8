"""The digests by which bytes are judged: the publisher's for a whole file, ours for each chunk of it.

Only arithmetic: bytes in, digests out. hashlib and blake3 release the GIL, so hashing threads run side by side.
"""

import hashlib
from typing import Protocol, Self

from blake3 import blake3

from availability.model import FileRecord

CHUNK_BYTES = 1024 * 1024
"""What a ledger line covers, and so the least that a repair fetches."""

CHUNK_DIGEST_BYTES = 32
"""A BLAKE3 digest of the default length."""

Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A running digest."""

    def update(self, data: Buffer, /) -> object:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """Return the digest so far."""

    def hexdigest(self) -> str:
        """Return the digest so far in lower-case hexadecimal."""

    def copy(self) -> Self:
        """Return another one that goes on from here."""


def publisher_hasher(file: FileRecord) -> Hasher:
    """Return a fresh hasher whose final `hexdigest` must equal `file.digest`.

    SHA-256 of the content for files in large-file storage; for the rest the git blob id: the SHA-1 of `blob`, the size,
    a zero byte and the content (git's object format).
    """
    if file.digest_kind == "sha256":
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def chunk_hasher() -> Hasher:
    """Return a fresh hasher for one chunk of the ledger."""
    return blake3()


def chunk_digest(chunk: Buffer) -> bytes:
    """Return the ledger's digest of one whole chunk."""
    return blake3(chunk).digest()


def chunk_count(size_bytes: int) -> int:
    """Return how many chunks a file of this size has; an empty file has none."""
    return -(-size_bytes // CHUNK_BYTES)

"""The ledger: for each large blob, the BLAKE3 digest of every 1 MiB of its proven content.

A ledger is written only in a pass in which the publisher's digest of the whole file matched, so from then on any
chunk can be judged, and fetched again, by itself and without a network. It says what the bytes must be, never
whether they still are; that is for whoever reads the blob. Files of one chunk need none.

On disk, per digest `<root>/<first two digits>/<digest>`: a header (`_HEADER`), 32 bytes a chunk, and the BLAKE3
digest of all that goes before, so that a damaged ledger is known as such.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from availability.digests import CHUNK_BYTES, CHUNK_DIGEST_BYTES, chunk_count, chunk_digest
from availability.durable import write_atomically

# Magic with the format's version, chunk size, file size.
_HEADER = struct.Struct("<8sIQ")
_MAGIC = b"EMA-LDG1"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What each chunk of one blob must be.

    Attributes:
        digest: the publisher's digest of the whole blob.
        size: bytes.
        chunks: the chunks' digests, 32 bytes each, in order.
    """

    digest: str
    size: int
    chunks: bytes

    @property
    def is_of_use(self) -> bool:
        """Whether it says more than the publisher's digest: it has more than one chunk."""
        return self.size > CHUNK_BYTES

    def chunk(self, index: int) -> bytes:
        """Return the digest that chunk `index` must have."""
        return self.chunks[index * CHUNK_DIGEST_BYTES : (index + 1) * CHUNK_DIGEST_BYTES]


class Ledgers:
    """The ledgers of a store, by digest."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, digest: str) -> Path:
        """Return where the ledger of a digest lies."""
        return self._root / digest[:2] / digest

    def read(self, digest: str) -> Ledger | None:
        """Return the ledger of a digest, None when there is none or it is itself damaged."""
        try:
            content = self.path(digest).read_bytes()
        except OSError:
            # Absent, or on a bad sector: either way it has to be made anew.
            return None
        return _decode(digest, content)

    def write(self, ledger: Ledger) -> None:
        """Keep a ledger, whole or not at all."""
        body = _HEADER.pack(_MAGIC, CHUNK_BYTES, ledger.size) + ledger.chunks
        write_atomically(self.path(ledger.digest), body + chunk_digest(body))


def _decode(digest: str, content: bytes) -> Ledger | None:
    body, seal = content[:-CHUNK_DIGEST_BYTES], content[-CHUNK_DIGEST_BYTES:]
    if len(body) < _HEADER.size or chunk_digest(body) != seal:
        return None
    magic, chunk_bytes, size = _HEADER.unpack_from(body)
    chunks = body[_HEADER.size :]
    if (magic, chunk_bytes) != (_MAGIC, CHUNK_BYTES) or len(chunks) != chunk_count(size) * CHUNK_DIGEST_BYTES:
        return None
    return Ledger(digest, size, chunks)

"""The journal of a download that is under way: which bytes of a file have arrived.

It marks bytes *received*, not proven: per part a high-water mark, written after the data it speaks of, and per
finished chunk its digest. A killed process therefore loses nothing but what was in its hands. A power cut is another
matter: the marks may have reached the disk before the data. So the journal names the boot under which it was written,
and whoever continues it under another one keeps only the chunks that still have their digest (`Journal.distrusted`).

Fixed layout, so that a mark is one four-byte write: a JSON header of `_HEADER_BYTES`, the marks (u32 each), the
chunk digests (32 bytes each, zeros while unfinished), and who sent what (`availability.provenance`). Not memory-mapped:
a full disk would kill us with SIGBUS.
"""

import json
import os
import struct
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from availability.digests import CHUNK_BYTES, CHUNK_DIGEST_BYTES, chunk_count
from availability.durable import write_whole
from availability.provenance import Provenance

_HEADER_BYTES = 1024
_FORMAT = 2
_MARK = struct.Struct("<I")
_UNFINISHED = bytes(CHUNK_DIGEST_BYTES)

_LEAST_PART_BYTES = 16 * CHUNK_BYTES
_MOST_PART_BYTES = 128 * CHUNK_BYTES
_PARTS_WANTED = 256


def part_bytes_for(size_bytes: int) -> int:
    """Return how long the parts of a file are: whole chunks, 16 to 128 MiB, about 256 of them."""
    wanted = -(-size_bytes // _PARTS_WANTED // CHUNK_BYTES) * CHUNK_BYTES
    return max(_LEAST_PART_BYTES, min(wanted, _MOST_PART_BYTES))


class Journal:
    """What has arrived of one file; open while it is being fetched.

    Attributes:
        marks: bytes received of each part, from the part's start.
        provenance: which source sent which chunk, and under which ETag.
        suspect: the whole digest did not match; the received bytes are compared with a second delivery.
        distrusted: written under another boot or on another machine, so the marks may promise too much.
    """

    def __init__(self, path: Path, *, digest: str, size: int) -> None:
        """Open the journal of a file, or begin one where there is none or it speaks of something else."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.part_bytes = part_bytes_for(size)
        self._identity = {"format": _FORMAT, "digest": digest, "size": size, "part_bytes": self.part_bytes}
        self._size = size
        self._parts = -(-size // self.part_bytes)
        self._chunks_offset = _HEADER_BYTES + self._parts * _MARK.size
        self._chunk_count = chunk_count(size)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.marks = [0] * self._parts
        self.suspect = False
        self.distrusted = False
        self._boot = _boot_id()
        self._chunks = bytearray(self._chunk_count * CHUNK_DIGEST_BYTES)
        self.provenance = Provenance(self._descriptor, self._chunks_offset + len(self._chunks), self._chunk_count)
        if not self._load():
            self.restart()

    @property
    def received_bytes(self) -> int:
        """How many bytes have arrived in all."""
        return sum(self.marks)

    def length(self, part: int) -> int:
        """Return how many bytes a part has."""
        return min(self.part_bytes, self._size - part * self.part_bytes)

    def mark(self, part: int, received: int) -> None:
        """Note that a part holds `received` bytes; call it after they were written."""
        self.marks[part] = received
        write_whole(self._descriptor, _MARK.pack(received), _HEADER_BYTES + part * _MARK.size)

    def seal_chunk(self, index: int, digest: bytes, sources: Collection[str] | None = None) -> None:
        """Note the digest of a chunk that is complete, and who sent it; None leaves that as it is known."""
        offset = index * CHUNK_DIGEST_BYTES
        self._chunks[offset : offset + CHUNK_DIGEST_BYTES] = digest
        write_whole(self._descriptor, digest, self._chunks_offset + offset)
        if sources is not None:
            self.provenance.own(index, sources)

    def chunk(self, index: int) -> bytes | None:
        """Return the digest of a chunk as it arrived, None while it is incomplete."""
        digest = bytes(self._chunks[index * CHUNK_DIGEST_BYTES : (index + 1) * CHUNK_DIGEST_BYTES])
        return None if digest == _UNFINISHED else digest

    def trust(self, is_intact: Callable[[int, bytes], bool]) -> None:
        """Keep of a distrusted journal what is true: of each part the chunks before the first that is not intact.

        Args:
            is_intact: told a chunk's index and digest, says whether the data on the disk has it.
        """
        for part, received in enumerate(self.marks):
            first = part * self.part_bytes // CHUNK_BYTES
            kept = 0
            while (kept + 1) * CHUNK_BYTES <= received:
                digest = self.chunk(first + kept)
                if digest is None or not is_intact(first + kept, digest):
                    break
                kept += 1
            self.mark(part, kept * CHUNK_BYTES)
        self._write_header(suspect=self.suspect)
        self.distrusted = False

    def chunks(self) -> bytes:
        """Return the digests of all chunks, 32 bytes each, zeros where one is incomplete."""
        return bytes(self._chunks)

    def restart(self) -> None:
        """Forget everything that arrived, and who sent it."""
        # The marks first: cut off here, old marks must never stand under a new tag.
        self._write_marks([0] * self._parts)
        self._write_header(suspect=False)
        self._chunks = bytearray(len(self._chunks))
        write_whole(self._descriptor, self._chunks, self._chunks_offset)
        self.provenance.clear()

    def receive_again(self, parts: Collection[int] | None = None) -> None:
        """Begin a second delivery, of some parts or of all: their marks start over, the chunk digests stay."""
        again = range(self._parts) if parts is None else parts
        self._write_marks([0 if part in again else mark for part, mark in enumerate(self.marks)])
        self._write_header(suspect=True)

    def close(self) -> None:
        """Close the file; the marks stay for the next run."""
        os.close(self._descriptor)

    def _load(self) -> bool:
        content = os.pread(self._descriptor, self._chunks_offset + len(self._chunks), 0)
        try:
            header = json.loads(content[:_HEADER_BYTES])
        except ValueError:
            return False
        is_ours = isinstance(header, dict) and header.get("of") == self._identity
        if not is_ours or len(content) != self._chunks_offset + len(self._chunks):
            return False
        marks = list(struct.unpack_from(f"<{self._parts}I", content, _HEADER_BYTES))
        lengths = (self.length(part) for part in range(self._parts))
        if any(mark > length for mark, length in zip(marks, lengths, strict=True)):
            return False
        try:
            self.provenance.load()
        except (ValueError, KeyError, TypeError):
            return False
        self.suspect, self.marks = header["suspect"], marks
        self.distrusted = self._boot is None or header["boot"] != self._boot
        self._chunks[:] = content[self._chunks_offset :]
        return True

    def _write_header(self, *, suspect: bool) -> None:
        self.suspect = suspect
        header = {"of": self._identity, "suspect": suspect, "boot": self._boot}
        write_whole(self._descriptor, json.dumps(header).encode().ljust(_HEADER_BYTES), 0)

    def _write_marks(self, marks: Sequence[int]) -> None:
        self.marks = list(marks)
        write_whole(self._descriptor, struct.pack(f"<{self._parts}I", *marks), _HEADER_BYTES)


def _boot_id() -> str | None:
    """Return what changes with every start of this machine, None where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None

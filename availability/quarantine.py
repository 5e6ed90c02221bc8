"""Evidence: the bad bytes and what was said of them, kept before a repair writes over them.

Two files a piece, `<time>-<digest>.json` and `.bin`, bounded in bytes and in number, the oldest dropped first. Of a
large damage its beginning is kept. Nothing is ever read back from here by a repair; it is for people, who want to know
whether a disk, a proxy or a program is at fault.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3

from availability.digests import CHUNK_BYTES
from availability.durable import replace_content
from availability.findings import Finding
from availability.model import ModelId

_ITEM_SHARE = 8
"""One piece takes at most this part of all the room, so that no single file drives out the evidence of others."""
_NAME_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece.

    Attributes:
        path: of its JSON; the bytes lie beside it, with the ending `.bin`.
        told: what the JSON says.
    """

    path: Path
    told: dict[str, Any]

    @property
    def content(self) -> Path:
        """Where the bytes are."""
        return self.path.with_suffix(".bin")


class Quarantine:
    """The evidence of a store, in one folder."""

    def __init__(self, folder: Path, max_bytes: int, max_items: int) -> None:
        """Keep at most so many bytes and so many pieces."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_items = max_items

    def keep(self, model: ModelId, finding: Finding, place: Path, *, now: float) -> Path | None:
        """Keep what is damaged of the file at `place`, and what was found; return where, None when nothing was kept.

        The same bytes with the same finding are kept once, however often a repair is tried. What cannot be read or
        written is left: evidence is worth less than the repair.
        """
        if not self._max_bytes:
            return None
        try:
            kept, content = self._damaged(finding, place)
            return self._write(model, finding, kept, content, now)
        except OSError:
            return None

    def all(self) -> tuple[Evidence, ...]:
        """Return every piece, the oldest first."""
        return tuple(Evidence(path, json.loads(path.read_bytes())) for path in sorted(self._folder.glob("*.json")))

    def _damaged(self, finding: Finding, place: Path) -> tuple[list[tuple[int, int]], bytes]:
        kept: list[tuple[int, int]] = []
        content = bytearray()
        with place.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for start, stop in finding.ranges or ((0, size),):
                room = self._max_bytes // _ITEM_SHARE - len(content)
                piece = _read(file.fileno(), start, min(stop, size, start + room))
                if piece:
                    kept.append((start, start + len(piece)))
                    content += piece
        return kept, bytes(content)

    def _write(self, model: ModelId, finding: Finding, kept: list[tuple[int, int]], content: bytes, now: float) -> Path:
        told: dict[str, Any] = {
            "model_id": str(model),
            "digest": finding.file.digest,
            "finding": finding.as_dict(),
            "kept_ranges": kept,
        }
        told["evidence"] = blake3(json.dumps(told, sort_keys=True).encode() + content).hexdigest()
        earlier = next(self._folder.glob(f"*-{told['evidence'][:_NAME_DIGITS]}.json"), None)
        if earlier is not None:
            return earlier
        moment = datetime.fromtimestamp(now, UTC)
        path = self._folder / f"{moment:%Y%m%dT%H%M%S.%fZ}-{told['evidence'][:_NAME_DIGITS]}.json"
        # The JSON last, so that there is none without its bytes; a repair waits for the disk to keep neither.
        replace_content(path.with_suffix(".bin"), content)
        replace_content(path, json.dumps({"at": moment.isoformat(), **told}, indent=1).encode())
        self._drop_oldest()
        return path

    def _drop_oldest(self) -> None:
        items = sorted(self._folder.glob("*.json"), reverse=True)
        taken = 0
        for number, path in enumerate(items):
            content = path.with_suffix(".bin")
            taken += _size(content) + _size(path)
            if number >= self._max_items or taken > self._max_bytes:
                path.unlink(missing_ok=True)
                content.unlink(missing_ok=True)


def _read(descriptor: int, start: int, stop: int) -> bytes:
    pieces = (os.pread(descriptor, min(CHUNK_BYTES, stop - at), at) for at in range(start, stop, CHUNK_BYTES))
    return b"".join(pieces)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

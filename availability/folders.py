"""One model's folder in the store as a line of text, to be read entirely only by whoever asks about this model.

Of ten thousand models a summary needs one word each; the rest stays text until a page shows it. What the words mean is
not decided here.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from availability.look import DamagedRanges, Look
from availability.model import Commit
from availability.status import Disk
from availability.store import STAGING


class Shelf(NamedTuple):
    """What one model's folder holds; a tuple, because ten thousand are made in a few milliseconds.

    Attributes:
        name: the folder's.
        heads: the revisions' names, each followed by its `Disk` word, with zero bytes between.
        shared: bytes of content that other models may share, by what identifies it; as JSON.
        rest: the commit and the look of each revision; as JSON.
        own_bytes: what its blobs and its staging take on the disk, besides what is shared.
    """

    name: str
    heads: str
    shared: str
    rest: str
    own_bytes: int

    @property
    def repo_id(self) -> str:
        """The model's id."""
        return self.name.removeprefix("models--").replace("--", "/")

    @property
    def shared_bytes(self) -> Mapping[str, int]:
        """Bytes of shared content, by what identifies it."""
        shared: dict[str, int] = json.loads(self.shared)
        return shared

    def look(self, place: int) -> tuple[Commit | None, Look]:
        """Return what the revision at this place points to, and what the disk tells of it."""
        return _decode(json.loads(self.rest)[place])

    @classmethod
    def of_looks(cls, folder: Path, looks: Sequence[tuple[str, Commit | None, Look]]) -> "Shelf":
        """Write down what was seen of a folder: each revision's name, what it points to, and its look."""
        own, shared = _stored_bytes(folder)
        return cls(
            name=folder.name,
            heads="\0".join(word for revision, _, one in looks for word in (revision, one.disk.value)),
            shared=_json(shared),
            rest=_json([_encode(commit, one) for _, commit, one in looks]),
            own_bytes=own,
        )


def is_staging(folder: Path) -> bool:
    """Say whether bytes lie in a model's staging folder."""
    return bool(_entries(folder / STAGING))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _stored_bytes(folder: Path) -> tuple[int, dict[str, int]]:
    own = 0
    shared: dict[str, int] = {}
    for name in ("blobs", STAGING):
        for entry in _entries(folder / name):
            try:
                status = entry.stat()
            except OSError:
                continue
            taken = status.st_blocks * 512
            if entry.is_symlink() or status.st_nlink > 1:
                shared[str(status.st_ino)] = taken
            elif entry.is_file():
                own += taken
    return own, shared


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _encode(commit: Commit | None, one: Look) -> list[object]:
    return [
        *(commit, one.disk, one.size_bytes, one.integrity_score, one.oldest_check),
        *(one.missing, one.damaged, one.unverified),
    ]


def _decode(kept: Sequence[Any]) -> tuple[Commit | None, Look]:
    commit, disk, size_bytes, score, oldest, missing, damaged, unverified = kept
    return commit, Look(
        disk=Disk(disk),
        missing=tuple(missing),
        damaged=tuple(
            DamagedRanges(file=one["file"], ranges=[(start, stop) for start, stop in one["ranges"]]) for one in damaged
        ),
        unverified=tuple(unverified),
        size_bytes=size_bytes,
        integrity_score=score,
        oldest_check=oldest,
    )

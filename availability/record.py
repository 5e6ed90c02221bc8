"""What we know of one commit of a model: its listing, what was asked of it, and which files were proven when.

A record is the memory that makes the second look cheap: a file whose signature is still the one it was proven with
needs no hashing. It is never the truth about the disk; `availability.store` observes that.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from availability.durable import write_atomically
from availability.model import Commit, FileRecord, Listing, ModelId
from availability.selection import Selection

_FORMAT = 1
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Signature:
    """What changes when a file's content is changed through the file system.

    Attributes:
        size: bytes.
        mtime_ns: modification time, nanoseconds since the epoch.
    """

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Proof:
    """That a file had its publisher's digest.

    Attributes:
        signature: what the file looked like then.
        at: when, seconds since the epoch.
    """

    signature: Signature
    at: float


@dataclass(frozen=True, slots=True)
class Defect:
    """That a file had wrong bytes; it holds only while the file's signature is the one it was seen with.

    Attributes:
        signature: what the file looked like then.
        kind: the finding's kind (`availability.integrity.FindingKind`).
        ranges: the damaged bytes as (start, stop), stop exclusive; none when they are not known.
        at: when it was seen, seconds since the epoch.
        cause: the likely cause, as a sentence; empty when nobody said.
    """

    signature: Signature
    kind: str
    ranges: tuple[tuple[int, int], ...]
    at: float
    cause: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """One commit of a model as we know it.

    Attributes:
        listing: every file of the commit and its publisher's digests.
        selections: the requests that were fulfilled; the model is complete relative to them.
        wanted: the paths of all files those requests chose.
        proofs: by path, for each file that was proven.
        defects: by path, for each file that was found wrong.
    """

    listing: Listing
    selections: tuple[Selection, ...] = ()
    wanted: frozenset[str] = frozenset()
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    defects: Mapping[str, Defect] = field(default_factory=dict)

    def wanted_files(self) -> tuple[FileRecord, ...]:
        """Return the files that were asked for."""
        if len(self.wanted) == len(self.listing.files):
            return self.listing.files
        return tuple(file for file in self.listing.files if file.path in self.wanted)


class Records:
    """The records of a store's models, one file a commit: `<root>/models--org--name/<commit>.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, model: ModelId, commit: Commit) -> SnapshotRecord | None:
        """Return the record of a commit, None when there is none or it cannot be understood."""
        try:
            return _decode(model, json.loads(self.path(model, commit).read_bytes()))
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def read_all(self, model: ModelId) -> tuple[SnapshotRecord, ...]:
        """Return the records of all commits of a model, in no order."""
        paths = (self.root / model.folder).glob("*.json")
        records = (self.read(model, Commit(path.stem)) for path in paths)
        return tuple(record for record in records if record is not None)

    def update(
        self, model: ModelId, commit: Commit, change: Callable[[SnapshotRecord | None], SnapshotRecord | None]
    ) -> None:
        """Read a record, change it and keep it, in one step among all who update it so, in whichever process.

        Args:
            model: which.
            commit: which.
            change: given what is known now, returns what is to be known; None keeps things as they are.
        """
        path = self.path(model, commit)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{commit}.lock"), poll_interval=_POLL_SECONDS, mode=0o666):
            before = self.read(model, commit)
            after = change(before)
            if after is not None and after != before:
                self.write(after)

    def write(self, record: SnapshotRecord) -> None:
        """Keep a record, whole or not at all."""
        listing = record.listing
        content = {
            "format": _FORMAT,
            "model": listing.model.repo_id,
            "revision": listing.model.revision,
            "commit": listing.commit,
            "origin": listing.origin,
            "files": [file.row for file in listing.files],
            "selections": [asdict(selection) for selection in record.selections],
            "wanted": sorted(record.wanted),
            "proofs": {path: [p.signature.size, p.signature.mtime_ns, p.at] for path, p in record.proofs.items()},
            "defects": {
                path: [d.signature.size, d.signature.mtime_ns, d.kind, d.ranges, d.at, d.cause]
                for path, d in record.defects.items()
            },
        }
        encoded = json.dumps(content, separators=(",", ":")).encode()
        # By way of the root, so that with every record the root's own modification time changes, in the same step.
        write_atomically(self.path(listing.model, listing.commit), encoded, by_way_of=self.root)

    def path(self, model: ModelId, commit: Commit) -> Path:
        """Return where the record of a commit lies."""
        return self.root / model.folder / f"{commit}.json"


def _decode(model: ModelId, content: dict[str, Any]) -> SnapshotRecord:
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']}")
    return SnapshotRecord(
        listing=Listing(
            model=model,
            commit=Commit(content["commit"]),
            files=tuple(FileRecord(*file) for file in content["files"]),
            origin=content["origin"],
        ),
        selections=tuple(
            Selection(tuple(s["include"]), tuple(s["exclude"]), s["variant"], s["pickle_policy"])
            for s in content["selections"]
        ),
        wanted=frozenset(content["wanted"]),
        proofs={path: Proof(Signature(size, mtime), at) for path, (size, mtime, at) in content["proofs"].items()},
        defects={
            path: Defect(Signature(size, mtime), kind, tuple((start, stop) for start, stop in ranges), at, *cause)
            for path, (size, mtime, kind, ranges, at, *cause) in content["defects"].items()
        },
    )

"""What the disk told of each model's folder, with the signature of everything that was looked at.

Judging a folder means reading its references, its records and the signatures of its files: a third of a millisecond.
Taking those signatures again and finding them unchanged is a tenth of that, and then the judgement is the same one,
because it depends on nothing else. So a memo is never the truth and is never trusted beyond its signatures; losing it
costs time only. No judgement is made here: that is `availability.look`'s.
"""

import os
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

from availability.folders import Shelf, is_staging
from availability.index import Columns
from availability.look import Look, look, revisions
from availability.model import Commit, ModelId
from availability.probes import SETTLED_SECONDS, Probes, Seen, modified_ns
from availability.record import Records
from availability.store import Store

MANY_FOLDERS = 1000
"""From so many on, what costs a call for each folder and rarely tells anything is not asked each time."""


class Memo:
    """What is remembered of the folders of a store."""

    def __init__(
        self, store: Store, records: Records, now: Callable[[], float], *, many_folders: int = MANY_FOLDERS
    ) -> None:
        """Remember nothing yet.

        Args:
            store: whose folders.
            records: what is known of each commit; its records are part of what a judgement depends on.
            now: the clock, seconds since the epoch.
            many_folders: from so many on, not everything is asked each time.
        """
        self._store = store
        self._records = records
        self._now = now
        self._many_folders = many_folders
        self._rows: dict[str, tuple[Shelf, Probes]] = {}
        self._records_modified = 0
        self.changes = 0
        """How many folders were read anew since the columns were given or taken."""
        self.looked_for_new_at = 0.0
        """When new revisions were looked for in every folder, seconds since the epoch."""

    @property
    def size(self) -> int:
        """How many folders are remembered."""
        return len(self._rows)

    def give(self, kept: Columns) -> None:
        """Take over what another process remembered."""
        texts, numbers = kept.texts, kept.numbers
        values, file_counts, folder_counts = numbers["values"], numbers["file_counts"], numbers["folder_counts"]
        ends = [0, *accumulate(numbers["value_counts"])]
        slices = [values[start:stop] for start, stop in pairwise(ends)]
        shelves = map(Shelf, texts["names"], texts["heads"], texts["shared"], texts["rest"], numbers["own_bytes"])
        seen = map(Probes, texts["files"], texts["others"], slices, file_counts, folder_counts)
        self._rows = dict(zip(texts["names"], zip(shelves, seen, strict=True), strict=True))
        (self._records_modified,) = numbers["records_modified"]
        self.changes = 0

    def take(self) -> Columns:
        """Return what is remembered."""
        self.changes = 0
        shelves = [shelf for shelf, _ in self._rows.values()]
        seen = [probes for _, probes in self._rows.values()]
        return Columns(
            texts={
                "names": [shelf.name for shelf in shelves],
                "heads": [shelf.heads for shelf in shelves],
                "shared": [shelf.shared for shelf in shelves],
                "rest": [shelf.rest for shelf in shelves],
                "files": [probes.files for probes in seen],
                "others": [probes.others for probes in seen],
            },
            numbers={
                "own_bytes": [shelf.own_bytes for shelf in shelves],
                "value_counts": [len(probes.numbers) for probes in seen],
                "file_counts": [probes.file_count for probes in seen],
                "folder_counts": [probes.folder_count for probes in seen],
                "values": [value for probes in seen for value in probes.numbers],
                "records_modified": [self._records_modified],
            },
        )

    def shelves(self, *, look_for_new_every: float) -> Iterator[Shelf]:
        """Yield what each model's folder holds now, in the order of their names.

        Args:
            look_for_new_every: where there are many folders, revisions that other programs added are looked for
                at most so many seconds later. All else is looked at now.
        """
        names = self._names()
        at = self._now()
        is_many = len(names) >= self._many_folders
        looks_for_new = not is_many or not 0 <= at - self.looked_for_new_at <= look_for_new_every
        # A record is renamed out of the root of all records, so the root's own time tells of every change.
        modified = modified_ns(self._records.root)
        are_records_same = is_many and modified == self._records_modified
        for name in self._rows.keys() - set(names):
            del self._rows[name]
        if names:
            descriptor = os.open(self._store.root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                for name in names:
                    yield self._shelf(name, descriptor, looks_for_new=looks_for_new, records=not are_records_same)
            finally:
                os.close(descriptor)
        self._records_modified = modified if modified < (at - SETTLED_SECONDS) * 1e9 else 0
        if looks_for_new:
            self.looked_for_new_at = at

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._store.root) if name.startswith("models--"))
        except FileNotFoundError:
            return []

    def _shelf(self, name: str, store: int, *, looks_for_new: bool, records: bool) -> Shelf:
        row = self._rows.get(name)
        if row is not None:
            shelf, probes = row
            if (
                probes.are_files_same(store, name)
                and (not looks_for_new or probes.are_folders_same(store, name))
                and (not records or probes.are_records_same(self._records.root, name))
            ):
                return shelf
        self.changes += 1
        shelf, seen = self._observe(name)
        self._rows.pop(name, None)
        if seen.is_settled(self._now()) and _is_writable(shelf, seen) and not is_staging(self._store.root / name):
            self._rows[name] = shelf, seen.probes()
        return shelf

    def _observe(self, name: str) -> tuple[Shelf, Seen]:
        stored = ModelId(name.removeprefix("models--").replace("--", "/"))
        seen = Seen(self._store.root / name, self._records.root / name)
        # Each signature is taken before what it stands for is read, so a change in between shows the next time.
        seen.references()
        seen.folder("snapshots")
        looks = [
            (model.revision, commit, self._look(model, commit, seen))
            for model, commit in revisions(self._store, stored)
        ]
        return Shelf.of_looks(self._store.folder(stored), looks), seen

    def _look(self, model: ModelId, commit: Commit | None, seen: Seen) -> Look:
        if commit is None:
            return look(self._store, model, None, None, seen.content)
        seen.file(f"snapshots/{commit}")
        seen.record(commit)
        record = self._records.read(model, commit)
        if record is None or not record.wanted:
            seen.tree(f"snapshots/{commit}")
        return look(self._store, model, commit, record, seen.content)


def _is_writable(shelf: Shelf, seen: Seen) -> bool:
    """Say whether no name in it would break a line of the file."""
    return not any("\n" in text for text in (*seen.paths, shelf.name, shelf.heads))

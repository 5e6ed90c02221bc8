"""What the disk told of each model's folder, with the signature of everything that was looked at.

Judging a folder means reading its references, its records and the signatures of its files: a third of a millisecond.
Taking those signatures again and finding them unchanged is a tenth of that, and then the judgement is the same one,
because it depends on nothing else. So a memo is never the truth and is never trusted beyond its signatures; losing it
costs time only. No judgement is made here: that is `availability.look`'s.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from availability.folders import Shelf, is_staging
from availability.index import Columns
from availability.look import Look, look, revisions
from availability.model import Commit, ModelId
from availability.probes import SETTLED_SECONDS, Probes, Seen, changed, count_of, modified_ns
from availability.record import Records
from availability.store import Store

MANY_FOLDERS = 1000
"""From so many on, what costs a call for each folder and rarely tells anything is not asked each time."""

_KINDS = ("files", "folders", "records")


class _Row(NamedTuple):
    """A shelf, and what it was seen with: one `Probes` for each of `_KINDS`."""

    shelf: Shelf
    probes: tuple[Probes, ...]

    @property
    def is_writable(self) -> bool:
        """Whether no name in it would break a line of the file."""
        texts = (self.shelf.name, self.shelf.heads, *(probes.paths for probes in self.probes))
        return not any("\n" in text for text in texts)


_NOTHING = Columns(
    texts={name: [] for name in ("names", "heads", "shared", "rest", *_KINDS)},
    numbers={"own_bytes": [], "records_modified": [0], **{kind: [] for kind in _KINDS}},
)


class Memo:
    """What is remembered of the folders of a store: in columns what came from the file, and apart what is new."""

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
        self._columns = _NOTHING
        self._outdated: set[int] = set()
        self._new: dict[str, _Row] = {}
        self._records_modified = 0
        self.changes = 0
        """How many folders were read anew since the columns were given or taken."""
        self.looked_for_new_at = 0.0
        """When new revisions were looked for in every folder, seconds since the epoch."""

    @property
    def size(self) -> int:
        """How many folders are remembered."""
        return len(self._columns.texts["names"]) - len(self._outdated) + len(self._new)

    def give(self, columns: Columns) -> None:
        """Take over what another process remembered."""
        self._columns, self._outdated, self._new = columns, set(), {}
        (self._records_modified,) = columns.numbers["records_modified"]
        self.changes = 0

    def take(self) -> Columns:
        """Return what is remembered."""
        rows = [*self._kept_rows(), *self._new.values()]
        texts: dict[str, list[str]] = {
            "names": [row.shelf.name for row in rows],
            "heads": [row.shelf.heads for row in rows],
            "shared": [row.shelf.shared for row in rows],
            "rest": [row.shelf.rest for row in rows],
        }
        numbers: dict[str, list[int]] = {
            "own_bytes": [row.shelf.own_bytes for row in rows],
            "records_modified": [self._records_modified],
        }
        for place, kind in enumerate(_KINDS):
            texts[kind] = [row.probes[place].paths for row in rows]
            numbers[kind] = [number for row in rows for number in row.probes[place].numbers]
        self.give(Columns(texts, numbers))
        return self._columns

    def shelves(self, *, look_for_new_every: float) -> Iterator[Shelf]:
        """Yield what each model's folder holds now, in no order.

        Args:
            look_for_new_every: where there are many folders, revisions that other programs added are looked for
                at most so many seconds later. All else is looked at now.
        """
        names = self._names()
        at = self._now()
        is_many = len(names) >= self._many_folders
        looks_for_new = not is_many or not 0 <= at - self.looked_for_new_at <= look_for_new_every
        # A record is renamed by way of the root of all records, so the root's own time tells of every change.
        modified = modified_ns(self._records.root)
        looks_at_records = not is_many or modified != self._records_modified
        self._forget_changed(names, [True, looks_for_new, looks_at_records])
        yield from [row.shelf for row in self._new.values()]
        yield from self._kept_shelves()
        for name in sorted(names - self._new.keys() - self._kept_names()):
            yield self._read(name)
        self._records_modified = modified if modified < (at - SETTLED_SECONDS) * 1e9 else 0
        if looks_for_new:
            self.looked_for_new_at = at

    def _names(self) -> set[str]:
        try:
            return {name for name in os.listdir(self._store.root) if name.startswith("models--")}
        except FileNotFoundError:
            return set()

    def _forget_changed(self, names: set[str], are_looked_at: Sequence[bool]) -> None:
        """Forget the folders that are gone, and those of which something that is looked at changed."""
        kept = self._columns.texts["names"]
        if not names.issuperset(kept):
            self._outdated.update(place for place, name in enumerate(kept) if name not in names)
        self._new = {name: row for name, row in self._new.items() if name in names}
        if not names:
            return
        descriptor = os.open(self._store.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for at in [at for at, is_looked_at in enumerate(are_looked_at) if is_looked_at]:
                # Records lie elsewhere, all else below the store.
                place = {"root": f"{self._records.root}/"} if _KINDS[at] == "records" else {"folder": descriptor}
                self._forget_changed_of(at, partial(changed, **place))
        finally:
            os.close(descriptor)

    def _forget_changed_of(self, at: int, changed: Callable[..., set[int]]) -> None:
        texts, numbers = self._columns.texts, self._columns.numbers
        self._outdated |= changed(texts["names"], texts[_KINDS[at]], numbers[_KINDS[at]])
        for name, row in [*self._new.items()]:
            if changed([name], [row.probes[at].paths], row.probes[at].numbers):
                del self._new[name]

    def _all_kept(self) -> Iterator[Shelf]:
        texts, numbers = self._columns.texts, self._columns.numbers
        return map(Shelf, texts["names"], texts["heads"], texts["shared"], texts["rest"], numbers["own_bytes"])

    def _kept_shelves(self) -> Iterator[Shelf]:
        """Return the shelves that came from the file and are as they were."""
        if not self._outdated:
            return self._all_kept()
        return (shelf for place, shelf in enumerate(self._all_kept()) if place not in self._outdated)

    def _kept_names(self) -> set[str]:
        names = self._columns.texts["names"]
        return {*names}.difference(names[place] for place in self._outdated)

    def _kept_rows(self) -> Iterator[_Row]:
        texts, numbers = self._columns.texts, self._columns.numbers
        starts = [0] * len(_KINDS)
        for place, shelf in enumerate(self._all_kept()):
            probes: list[Probes] = []
            for at, kind in enumerate(_KINDS):
                paths = texts[kind][place]
                stop = starts[at] + 2 * count_of(paths)
                probes.append(Probes(paths, numbers[kind][starts[at] : stop]))
                starts[at] = stop
            if place not in self._outdated:
                yield _Row(shelf, tuple(probes))

    def _read(self, name: str) -> Shelf:
        """Look at a folder, and remember it if a later change must show."""
        self.changes += 1
        shelf, seen = self._observe(name)
        row = _Row(shelf, seen.probes())
        if seen.is_settled(self._now()) and row.is_writable and not is_staging(self._store.root / name):
            self._new[name] = row
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

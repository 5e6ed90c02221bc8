"""Which models have a download's record, and which of those records say that somebody is at work.

Records are replaced by renaming, which changes their folder: while that has one modification time there is nothing new
to read, so asking about ten thousand finished downloads costs one call. Whether somebody is alive behind a record is
not asked here; the lease tells.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from availability.controls import Controls
from availability.index import Columns
from availability.model import ModelId
from availability.probes import SETTLED_SECONDS


@dataclass(frozen=True, slots=True)
class _Row:
    """A download's record: its signature, its model's key, and whether it says that somebody is at work."""

    modified: int
    size: int
    key: str
    is_active: bool


KEY_SEPARATOR = "\0"
"""Stands between a model's id and its revision in its key; it is in neither, and sorts before all that may be."""


def key_of(repo_id: str, revision: str) -> str:
    """Return the key of a model: in their order, keys are in the order of models."""
    return f"{repo_id}{KEY_SEPARATOR}{revision}"


def model_of(key: str) -> ModelId:
    """Return the model that a key stands for."""
    return ModelId(*key.split(KEY_SEPARATOR))


class Activity:
    """The downloads' records of a store, read again only where they changed."""

    def __init__(self, controls: Controls, now: Callable[[], float]) -> None:
        """Know nothing yet; `now` is the clock, seconds since the epoch."""
        self._controls = controls
        self._now = now
        self._columns: Columns | None = None
        self._read_rows: dict[str, _Row] = {}
        self._folder_modified: int | None = None
        self.changes = 0
        """How many records were read since the columns were given or taken."""

    def give(self, columns: Columns) -> None:
        """Take over what another process remembered."""
        self._columns = columns
        self._folder_modified = columns.numbers["downloads"][0] or None
        self.changes = 0

    def take(self) -> Columns:
        """Return what is remembered."""
        self.changes = 0
        rows = self._rows.values()
        numbers = [value for row in rows for value in (row.modified, row.size)]
        return Columns(
            texts={
                "download_files": list(self._rows),
                "download_models": [row.key for row in rows],
                "download_active": [row.key for row in rows if row.is_active],
            },
            numbers={"downloads": [self._folder_modified or 0, *numbers]},
        )

    def keys(self) -> Iterable[str]:
        """Return the keys of the models that have a record; see `model_of`."""
        if self._columns is not None:
            return self._columns.texts["download_models"]
        return [row.key for row in self._read_rows.values()]

    def active(self) -> set[str]:
        """Return the keys of the models whose record says that somebody is at work."""
        if self._columns is not None:
            return set(self._columns.texts["download_active"])
        return {row.key for row in self._read_rows.values() if row.is_active}

    @property
    def _rows(self) -> dict[str, _Row]:
        """The rows one by one; what another process remembered is only taken apart where that is needed."""
        if self._columns is not None:
            texts, numbers = self._columns.texts, self._columns.numbers["downloads"]
            active = set(texts["download_active"])
            named = zip(texts["download_files"], texts["download_models"], numbers[1::2], numbers[2::2], strict=True)
            self._read_rows = {name: _Row(modified, size, key, key in active) for name, key, modified, size in named}
            self._columns = None
        return self._read_rows

    def refresh(self) -> set[str]:
        """Read what changed; return the keys of the models it concerns."""
        modified = self._modified()
        if modified is not None and modified == self._folder_modified:
            return set()
        changed = self._read_changed()
        is_settled = modified is not None and self._is_settled(modified)
        self._folder_modified = modified if is_settled else None
        if is_settled:
            # Remembering it saves who comes next a call for each record.
            self.changes += len(self._rows)
        return changed

    def _is_settled(self, modified: int) -> bool:
        """Say whether what was modified then must show a later change; within a clock's tick it need not."""
        return modified < (self._now() - SETTLED_SECONDS) * 1e9

    def _modified(self) -> int | None:
        try:
            return os.stat(self._controls.root).st_mtime_ns
        except FileNotFoundError:
            return None

    def _read_changed(self) -> set[str]:
        found: dict[str, _Row] = {}
        for name in self._controls.names():
            row = self._row(name)
            if row is not None:
                found[name] = row
        before = self._rows
        changed = {row.key for name, row in found.items() if row != before.get(name)}
        changed |= {row.key for name, row in before.items() if name not in found}
        self._read_rows = found
        self.changes += len(changed)
        return changed

    def _row(self, name: str) -> _Row | None:
        try:
            status = os.stat(f"{self._controls.root}/{name}")
        except FileNotFoundError:
            return None
        known = self._rows.get(name)
        signature = status.st_mtime_ns, status.st_size
        if known is not None and (known.modified, known.size) == signature and self._is_settled(known.modified):
            return known
        record = self._controls.read_file(name)
        if record is None:
            return None
        return _Row(*signature, key_of(record.repo_id, record.revision), record.state.is_active)

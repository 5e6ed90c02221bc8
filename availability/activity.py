"""Which models have a download's record, and which of those records say that somebody is at work.

Records are replaced by renaming, which changes their folder: while that has one modification time there is nothing new
to read, so asking about ten thousand finished downloads costs one call. Whether somebody is alive behind a record is
not asked here; the lease tells.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from availability.controls import Controls
from availability.index import Columns
from availability.model import ModelId
from availability.probes import SETTLED_SECONDS


@dataclass(frozen=True, slots=True)
class _Row:
    """A download's record: its signature, its model and revision with a tab between, and whether somebody is at it."""

    modified: int
    size: int
    key: str
    is_active: bool


def model_of(key: str) -> ModelId:
    """Return the model that a key stands for: its id and its revision with a tab between."""
    return ModelId(*key.split("\t"))


class Activity:
    """The downloads' records of a store, read again only where they changed."""

    def __init__(self, controls: Controls, now: Callable[[], float]) -> None:
        """Know nothing yet; `now` is the clock, seconds since the epoch."""
        self._controls = controls
        self._now = now
        self._rows: dict[str, _Row] = {}
        self._folder_modified: int | None = None
        self.changes = 0
        """How many records were read since the columns were given or taken."""

    def give(self, columns: Columns) -> None:
        """Take over what another process remembered."""
        texts, values = columns.texts, iter(columns.numbers["downloads"])
        self._folder_modified = next(values) or None
        named = zip(texts["download_files"], texts["download_models"], values, values, values, strict=True)
        self._rows = {name: _Row(modified, size, key, bool(active)) for name, key, modified, size, active in named}
        self.changes = 0

    def take(self) -> Columns:
        """Return what is remembered."""
        self.changes = 0
        rows = self._rows.values()
        numbers = [value for row in rows for value in (row.modified, row.size, int(row.is_active))]
        return Columns(
            texts={"download_files": list(self._rows), "download_models": [row.key for row in rows]},
            numbers={"downloads": [self._folder_modified or 0, *numbers]},
        )

    def keys(self) -> list[str]:
        """Return the keys of the models that have a record; see `model_of`."""
        return [row.key for row in self._rows.values()]

    def active(self) -> set[str]:
        """Return the keys of the models whose record says that somebody is at work."""
        return {row.key for row in self._rows.values() if row.is_active}

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
        self._rows = found
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
        return _Row(*signature, f"{record.repo_id}\t{record.revision}", record.state.is_active)

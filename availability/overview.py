"""The status of all models at once, fast enough to be asked by everybody all the time.

Two things make it so. `availability.memo` remembers what was judged of each folder for as long as no signature changed;
it lies in a file of the state that all processes share. And an answer is given again while it is young: only what a
download is at is looked at each time, so that progress never stands still. What a model's status is, is decided by
`availability.inventory` alone.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from time import time
from typing import TYPE_CHECKING, TypedDict, overload

from availability.activity import KEY_SEPARATOR, Activity, key_of, model_of
from availability.catalog import Catalog
from availability.folders import Shelf
from availability.index import Columns, read_columns, write_columns
from availability.inventory import ModelStatus, model_status, status_of
from availability.look import NOTHING
from availability.memo import Memo
from availability.model import DEFAULT_REVISION, is_commit
from availability.status import Availability, Disk, Wanted, Work, availability_of

if TYPE_CHECKING:
    from availability.workspace import Workspace

LIVE_SECONDS = 0.1
"""What a running download is at is looked at as often as that, however many ask."""

_WORTH_SAVING = 64
"""The index is written again when one in so many of its folders was read anew."""

# The catalog never changes the word; see `availability.status`.
_IDLE_WORDS = {disk.value: availability_of(disk, Work.IDLE, Wanted.NO) for disk in Disk}


class OverviewRecord(TypedDict):
    """The figures of an `Overview` as plain data; the counts are of all models, whichever page is shown."""

    models: int
    available: int
    downloading: int
    missing: int
    corrupted: int
    updating: int
    total_storage_mb: float
    age_seconds: float
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Overview:
    """How available all models are.

    Attributes:
        statuses: those of the page, in the order of their names; each is put together when it is first read, and
            `download` is told only while it runs.
        counts: of all models, by word.
        stored_bytes: what all models take on the disk; shared content counts once.
        age_seconds: how long ago the disk was looked at; running downloads are never older than `LIVE_SECONDS`.
        page: which page, from 1.
        pages: how many there are; at least 1.
    """

    statuses: Sequence[ModelStatus]
    counts: Mapping[Availability, int]
    stored_bytes: int
    age_seconds: float
    page: int
    pages: int

    @property
    def all_available(self) -> bool:
        """Whether every model can be used, on this page or another."""
        return all(word.is_available for word, count in self.counts.items() if count)

    def as_dict(self) -> OverviewRecord:
        """Return the figures as plain data."""
        return OverviewRecord(
            models=sum(self.counts.values()),
            available=self.counts[Availability.AVAILABLE],
            downloading=self.counts[Availability.DOWNLOADING],
            missing=self.counts[Availability.MISSING],
            corrupted=self.counts[Availability.CORRUPTED],
            updating=self.counts[Availability.UPDATING],
            total_storage_mb=round(self.stored_bytes / 1e6, 3),
            age_seconds=round(self.age_seconds, 3),
            page=self.page,
            pages=self.pages,
        )


def status_all(
    workspace: "Workspace", catalog: Catalog, *, page: int = 1, page_size: int | None = None, refresh: bool = False
) -> Overview:
    """Return the status of every model that the disk, the catalog, a download's record or the history of uses knows.

    Args:
        workspace: where; it remembers the answer for `health.cache_ttl_seconds`.
        catalog: its models are listed, whether they are there or not.
        page: which page, from 1; one beyond the last is empty.
        page_size: models on a page; None puts all on one.
        refresh: look at the disk, however young the last answer is.
    """
    return workspace.overviews.answer(catalog, page=page, page_size=page_size, refresh=refresh)


_Kept = tuple[Availability, Shelf | None, int]
"""A model's word while nobody is at work, and where the rest of its status stands; plain, because there are many."""


@lru_cache(maxsize=1024)
def _words(heads: str) -> tuple[tuple[str, Availability], ...]:
    """Return each revision of a shelf and its word while nobody is at work; most shelves have the same ones."""
    texts = iter(heads.split("\0") if heads else [])
    return tuple((revision, _IDLE_WORDS[disk]) for revision, disk in zip(texts, texts, strict=True))


class _Statuses(Sequence[ModelStatus]):
    """The statuses of a page, put together as they are read: a summary of ten thousand needs none of them."""

    def __init__(self, workspace: "Workspace", models: Sequence[tuple[str, _Kept | ModelStatus]]) -> None:
        self._workspace = workspace
        self._models = list(models)

    def __len__(self) -> int:
        return len(self._models)

    @overload
    def __getitem__(self, at: int) -> ModelStatus: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[ModelStatus]: ...
    def __getitem__(self, at: int | slice) -> ModelStatus | Sequence[ModelStatus]:
        if isinstance(at, slice):
            return _Statuses(self._workspace, self._models[at])
        key, known = self._models[at]
        if not isinstance(known, ModelStatus):
            _, shelf, place = known
            commit, seen = shelf.look(place) if shelf else (None, NOTHING)
            known = status_of(self._workspace, model_of(key), commit, seen)
            self._models[at] = key, known
        return known


@dataclass(slots=True)
class _Answer:
    catalog: Catalog
    at: float
    live_at: float
    models: dict[str, _Kept | ModelStatus]
    stored_bytes: int
    keys: Sequence[str] = ()
    counts: Mapping[Availability, int] = field(default_factory=dict)

    def arrange(self) -> None:
        """Put the models in order and count them, after some changed."""
        self.keys = sorted(self.models)
        models = self.models.values()
        told = Counter([one.availability_status if isinstance(one, ModelStatus) else one[0] for one in models])
        self.counts = {word: told[word] for word in Availability}

    def page(self, first: int, stop: int) -> Sequence[tuple[str, _Kept | ModelStatus]]:
        """Return some of the models with their keys."""
        return [(key, self.models[key]) for key in self.keys[first:stop]]


class Overviews:
    """The answers of one process about one workspace; one thread looks, and the others wait for what it sees."""

    def __init__(self, workspace: "Workspace", now: Callable[[], float] = time) -> None:
        """Look at nothing yet."""
        self._workspace = workspace
        self._now = now
        self._lock = Lock()
        self._answer: _Answer | None = None
        self._is_loaded = False
        self._start()

    def answer(self, catalog: Catalog, *, page: int, page_size: int | None, refresh: bool) -> Overview:
        """Return what `status_all` describes."""
        asked_at = self._now()
        with self._lock:
            answer = self._answer
            if answer is None or answer.catalog is not catalog or not self._is_young(answer, asked_at, refresh=refresh):
                answer = self._answer = self._look(catalog, look_for_new=refresh)
            elif self._now() - answer.live_at > LIVE_SECONDS:
                self._follow_downloads(answer)
            size = page_size or max(1, len(answer.keys))
            return Overview(
                statuses=_Statuses(self._workspace, answer.page((page - 1) * size, page * size)),
                counts=answer.counts,
                stored_bytes=answer.stored_bytes,
                age_seconds=max(0.0, self._now() - answer.at),
                page=page,
                pages=max(1, -(-len(answer.keys) // size)),
            )

    def forget(self) -> None:
        """Drop all that is remembered, in this process and in the file: the next answer reads everything."""
        with self._lock:
            self._answer, self._is_loaded = None, True
            self._start()

    def _start(self) -> None:
        self._memo = Memo(self._workspace.store, self._workspace.records, self._now)
        self._activity = Activity(self._workspace.controls, self._now)

    def _is_young(self, answer: _Answer, asked_at: float, *, refresh: bool) -> bool:
        if refresh:
            # Whoever waited while another thread looked gets what that one saw.
            return answer.at >= asked_at
        return self._now() - answer.at <= self._ttl_seconds

    @property
    def _ttl_seconds(self) -> float:
        return self._workspace.settings.health.cache_ttl_seconds

    def _look(self, catalog: Catalog, *, look_for_new: bool) -> _Answer:
        self._load()
        at, looked_for_new_at = self._now(), self._memo.looked_for_new_at
        self._activity.refresh()
        models: dict[str, _Kept | ModelStatus] = {}
        folders: set[str] = set()
        own_bytes, shared = 0, dict[str, int]()
        for shelf in self._memo.shelves(look_for_new_every=0 if look_for_new else self._ttl_seconds):
            folders.add(shelf.name)
            own_bytes += shelf.own_bytes
            if shelf.shared != "{}":
                shared.update(shelf.shared_bytes)
            for place, (revision, word) in enumerate(_words(shelf.heads)):
                key = key_of(shelf.repo_id, revision)
                models[key] = word, shelf, place
        self._add_absent(models, folders, catalog)
        for key in self._activity.active():
            models[key] = model_status(self._workspace, model_of(key), catalog)
        self._save(looked_for_new_at)
        answer = _Answer(catalog, at, self._now(), models, own_bytes + sum(shared.values()))
        answer.arrange()
        return answer

    def _add_absent(self, models: dict[str, _Kept | ModelStatus], folders: set[str], catalog: Catalog) -> None:
        """Add the models that the catalog, a download's record or the history names and no reference does."""
        named = {key_of(entry.model.repo_id, entry.model.revision) for entry in catalog}
        named.update(self._activity.keys())
        known = {key.partition(KEY_SEPARATOR)[0] for key in (*named, *models)}
        named.update(key_of(name, DEFAULT_REVISION) for name in self._workspace.past.used_besides(known))
        for key in named - models.keys():
            model = model_of(key)
            if model.folder in folders or is_commit(model.revision):
                models[key] = model_status(self._workspace, model, catalog)
            else:
                models[key] = _IDLE_WORDS[Disk.NOTHING], None, 0

    def _follow_downloads(self, answer: _Answer) -> None:
        """Bring what downloads are at, and what they have done, into an answer that is given again."""
        running = {key for key, one in answer.models.items() if isinstance(one, ModelStatus) and one.is_running}
        keys = self._activity.refresh() | running | self._activity.active()
        for key in keys:
            answer.models[key] = model_status(self._workspace, model_of(key), answer.catalog)
        if keys:
            answer.arrange()
        answer.live_at = self._now()

    @property
    def _path(self) -> Path:
        return self._workspace.state / "index" / "status"

    def _load(self) -> None:
        kept = None if self._is_loaded else read_columns(self._path)
        self._is_loaded = True
        if kept is not None:
            self._memo.give(kept)
            self._activity.give(kept)
            # The file's own time says when new revisions were looked for: telling it costs no writing of the file.
            with suppress(OSError):
                self._memo.looked_for_new_at = self._path.stat().st_mtime

    def _save(self, before: float) -> None:
        is_new = self._memo.changes + self._activity.changes > self._memo.size // _WORTH_SAVING
        # Where nothing was ever recorded there is nothing worth remembering, and no folder of ours to write in.
        if not self._workspace.records.root.is_dir():
            return
        with suppress(OSError, ValueError):  # what cannot be written is looked through again the next time
            if is_new:
                shelves, downloads = self._memo.take(), self._activity.take()
                kept = Columns({**shelves.texts, **downloads.texts}, {**shelves.numbers, **downloads.numbers})
                write_columns(self._path, kept)
            at = self._memo.looked_for_new_at
            if is_new or at != before:
                os.utime(self._path, (at, at))

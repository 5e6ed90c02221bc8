"""What the history says of each model, in a few plain figures: how much it is used, who waits for it, how it loads.

Derived and written by whoever ships the history (`write_past`); here it is only read, because the domain asks no
database. It is as old as `as_of` says, it may be lost at any time, and of a model it does not name nothing is known.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from threading import Lock
from time import monotonic

from availability.errors import InvalidModelIdError
from availability.index import Columns, read_columns, write_columns
from availability.model import parse_model_id

LEAST_LOADS = 5
"""How many loads make a median that two times can be compared by; as in the query `performance`."""
START_SECONDS, BYTES_PER_SECOND = 1.0, 200e6
"""What a good load takes: a second, and its bytes at this speed."""

_MICRO = 10**6
_NOTHING = -1
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ModelPast:
    """What the history says of one model; None where it says nothing.

    Attributes:
        uses_per_day: loads and inferences that were reported, on days without any the requests.
        success_rate: the share of them that worked.
        last_used: when, seconds since the epoch.
        waiting: requests that were not answered yet.
        loads: how many loads were reported lately.
        load_seconds: the median of them.
        baseline_loads: how many were reported in the time before.
        baseline_seconds: the median of those.
    """

    uses_per_day: float | None = None
    success_rate: float | None = None
    last_used: float | None = None
    waiting: float | None = None
    loads: float | None = None
    load_seconds: float | None = None
    baseline_loads: float | None = None
    baseline_seconds: float | None = None

    @property
    def slower_by(self) -> float | None:
        """How much longer a load takes than in the time before, as a share; None without enough loads on both sides."""
        enough = min(self.loads or 0, self.baseline_loads or 0) >= LEAST_LOADS
        if not enough or not self.load_seconds or not self.baseline_seconds:
            return None
        return self.load_seconds / self.baseline_seconds - 1

    def speed_score(self, size_bytes: int | None, bytes_per_second: float = BYTES_PER_SECOND) -> float | None:
        """Return the expected load time as a share of the real one, at most 1; None without loads or size.

        Args:
            size_bytes: of the model.
            bytes_per_second: what is expected, after a second for what does not depend on size.
        """
        if not self.load_seconds or size_bytes is None:
            return None
        return min(1.0, (START_SECONDS + size_bytes / bytes_per_second) / self.load_seconds)

    def performance_score(self, size_bytes: int | None, bytes_per_second: float = BYTES_PER_SECOND) -> float | None:
        """Return how well it loads, 0 to 1, None without data: its `speed_score`, or the median before by the one now.

        The lower of both counts: a model that has become slower does not do well because it is still fast.
        """
        slower_by = self.slower_by
        own = None if slower_by is None else min(1.0, 1 / (1 + slower_by))
        known = [score for score in (self.speed_score(size_bytes, bytes_per_second), own) if score is not None]
        return min(known, default=None)


_FIGURES = tuple(field.name for field in fields(ModelPast))
UNKNOWN = ModelPast()
"""What is known of a model of which nothing is known."""


class Past:
    """The figures in one file, read when they are first asked for, and again when the file has changed."""

    def __init__(self, path: Path) -> None:
        """Name the file, which need not exist."""
        self.path = path
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._columns = Columns()
        self._places: dict[str, int] = {}
        self._used: Sequence[str] = ()

    @property
    def as_of(self) -> float | None:
        """When the history was asked, seconds since the epoch; None when it never was."""
        self._look()
        found = self._columns.numbers.get("as_of")
        return found[0] / _MICRO if found else None

    def of(self, model_id: str) -> ModelPast:
        """Return what is known of a model."""
        self._look()
        place = self._places.get(model_id)
        if place is None:
            return UNKNOWN
        numbers = self._columns.numbers
        told = (numbers[name][place] for name in _FIGURES)
        return ModelPast(*(None if number == _NOTHING else number / _MICRO for number in told))

    def used_besides(self, known: Container[str]) -> Iterator[str]:
        """Yield the ids of models that were used lately with success, and are not among those that are known anyway."""
        self._look()
        for name in self._used:
            if name not in known:
                with suppress(InvalidModelIdError):  # programs report what they like
                    yield parse_model_id(name).repo_id

    def _look(self) -> None:
        now = monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        with self._lock:
            seen = self._signature()
            if seen != self._seen:
                columns = (read_columns(self.path) if seen else None) or Columns()
                names = columns.texts.get("models", ())
                if any(len(columns.numbers.get(name, ())) != len(names) for name in _FIGURES):
                    columns, names = Columns(), ()
                self._columns, self._places = columns, {name: place for place, name in enumerate(names)}
                self._used = list(_used(columns))
                self._seen = seen
            self._looked_at = now

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _used(columns: Columns) -> Iterator[str]:
    told = (
        columns.texts.get("models", ()),
        *(columns.numbers.get(name, ()) for name in ("uses_per_day", "success_rate")),
    )
    return (name for name, uses, worked in zip(*told, strict=True) if uses > 0 and worked > 0)


def write_past(path: Path, told: Mapping[str, Mapping[str, float | None]], as_of: datetime) -> None:
    """Replace what is known of the past.

    Args:
        path: the file.
        told: by model id, the figures of `ModelPast` by name.
        as_of: when the history was asked.
    """
    numbers = {name: [_whole(figures.get(name)) for figures in told.values()] for name in _FIGURES}
    write_columns(path, Columns({"models": list(told)}, {**numbers, "as_of": [_whole(as_of.timestamp())]}))


def _whole(figure: float | None) -> int:
    return _NOTHING if figure is None else round(figure * _MICRO)

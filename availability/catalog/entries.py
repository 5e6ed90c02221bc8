"""The catalog as frozen values, and the one place that turns what a person typed into a model's id.

Only names are decided here: whether a model exists is for the sources to say, and whether it is stored for the store.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from functools import total_ordering
from itertools import chain
from pathlib import Path
from typing import Literal

from availability.errors import ModelNotFoundError, UsageError
from availability.fallback.requirements import NOTHING_REQUIRED, Requirements
from availability.model import ModelId, parse_model_id

Substitution = Literal["never", "ask", "auto"]
Scalar = str | int | float | bool
AttributeValue = Scalar | tuple[Scalar, ...] | Mapping[str, float]


@total_ordering
class Priority(Enum):
    """How urgent a model is; sorting puts the most urgent first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    def __lt__(self, other: object) -> bool:
        """Compare by urgency, never by the word."""
        if not isinstance(other, Priority):
            return NotImplemented
        return _URGENCY[self] < _URGENCY[other]


_URGENCY = {priority: place for place, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class EntrySources:
    """Where the bytes of one model come from, where that is not what the settings say; None leaves it to them.

    Attributes:
        mirrors: endpoints of mirrors of the hub.
        peers: endpoints of other installations.
        replicas: fsspec URLs or folders.
        order: names of kinds of sources, the first one asked first.
    """

    mirrors: tuple[str, ...] | None = None
    peers: tuple[str, ...] | None = None
    replicas: tuple[str, ...] | None = None
    order: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model that is kept available.

    Attributes:
        model: the id, at the revision that is wanted.
        aliases: what people may call it.
        priority: what is fetched and checked first.
        include: patterns of files to have; empty means all.
        exclude: patterns of files to leave out.
        variant: a variant of the weights, such as `fp16`.
        pinned: clean-up never proposes it.
        target: the wanted availability in percent.
        substitution: whether another model may stand in for it.
        attributes: what fallback compares: task, licence, context length and the like.
        requirements: what is needed of a model that stands in for this one.
        sources: where its bytes come from, None when the settings say it all.
    """

    model: ModelId
    aliases: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    variant: str | None = None
    pinned: bool = False
    target: float | None = None
    substitution: Substitution = "never"
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict, hash=False)
    requirements: Requirements = NOTHING_REQUIRED
    sources: EntrySources | None = None

    @property
    def compatible_with(self) -> Mapping[str, float]:
        """Models that can stand in for this one, with their compatibility in 0..1 as its owner judged it."""
        judged = self.attributes.get("compatible_with", {})
        return judged if isinstance(judged, Mapping) else {}


@dataclass(frozen=True)
class Catalog:
    """All entries, most urgent first and otherwise in the order of the file.

    Attributes:
        entries: all of them.
        path: the file; None for a catalog that was made in memory.
        is_there: whether there was such a file when it was read.
    """

    entries: tuple[CatalogEntry, ...] = ()
    path: Path | None = None
    is_there: bool = True
    _by_model: dict[ModelId, CatalogEntry] = field(init=False, repr=False, compare=False)
    _by_alias: dict[str, CatalogEntry] = field(init=False, repr=False, compare=False)
    _by_repo: dict[str, list[CatalogEntry]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the entries and index their names."""
        entries = tuple(sorted(self.entries, key=lambda entry: entry.priority))
        by_repo: dict[str, list[CatalogEntry]] = {}
        for entry in entries:
            by_repo.setdefault(entry.model.repo_id, []).append(entry)
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "_by_model", {entry.model: entry for entry in entries})
        object.__setattr__(self, "_by_alias", {alias: entry for entry in entries for alias in entry.aliases})
        object.__setattr__(self, "_by_repo", by_repo)

    def __iter__(self) -> Iterator[CatalogEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def described(self) -> str:
        """Return where it is and how many models it names, as a sentence without its full stop."""
        if not self.is_there:
            return f"There is no catalog at {self.path}"
        where = f" {self.path}" if self.path is not None else ""
        return f"The catalog{where} names {len(self.entries) or 'no'} models"

    def require_models(self) -> None:
        """Refuse to be the answer to what shall be done, where it names no model.

        Raises:
            UsageError: it names none.
        """
        if not self.entries:
            raise UsageError(f"{self.described()}, so there is nothing to do.")

    def entry(self, model: ModelId) -> CatalogEntry | None:
        """Return the entry of exactly this model and revision, None when it is not catalogued."""
        return self._by_model.get(model)

    def resolve(self, text: str, known: Iterable[str] = ()) -> ModelId:
        """Return the model that a text means: an alias, `alias@revision`, or `org/name[@revision]`.

        An id without a revision means the catalogued revision where there is just one, because that is the one kept
        available; otherwise `main`.

        Args:
            text: what was typed.
            known: ids on disk, so that a model without an organisation is found though it is not catalogued.

        Raises:
            InvalidModelIdError: the text can be no id.
            ModelNotFoundError: nobody knows the name; the near ones are told, and no network was asked.
        """
        name, at, _ = text.strip().partition("@")
        called = self._by_alias.get(name)
        if called:
            return parse_model_id(f"{called.model.repo_id}{text.strip()[len(name) :]}") if at else called.model
        asked = parse_model_id(text)
        catalogued = self._by_repo.get(asked.repo_id)
        if catalogued:
            return asked if at or len(catalogued) > 1 else catalogued[0].model
        on_disk = set(known)
        if asked.repo_id not in on_disk:
            self._refuse_unknown(asked, on_disk)
        return asked

    def _refuse_unknown(self, asked: ModelId, on_disk: set[str]) -> None:
        """Refuse what no hub needs to be asked about: a bare name, and an id that differs only in case."""
        names = [*self._by_alias, *self._by_repo, *on_disk]
        same = [name for name in names if name.casefold() == asked.repo_id.casefold()]
        if same or "/" not in asked.repo_id:
            raise ModelNotFoundError(str(asked), near=same or _near(asked.repo_id, names))

    def near(self, repo_id: str, known: Iterable[str] = ()) -> list[str]:
        """Return up to three names that look like one that nobody knows, out of the catalog's and those on disk."""
        return _near(repo_id, (name for name in (*self._by_alias, *self._by_repo, *known) if name != repo_id))


def _near(asked: str, names: Iterable[str]) -> list[str]:
    """Return up to three names that look like the asked one, with or without their organisation."""
    spellings: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        for spelling in {name.casefold(), name.rpartition("/")[2].casefold()}:
            spellings.setdefault(spelling, []).append(name)
    close = get_close_matches(asked.casefold(), spellings, n=3)
    return list(dict.fromkeys(chain.from_iterable(spellings[spelling] for spelling in close)))[:3]

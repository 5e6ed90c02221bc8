"""What is known of a model, for comparing it with another. What is not known is None, and never counts as a match.

A fact is said by the model's owner in the catalog, or by its publisher in files that are proven; nothing is guessed
from a name. Where both speak, the catalog holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from availability.catalog import AttributeValue, CatalogEntry

GIGABYTE = 10**9

_KNOWN = frozenset(
    ("task", "modality", "licence", "format", "size_gb", "vram_gb", "context_length", "parameters", "capabilities")
)
"""The attributes of the catalog that are facts by themselves; `compatible_with` speaks of other models."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model; None is unknown, and an empty set is known to be empty.

    Attributes:
        task: what it is for, in the Hub's words, such as `text-generation`.
        modality: what it reads and writes, such as `text`.
        licence: in the Hub's words, such as `apache-2.0`.
        formats: the formats its weights come in, such as `safetensors`; any of them will do.
        size_bytes: of all its files that are kept.
        vram_bytes: memory of the accelerator that it needs to run.
        context_length: the longest input, in tokens.
        parameters: how many weights it has.
        capabilities: what it can do, such as `chat` or `language:de`.
        others: further attributes, by the names that the catalog gives them.
    """

    task: str | None = None
    modality: str | None = None
    licence: str | None = None
    formats: frozenset[str] | None = None
    size_bytes: int | None = None
    vram_bytes: int | None = None
    context_length: int | None = None
    parameters: float | None = None
    capabilities: frozenset[str] | None = None
    others: Mapping[str, AttributeValue] = field(default_factory=dict, hash=False)

    def over(self, below: "ModelFacts") -> "ModelFacts":
        """Return these facts, with those of another where these say nothing."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        chosen = {name: getattr(below, name) if value is None else value for name, value in said.items()}
        return ModelFacts(**{**chosen, "others": {**below.others, **self.others}})


NOTHING_KNOWN = ModelFacts()


def facts_of_entry(entry: CatalogEntry | None) -> ModelFacts:
    """Return what the catalog says of a model."""
    if entry is None:
        return NOTHING_KNOWN
    said = entry.attributes
    return ModelFacts(
        task=_word(said.get("task")),
        modality=_word(said.get("modality")),
        licence=_word(said.get("licence")),
        formats=_words(said.get("format")),
        size_bytes=_bytes(said.get("size_gb")),
        vram_bytes=_bytes(said.get("vram_gb")),
        context_length=_whole(said.get("context_length")),
        parameters=_number(said.get("parameters")),
        capabilities=_words(said.get("capabilities")),
        others={name: value for name, value in said.items() if name not in _KNOWN and not isinstance(value, Mapping)},
    )


def normal(word: str) -> str:
    """Return a word as words are compared: the Hub writes them in small letters."""
    return word.strip().lower()


def _word(value: object) -> str | None:
    return normal(value) if isinstance(value, str) else None


def _words(value: object) -> frozenset[str] | None:
    if isinstance(value, str):
        return frozenset((normal(value),))
    return frozenset(normal(str(word)) for word in value) if isinstance(value, tuple) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _bytes(value: object) -> int | None:
    number = _number(value)
    return None if number is None else round(number * GIGABYTE)

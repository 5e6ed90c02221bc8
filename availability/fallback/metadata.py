"""What a model's publisher says of it in its own files: the card, the configuration, the tokenizer, the listing.

The files' content comes in and facts go out; who read it, and that it is proven, is the caller's matter. What a file
does not say is not known; a file that cannot be understood says nothing.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from availability.fallback.facts import ModelFacts, normal
from availability.model import FileRecord
from availability.selection import WEIGHT_FORMATS

CARD, CONFIG, TOKENIZER = "README.md", "config.json", "tokenizer_config.json"
_CHAT_TEMPLATES = frozenset(("chat_template.jinja", "chat_template.json"))
_MOST_BYTES = 4 * 2**20
"""A larger one of these files is not what it is called."""

_FRONT_MATTER = re.compile(rb"\A\s*---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions")

Read = Callable[[FileRecord], bytes | None]
"""Returns the content of a file of the listing, None when it cannot be had."""


def published_facts(files: Iterable[FileRecord], read: Read) -> ModelFacts:
    """Return what a model's own files say of it.

    Args:
        files: those that are kept of it.
        read: reads one of them.
    """
    by_path = {file.path: file for file in files}

    def content(path: str) -> bytes:
        file = by_path.get(path)
        return (read(file) if file is not None and file.size <= _MOST_BYTES else None) or b""

    card, config, tokenizer = _front_matter(content(CARD)), _object(content(CONFIG)), _object(content(TOKENIZER))
    has_template = "chat_template" in tokenizer or not _CHAT_TEMPLATES.isdisjoint(by_path)
    capabilities = {*_languages(card), *(["chat"] if has_template else [])}
    formats = {
        name for name, endings in WEIGHT_FORMATS.items() if any(path.lower().endswith(endings) for path in by_path)
    }
    return ModelFacts(
        task=_word(card.get("pipeline_tag")),
        licence=_licence(card),
        formats=frozenset(formats) or None,
        size_bytes=sum(file.size for file in by_path.values()) if by_path else None,
        context_length=_context_length(config),
        capabilities=frozenset(capabilities) or None,
    )


def _front_matter(card: bytes) -> dict[str, Any]:
    found = _FRONT_MATTER.match(card)
    try:
        said = yaml.safe_load(found[1]) if found else None
    except (yaml.YAMLError, ValueError):  # YAML also makes dates, and some are none
        return {}
    return said if isinstance(said, dict) else {}


def _object(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _word(value: object) -> str | None:
    return normal(value) or None if isinstance(value, str) else None


def _licence(card: dict[str, Any]) -> str | None:
    """Return the licence; `other` is the Hub's word for one that has a name of its own."""
    said = card.get("license")
    if isinstance(said, list):
        said = said[0] if len(said) == 1 else None  # of several, which one holds is not said
    word = _word(said)
    return _word(card.get("license_name")) or word if word == "other" else word


def _languages(card: dict[str, Any]) -> list[str]:
    said = card.get("language")
    named = said if isinstance(said, list) else [said]
    return [f"language:{normal(one)}" for one in named if isinstance(one, str) and one]


def _context_length(config: dict[str, Any]) -> int | None:
    inner = config.get("text_config")
    for said in (config, inner if isinstance(inner, dict) else {}):
        for key in _CONTEXT_KEYS:
            value = said.get(key)
            if type(value) is int and value > 0:
                return value
    return None

"""Columns of texts and numbers in one file, quick to read: what took long to find out and may be lost at any time.

Sixty thousand paths and twice as many numbers are read in ten milliseconds, where JSON takes a hundred. The file is
sealed, because a power cut or a rotting disk must not be able to say anything; it says nothing then.
"""

import json
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from availability.durable import write_atomically

_FORMAT = 3


@dataclass(frozen=True, slots=True)
class Columns:
    """Named columns; a text holds no line break."""

    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Mapping[str, Sequence[int]] = field(default_factory=dict)


def write_columns(path: Path, columns: Columns) -> None:
    """Replace the file, whole or not at all."""
    texts = {name: "\n".join(column).encode("utf-8", "surrogateescape") for name, column in columns.texts.items()}
    numbers = {name: array("q", column).tobytes() for name, column in columns.numbers.items()}
    body = b"".join((*texts.values(), *numbers.values()))
    head = {
        "format": _FORMAT,
        "byteorder": sys.byteorder,
        "seal": zlib.crc32(body),
        "texts": [[name, len(columns.texts[name]), len(blob)] for name, blob in texts.items()],
        "numbers": [[name, len(blob)] for name, blob in numbers.items()],
    }
    write_atomically(path, json.dumps(head).encode() + b"\n" + body)


def read_columns(path: Path) -> Columns | None:
    """Return what the file holds, None when it is absent, damaged or of another kind."""
    try:
        first, _, body = path.read_bytes().partition(b"\n")
        head: dict[str, Any] = json.loads(first)
        if (head["format"], head["byteorder"], head["seal"]) != (_FORMAT, sys.byteorder, zlib.crc32(body)):
            return None
        return _columns(head, body)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _columns(head: dict[str, Any], body: bytes) -> Columns:
    texts: dict[str, list[str]] = {}
    numbers: dict[str, array[int]] = {}
    start = 0
    for name, rows, size in head["texts"]:
        text = body[start : start + size].decode("utf-8", "surrogateescape")
        texts[name] = text.split("\n") if rows else []
        if len(texts[name]) != rows:
            raise ValueError(f"{name} has {len(texts[name])} rows, expected {rows}")
        start += size
    for name, size in head["numbers"]:
        column = array("q")
        column.frombytes(body[start : start + size])
        numbers[name] = column
        start += size
    return Columns(texts, numbers)

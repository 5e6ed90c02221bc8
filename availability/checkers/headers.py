"""The headers of weight files, read without the weights: safetensors and GGUF.

A header that breaks its format's rules means that no program can load the file, whatever its digest says. What is read
is bounded; bytes come in and findings or a table of tensors go out.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

MOST_HEADER_BYTES = 100_000_000
"""The limit of the safetensors format itself."""

# The length of one value in bits; the rest of the format's types are whole bytes.
_BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip

_GGUF_HEAD = struct.Struct("<4sIQQ")
_GGUF_VERSIONS = (2, 3)
_MOST_GGUF_ENTRIES = 1 << 24


class BadHeaderError(ValueError):
    """A header breaks its format's rules; the sentence says which.

    Attributes:
        stop: how many of the file's first bytes are concerned.
    """

    def __init__(self, sentence: str, stop: int) -> None:
        super().__init__(sentence)
        self.stop = stop


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a safetensors file: bytes `start` to `stop` of the data."""

    name: str
    start: int
    stop: int


class _File(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_safetensors(path: Path) -> tuple[Tensor, ...]:
    """Return the tensors that a file's header names, by their places.

    Raises:
        BadHeaderError: the header is not one, or its tensors do not lie in the file one after the other.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length, content = _header(file, size)
    tensors = sorted(
        (_tensor(name, told, 8 + length) for name, told in content.items() if name != "__metadata__"),
        key=lambda tensor: (tensor.start, tensor.stop),
    )
    _check_places(tensors, size - 8 - length, 8 + length)
    return tuple(tensors)


def _header(file: _File, size: int) -> tuple[int, dict[str, Any]]:
    first = file.read(8)
    if len(first) < 8:
        raise BadHeaderError(f"a safetensors file begins with eight bytes of length, and this one has {size}", 8)
    length = int.from_bytes(first, "little")
    if length > min(MOST_HEADER_BYTES, size - 8):
        raise BadHeaderError(f"its header claims {length} bytes, and the file has {size - 8} more", 8)
    try:
        content = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise BadHeaderError(f"its header is no JSON: {error}", 8 + length) from None
    if not isinstance(content, dict):
        raise BadHeaderError("its header is no mapping of tensors", 8 + length)
    return length, content


def _tensor(name: str, told: object, stop: int) -> Tensor:
    try:
        shape, kind, (first, last) = told["shape"], told["dtype"], told["data_offsets"]  # type: ignore[index]  # checked
        places = [first, last, *shape]
        is_sound = all(isinstance(place, int) and not isinstance(place, bool) and place >= 0 for place in places)
    except (TypeError, KeyError, ValueError):
        is_sound = False
    if not is_sound:
        raise BadHeaderError(f"the tensor {name!r} has no sound dtype, shape and data_offsets", stop)
    if last < first:
        raise BadHeaderError(f"the tensor {name!r} ends before it begins", stop)
    bits = _BITS.get(kind) if isinstance(kind, str) else None
    # A type that is newer than this table is not judged by its length.
    if bits is not None and math.prod(shape) * bits != (last - first) * 8:
        raise BadHeaderError(f"the tensor {name!r} of shape {shape} in {kind} has {last - first} bytes", stop)
    return Tensor(name, first, last)


def _check_places(tensors: list[Tensor], data_bytes: int, stop: int) -> None:
    if tensors and tensors[0].start:
        raise BadHeaderError(f"its first tensor begins at byte {tensors[0].start} of the data", stop)
    for before, after in pairwise(tensors):
        if after.start != before.stop:
            word = "overlap" if after.start < before.stop else "leave a gap"
            raise BadHeaderError(f"the tensors {before.name!r} and {after.name!r} {word}", stop)
    end = tensors[-1].stop if tensors else 0
    if end != data_bytes:
        raise BadHeaderError(f"its tensors end at byte {end} of the data, which has {data_bytes}", stop)


def check_gguf(path: Path) -> None:
    """Make sure that a file begins as GGUF does: magic, version, and counts that can be.

    Raises:
        BadHeaderError: it does not.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_GGUF_HEAD.size)
    if len(head) < _GGUF_HEAD.size or head[:4] != b"GGUF":
        raise BadHeaderError(f"a GGUF file begins with 'GGUF' and its counts, and this one with {head[:4]!r}", 4)
    _, version, tensors, entries = _GGUF_HEAD.unpack(head)
    if version not in _GGUF_VERSIONS:
        # Version 1 counts in other words, and a file of the other byte order shows its version there turned round.
        raise BadHeaderError(f"its GGUF version is {version}, expected {' or '.join(map(str, _GGUF_VERSIONS))}", 8)
    if max(tensors, entries) > _MOST_GGUF_ENTRIES:
        raise BadHeaderError(f"it claims {tensors} tensors and {entries} entries", _GGUF_HEAD.size)

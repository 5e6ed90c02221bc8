"""The bytes of an answer, piece by piece and flipped where a rule says so."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.fault_rules import Fault
from service.protocol import FilePart


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of one answer: so many, from an offset of the file they are of."""

    length: int
    offset: int
    fetch: Callable[[int, int], bytes]

    def read(self, start: int, stop: int, wire: Iterable[Fault]) -> bytearray:
        """Return bytes by their place in the answer, flipped by their place in the file."""
        piece = bytearray(self.fetch(start, stop))
        if len(piece) < stop - start:
            raise ConnectionAbortedError("The file became shorter; only a cut can say so now")
        for fault in wire:
            for index in (place - self.offset - start for place in fault.offsets if fault.kind == "flip"):
                if 0 <= index < len(piece):
                    piece[index] ^= fault.mask
        return piece


@contextlib.contextmanager
def open_body(content: bytes | FilePart) -> Iterator[Body]:
    """Open what an answer carries."""
    if isinstance(content, bytes):
        yield Body(len(content), 0, lambda start, stop: content[start:stop])
        return
    with Path(content.path).open("rb", buffering=0) as file:
        first, descriptor = content.start, file.fileno()
        yield Body(content.length, first, lambda start, stop: os.pread(descriptor, stop - start, first + start))

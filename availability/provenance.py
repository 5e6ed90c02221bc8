"""Who sent which chunk of a file under way: what is needed to blame the right source when the file arrives wrong.

A part of the journal: one byte a chunk says which source completed it, and a block of JSON names the sources and the
ETags under which each of them sends this file. Equal tags mean equal content for one source, and nothing across two.
"""

import json
import os
from collections.abc import Collection
from threading import Lock

from availability.durable import write_whole

BLOCK_BYTES = 16 * 1024
_MOST_SOURCES = 8
_MOST_CHARACTERS = 200
_SEVERAL = 255


class Provenance:
    """The owners of a file's chunks; safe to call from any thread.

    Attributes:
        names: the sources that sent something, in the order in which they came.
    """

    def __init__(self, descriptor: int, offset: int, chunks: int) -> None:
        """Keep it in the file open at `descriptor`, from `offset` on; nothing is read or written yet."""
        self.names: list[str] = []
        self._tags: dict[str, str] = {}
        self._descriptor = descriptor
        self._offset = offset
        self._owners = bytearray(chunks)
        self._lock = Lock()

    @property
    def stop(self) -> int:
        """The offset after its last byte."""
        return self._offset + len(self._owners) + BLOCK_BYTES

    def load(self) -> None:
        """Read what an earlier run has left.

        Raises:
            ValueError, KeyError, TypeError: it cannot be understood.
        """
        content = os.pread(self._descriptor, self.stop - self._offset, self._offset)
        if len(content) != self.stop - self._offset:
            raise ValueError("it is cut off")
        block = json.loads(content[len(self._owners) :])
        self.names, self._tags = list(block["names"]), dict(block["tags"])
        self._owners[:] = content[: len(self._owners)]

    def clear(self) -> None:
        """Forget everybody."""
        with self._lock:
            self.names, self._tags = [], {}
            self._owners[:] = bytes(len(self._owners))
            write_whole(self._descriptor, self._owners, self._offset)
            self._write_block()

    def tag(self, source: str) -> str | None:
        """Return the ETag under which a source has sent this file, None when it gave none."""
        return self._tags.get(_short(source))

    def adopt_tag(self, source: str, tag: str) -> None:
        """Note the ETag under which a source sends this file."""
        with self._lock:
            if len(self._tags) < _MOST_SOURCES:
                self._tags[_short(source)] = _short(tag)
                self._write_block()

    def own(self, index: int, sources: Collection[str]) -> None:
        """Note who sent a chunk; of one that came from several, nobody can be blamed alone."""
        with self._lock:
            self._owners[index] = self._number(*sources) if len(sources) == 1 else _SEVERAL
            write_whole(self._descriptor, self._owners[index : index + 1], self._offset + index)

    def owner(self, index: int) -> str | None:
        """Return who sent a chunk, None when nobody did, or several, or one too many to be noted."""
        number = self._owners[index]
        return self.names[number - 1] if 0 < number <= len(self.names) else None

    def owners(self) -> list[str | None]:
        """Return who sent each chunk, as `owner` does."""
        return [self.owner(index) for index in range(len(self._owners))]

    def shares(self) -> dict[str, int]:
        """Return how many chunks each source has sent; under the empty name those that came from several."""
        counts = {name: self._owners.count(number) for number, name in enumerate(self.names, 1)}
        counts[""] = self._owners.count(_SEVERAL)
        return {name: count for name, count in counts.items() if count}

    def _number(self, name: str) -> int:
        name = _short(name)
        if name not in self.names:
            if len(self.names) >= _MOST_SOURCES:
                return _SEVERAL
            self.names.append(name)
            self._write_block()
        return self.names.index(name) + 1

    def _write_block(self) -> None:
        block = json.dumps({"names": self.names, "tags": self._tags}, ensure_ascii=False).encode()
        write_whole(self._descriptor, block.ljust(BLOCK_BYTES), self._offset + len(self._owners))


def _short(text: str) -> str:
    return text[:_MOST_CHARACTERS]

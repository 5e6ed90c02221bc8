"""A second delivery of a file whose first one did not have the publisher's digest.

It is compared with what lies on the disk, chunk by chunk. Where they differ one of the two is wrong: the new chunk is
written, and the whole digest tells whether that was it. A flipped byte costs half a file more on average; two
deliveries that agree and are both wrong say that the source itself has other content. Once the file is proven, whoever
had sent a chunk that was replaced is known to have sent a wrong one.
"""

from threading import Lock

from availability.digests import CHUNK_BYTES, Hasher, chunk_count, chunk_digest, publisher_hasher
from availability.journal import Journal
from availability.model import FileRecord
from availability.transfer.delivery import Delivery, PartWriter, Watcher


class SecondDelivery(Delivery):
    """Bytes that are compared before they are written."""

    def __init__(self, file: FileRecord, descriptor: int, journal: Journal, watcher: Watcher) -> None:
        super().__init__(file, descriptor, journal, watcher)
        self._comparing = Lock()
        # What was replaced: by chunk, who had sent the one before.
        self._replaced: dict[int, str | None] = {}
        # Reading the whole file again after each difference would be quadratic where everything differs.
        self._look_at = 1
        self._whole = publisher_hasher(file)
        self._hashed = 0
        self._is_of_all = not any(journal.marks)
        self._senders: set[str] = set()

    def begin(self) -> None:
        """Judge at once when an earlier run has received it all."""
        with self._comparing:
            self._settle_when_complete()

    def writer(self, part: int, source: str = "") -> PartWriter:
        """Return where the rest of a claimed part goes."""
        self._senders.add(source)
        return _ComparingWriter(self, part, source)

    @property
    def senders(self) -> frozenset[str]:
        """Those of the first delivery, and of this one."""
        return super().senders | self._senders

    @property
    def culprit(self) -> str | None:
        """Who has sent all of this delivery: what agreed with the first one was no better."""
        return next(iter(self._senders)) if self._is_of_all and len(self._senders) == 1 else None

    @property
    def liars(self) -> frozenset[str]:
        """Who had sent a chunk that was replaced, once the whole is proven."""
        return frozenset(name for name in self._replaced.values() if name) if self.proven else frozenset()

    def compare(self, index: int, chunk: bytes, part: int, received: int, source: str) -> None:
        """Take a chunk of the second delivery; `received` is what its part then holds."""
        with self._comparing:
            if self.got is not None:
                return
            # With what lies there now, not with its digest as it arrived: it may have rotted since.
            differs = chunk != self.get(index * CHUNK_BYTES, len(chunk))
            if differs:
                self.put(chunk, index * CHUNK_BYTES)
                self._replaced[index] = self.journal.provenance.owner(index)
                self.journal.seal_chunk(index, chunk_digest(chunk), [source])
            self.journal.mark(part, received)
            self.kept(len(chunk))
            if index == self._hashed:
                self._take(self._whole, index, chunk)
                self._hashed += 1
            # In the middle of a stretch that differs throughout, a look would come too early.
            goes_on = differs and index - 1 in self._replaced
            if len(self._replaced) >= self._look_at and not goes_on and self._look_is_right():
                return
            self._settle_when_complete()

    def _look_is_right(self) -> bool:
        self._look_at = 2 * len(self._replaced)
        if self._look() != self.file.digest:
            return False
        self.settle(self.file.digest)
        return True

    def _settle_when_complete(self) -> None:
        if self.got is None and not self._open_parts():
            self.settle(self._look())

    def _look(self) -> str:
        """Return the digest of what lies on the disk; what cannot change any more is hashed once."""
        settled = self._settled_chunks()
        while self._hashed < settled:
            self._take(self._whole, self._hashed)
            self._hashed += 1
        rest = self._whole.copy()
        for index in range(self._hashed, chunk_count(self.file.size)):
            self._take(rest, index)
        return rest.hexdigest()

    def _settled_chunks(self) -> int:
        """Return how many chunks from the start will not be compared any more."""
        for part in self._open_parts():
            return (part * self.journal.part_bytes + self.journal.marks[part]) // CHUNK_BYTES
        return chunk_count(self.file.size)

    def _take(self, whole: Hasher, index: int, chunk: bytes | None = None) -> None:
        """Hash a chunk of the disk, and put its own digest into the journal if another is there."""
        content = chunk if chunk is not None else self.get(index * CHUNK_BYTES, CHUNK_BYTES)
        whole.update(content)
        digest = chunk_digest(content)
        if digest != self.journal.chunk(index):
            self.journal.seal_chunk(index, digest)


class _ComparingWriter(PartWriter):
    def __init__(self, delivery: SecondDelivery, part: int, source: str) -> None:
        self._delivery = delivery
        self._part = part
        self._source = source
        self._start = part * delivery.journal.part_bytes
        self.offset = self._start + delivery.journal.marks[part]
        self.stop = self._start + delivery.length(part)
        self._chunk = bytearray()

    def write(self, data: memoryview) -> None:
        while data:
            piece = data[: CHUNK_BYTES - len(self._chunk)]
            self._chunk += piece
            self.offset += len(piece)
            if len(self._chunk) == CHUNK_BYTES or self.offset == self.stop:
                index, received = (self.offset - 1) // CHUNK_BYTES, self.offset - self._start
                self._delivery.compare(index, bytes(self._chunk), self._part, received, self._source)
                self._chunk.clear()
            data = data[len(piece) :]

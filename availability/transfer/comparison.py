"""A second delivery of a file whose first one did not have the publisher's digest.

It is received in order and compared with what lies on the disk, chunk by chunk. Where they differ one of the two is
wrong: the new chunk is written, and the whole digest tells whether that was it. A flipped byte costs half a file more
on average; two deliveries that agree and are both wrong say that the source itself has other content.
"""

from threading import Lock

from availability.digests import CHUNK_BYTES, chunk_count, chunk_digest, publisher_hasher
from availability.journal import Journal
from availability.model import FileRecord
from availability.transfer.delivery import Delivery, PartWriter, Watcher


class SecondDelivery(Delivery):
    """Bytes that are compared before they are written."""

    def __init__(self, file: FileRecord, descriptor: int, journal: Journal, watcher: Watcher) -> None:
        super().__init__(file, descriptor, journal, watcher)
        self._comparing = Lock()
        self._differences = 0
        # Reading the whole file again after each difference would be quadratic where everything differs.
        self._look_at = 1

    def begin(self) -> None:
        """Judge at once when an earlier run has received it all."""
        with self._comparing:
            self._settle_when_complete()

    def writer(self, part: int) -> PartWriter:
        """Return where the rest of a claimed part goes."""
        return _ComparingWriter(self, part)

    def compare(self, index: int, chunk: bytes, part: int, received: int) -> None:
        """Take a chunk of the second delivery; `received` is what its part then holds."""
        with self._comparing:
            if self.got is not None:
                return
            # With what lies there now, not with its digest as it arrived: it may have rotted since.
            differs = chunk != self.get(index * CHUNK_BYTES, len(chunk))
            if differs:
                self.put(chunk, index * CHUNK_BYTES)
                self.journal.seal_chunk(index, chunk_digest(chunk))
                self._differences += 1
            self.journal.mark(part, received)
            self.kept(len(chunk))
            if differs and self._differences == self._look_at:
                self._look_at *= 2
                if self._look() == self.file.digest:
                    self.settle(self.file.digest)
                    return
            self._settle_when_complete()

    def _settle_when_complete(self) -> None:
        if self.got is None and not self._open_parts():
            self.settle(self._look())

    def _look(self) -> str:
        """Return the digest of what lies on the disk, and put its chunk digests into the journal."""
        whole = publisher_hasher(self.file)
        for index in range(chunk_count(self.file.size)):
            chunk = self.get(index * CHUNK_BYTES, CHUNK_BYTES)
            whole.update(chunk)
            digest = chunk_digest(chunk)
            if digest != self.journal.chunk(index):
                self.journal.seal_chunk(index, digest)
        return whole.hexdigest()


class _ComparingWriter(PartWriter):
    def __init__(self, delivery: SecondDelivery, part: int) -> None:
        self._delivery = delivery
        self._part = part
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
                index = (self.offset - 1) // CHUNK_BYTES
                self._delivery.compare(index, bytes(self._chunk), self._part, self.offset - self._start)
                self._chunk.clear()
            data = data[len(piece) :]

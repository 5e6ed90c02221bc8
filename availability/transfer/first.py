"""One large file while it arrives for the first time.

Bytes go to the disk as they come; each finished MiB leaves its chunk digest in the journal, and when the publisher's
digest of the whole matches, those digests become the file's ledger. If it does not match, nothing says which byte is
wrong, because no ledger exists yet: then `availability.transfer.comparison` takes a second delivery.
"""

from availability.digests import CHUNK_BYTES, chunk_hasher, publisher_hasher
from availability.journal import Journal
from availability.model import FileRecord
from availability.transfer.delivery import Delivery, PartWriter, Watcher
from availability.transfer.frontier import Frontier


class FirstDelivery(Delivery):
    """Bytes that go to the disk as they come."""

    def __init__(self, file: FileRecord, descriptor: int, journal: Journal, watcher: Watcher) -> None:
        super().__init__(file, descriptor, journal, watcher)
        self._frontier: Frontier | None = None
        self._heads: dict[int, set[str]] = {}

    def begin(self) -> None:
        """Start hashing, behind the frontier when an earlier run has left something."""
        with self._lock:
            if self._frontier is not None:
                return
            self._frontier = Frontier(
                publisher_hasher(self.file),
                self.file.size,
                contiguous=self._contiguous,
                read=self.get,
                on_complete=self.settle,
                on_error=self._watcher.on_error,
            )
        if any(self.journal.marks):
            self._frontier.follow()

    def writer(self, part: int, source: str = "") -> PartWriter:
        """Return where the rest of a claimed part goes; out of order, hashing changes to the follower."""
        assert self._frontier is not None  # noqa: S101  begin() came first
        writer = _FirstWriter(self, self._frontier, part, source)
        if not self._frontier.is_at(writer.offset):
            self._frontier.follow()
        return writer

    def chunk_senders(self, part: int, source: str, *, goes_on: bool) -> set[str]:
        """Return who sends the chunk at which a part stands; of one that an earlier run began, somebody else too."""
        earlier = self._heads.get(part, {""}) if goes_on else set()
        self._heads[part] = {source} | earlier
        return self._heads[part]

    def close(self) -> None:
        """End the follower, then close the files."""
        if self._frontier is not None:
            self._frontier.stop()
        super().close()

    def _contiguous(self, offset: int) -> int:
        part = offset // self.journal.part_bytes
        while part < len(self.journal.marks) and self.journal.marks[part] == self.length(part):
            part += 1
        if part == len(self.journal.marks):
            return self.file.size
        return part * self.journal.part_bytes + self.journal.marks[part]


class _FirstWriter(PartWriter):
    def __init__(self, delivery: FirstDelivery, frontier: Frontier, part: int, source: str) -> None:
        self._delivery = delivery
        self._frontier = frontier
        self._part = part
        self._source = source
        self._start = part * delivery.journal.part_bytes
        self.offset = self._start + delivery.journal.marks[part]
        self.stop = self._start + delivery.length(part)
        self._chunk = chunk_hasher()
        head = self.offset % CHUNK_BYTES
        if head:
            self._chunk.update(delivery.get(self.offset - head, head))
        self._senders = delivery.chunk_senders(part, source, goes_on=bool(head))

    def write(self, data: memoryview) -> None:
        # First the data, then the digests of what it completes, then the mark that promises both.
        begin = self.offset
        self._delivery.put(data, begin)
        self._seal_chunks(data)
        self._delivery.journal.mark(self._part, self.offset - self._start)
        self._delivery.kept(len(data))
        self._frontier.offer(begin, data)
        self._frontier.wake()

    def _seal_chunks(self, data: memoryview) -> None:
        while data:
            piece = data[: CHUNK_BYTES - self.offset % CHUNK_BYTES]
            self._chunk.update(piece)
            self.offset += len(piece)
            if self.offset % CHUNK_BYTES == 0 or self.offset == self._delivery.file.size:
                index, digest = (self.offset - 1) // CHUNK_BYTES, self._chunk.digest()
                self._delivery.journal.seal_chunk(index, digest, self._senders)
                self._senders.intersection_update({self._source})
                self._chunk = chunk_hasher()
            data = data[len(piece) :]

"""The place inside a model's folder where bytes are gathered until they are proven.

`<digest>.part` is under way (with a journal in the state directory), `<digest>` is whole and on the disk. It lies in
the store's own file system, so that publishing is a rename, and where neither the client's scan nor its prune looks.
"""

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from availability.digests import CHUNK_BYTES, Buffer, chunk_digest
from availability.durable import write_whole
from availability.journal import Journal
from availability.ledger import Ledgers
from availability.model import FileRecord
from availability.transfer.comparison import SecondDelivery
from availability.transfer.delivery import Delivery, Watcher
from availability.transfer.first import FirstDelivery

PART_ENDING = ".part"


class Staging:
    """The staging folder of one model."""

    def __init__(self, folder: Path, journals: Path, ledgers: Ledgers) -> None:
        """Use `folder` for bytes and `journals` for what is known of those under way; both are made when needed."""
        self.folder = folder
        self._journals = journals
        self._ledgers = ledgers

    def path(self, file: FileRecord) -> Path:
        """Return where the whole file lies once it is proven."""
        return self.folder / file.digest

    def open(self, file: FileRecord, watcher: Watcher) -> Delivery:
        """Open a file under way, or begin it.

        What an earlier run left is continued, unless another living process of this machine still writes it (one that
        lost its lease without noticing): then a fresh file is begun beside it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._journals.mkdir(parents=True, exist_ok=True)
        try:
            return self._open(file, file.digest, watcher)
        except BlockingIOError:
            return self._open(file, f"{file.digest}-{secrets.token_hex(4)}", watcher)

    def received_bytes(self, file: FileRecord) -> int:
        """Return how much of a file earlier runs have left, 0 when nothing can be continued."""
        if not self._part(file.digest).exists() or not self._journal(file.digest).exists():
            return 0
        journal = Journal(self._journal(file.digest), digest=file.digest, size=file.size)
        try:
            return journal.received_bytes
        finally:
            journal.close()

    def promote(self, delivery: Delivery) -> None:
        """Make a proven delivery a whole file in staging, with its ledger."""
        ledger = delivery.ledger()
        if ledger.is_of_use:
            self._ledgers.write(ledger)
        name = delivery.journal.path.stem
        self._part(name).replace(self.path(delivery.file))
        self._journal(name).unlink()

    def put(self, file: FileRecord, content: Buffer) -> None:
        """Keep the proven content of a small file; it reaches the disk for good when it is published."""
        # Thousands of these are written: plain calls, because a buffered file costs three times as much.
        descriptor = os.open(self.path(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            write_whole(descriptor, content, 0)
        finally:
            os.close(descriptor)

    def take_in(self, file: FileRecord, place: Path) -> None:
        """Make a proven file that lies elsewhere a file in staging; the other stays where it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path(file).unlink(missing_ok=True)
        try:
            self.path(file).hardlink_to(place)
        except OSError:
            shutil.copyfile(place, self.path(file))

    def _open(self, file: FileRecord, name: str, watcher: Watcher) -> Delivery:
        descriptor = os.open(self._part(name), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            journal = Journal(self._journal(name), digest=file.digest, size=file.size)
            _trust(journal, descriptor, file.size)
        except BaseException:
            os.close(descriptor)
            raise
        kind = SecondDelivery if journal.suspect else FirstDelivery
        return kind(file, descriptor, journal, watcher)

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}{PART_ENDING}"

    def _journal(self, name: str) -> Path:
        return self._journals / f"{name}.journal"


def _trust(journal: Journal, descriptor: int, size: int) -> None:
    """Keep of a journal only what the data on the disk can bear out."""
    starts = (part * journal.part_bytes for part in range(len(journal.marks)))
    promised = max((start + mark for start, mark in zip(starts, journal.marks, strict=True) if mark), default=0)
    on_disk = os.fstat(descriptor).st_size
    if on_disk < (size if journal.suspect else promised):
        journal.restart()
    elif journal.distrusted:
        journal.trust(
            lambda index, digest: chunk_digest(os.pread(descriptor, CHUNK_BYTES, index * CHUNK_BYTES)) == digest
        )

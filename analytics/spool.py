"""The reading end of the event spool: which lines are due, and which segments are finished.

Segments are written by `availability.spool`, in other processes: only ever appended to, each by one process that holds
a shared lock on it. Here a record `shipped.json` tells how far each has been shipped, and which portions were being
sent: after a crash exactly those portions are sent again, so that the same batch gets the same name. A segment is
deleted when all of it is shipped and nobody can append to it any more.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

RECORD, LOCK, TENDING = "shipped.json", ".shipping", ".tending"
BATCH_BYTES = 32 * 1024**2
"""What is sent at once."""
FOREIGN_REST_SECONDS = 24 * 3600
"""A segment whose lock cannot be trusted is finished when nothing was written to it for so long."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Lines of one segment, by where they begin and end in it."""

    segment: str
    start: int
    stop: int


class Spool:
    """One folder of segments."""

    def __init__(self, folder: Path) -> None:
        """Name the folder, which need not exist."""
        self.folder = folder

    @contextmanager
    def shipping(self) -> Iterator[bool]:
        """Say whether we may ship now. Two at once would do no harm, only the work twice."""
        if not self.folder.is_dir():  # no spool: nothing to ship
            yield False
            return
        with self._alone(LOCK) as ours:
            yield ours

    @contextmanager
    def tending(self) -> Iterator[bool]:
        """Say whether we may do everything else now: the same, for longer."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone(TENDING) as ours:
            yield ours

    @contextmanager
    def _alone(self, name: str) -> Iterator[bool]:
        file = (self.folder / name).open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def sizes(self) -> dict[str, int]:
        """Return how long each segment is at this moment."""
        sizes: dict[str, int] = {}
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl"):
                    with suppress(FileNotFoundError):
                        sizes[entry.name] = entry.stat().st_size
        return sizes

    def due(self, sizes: Mapping[str, int]) -> list[Portion]:
        """Return what is to be sent next: what a shipper before us began to send, or else whatever came since.

        Args:
            sizes: how far each segment is looked at, so that writers who are faster than us do not keep us for ever.
        """
        shipped, sending = self._record()
        again = [portion for portion in sending if sizes.get(portion.segment, 0) >= portion.stop]
        return again or list(self._new(shipped, sizes))

    def lines(self, portions: Sequence[Portion]) -> list[bytes]:
        """Return the lines of portions."""
        lines: list[bytes] = []
        for portion in portions:
            with (self.folder / portion.segment).open("rb") as file:
                file.seek(portion.start)
                lines += file.read(portion.stop - portion.start).splitlines()
        return lines

    def mark_sending(self, portions: Sequence[Portion]) -> None:
        """Note what is about to be sent. On a full disk it goes unnoted: a batch sent twice still counts once."""
        shipped, _ = self._record()
        with suppress(OSError):
            self._write(shipped, portions)

    def mark_shipped(self, portions: Sequence[Portion], now_seconds: float | None = None) -> int:
        """Note that portions have arrived, delete the segments that are finished, and return how many.

        They are deleted first: on a full disk that is what makes room for the note.
        """
        shipped = self._record()[0] | {portion.segment: portion.stop for portion in portions}
        now = time.time() if now_seconds is None else now_seconds
        deleted = sum(self._delete(name, shipped.get(name, 0), now) for name in self.sizes())
        self._write(shipped, ())
        return deleted

    def has_news(self) -> bool:
        """Say whether anything came since the last shipment; a segment stays as long as its writer lives."""
        shipped, sending = self._record()
        return bool(sending) or any(size > shipped.get(name, 0) for name, size in self.sizes().items())

    def is_tended(self) -> bool:
        """Say whether somebody on this machine is tending just now."""
        with suppress(FileNotFoundError), (self.folder / TENDING).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def size_bytes(self) -> int:
        """Return what the segments hold together."""
        return sum(self.sizes().values())

    def _new(self, shipped: Mapping[str, int], sizes: Mapping[str, int]) -> Iterator[Portion]:
        room = BATCH_BYTES
        for name, size in sorted(sizes.items()):
            start = shipped.get(name, 0)
            if size <= start or room <= 0:
                continue
            with suppress(FileNotFoundError), (self.folder / name).open("rb") as file:
                stop = self._stop(file, name, start, min(size, start + room))
                if stop > start:
                    room -= stop - start
                    yield Portion(name, start, stop)

    def _stop(self, file: IO[bytes], name: str, start: int, stop: int) -> int:
        """Return where the last whole line ends; what a dead writer left of a line goes along and will be refused."""
        file.seek(start)
        content = file.read(stop - start)
        whole = content.rfind(b"\n") + 1
        if whole == len(content):
            return stop
        is_end = stop == os.fstat(file.fileno()).st_size
        if is_end and _is_closed(file, name, time.time()):
            return start + len(content) if stop == os.fstat(file.fileno()).st_size else start + whole
        return start + whole if whole else self._end_of_line(file, stop, start)

    @staticmethod
    def _end_of_line(file: IO[bytes], stop: int, start: int) -> int:
        """Return the end of a line that is longer than a batch; where it stands unfinished, nothing is due."""
        file.seek(stop)
        rest = file.readline()
        return stop + len(rest) if rest.endswith(b"\n") else start

    def _delete(self, name: str, shipped: int, now: float) -> bool:
        with suppress(FileNotFoundError), (self.folder / name).open("rb") as file:
            if _is_closed(file, name, now) and os.fstat(file.fileno()).st_size == shipped:
                (self.folder / name).unlink()
                return True
        return False

    def _record(self) -> tuple[dict[str, int], list[Portion]]:
        """Return how far segments are shipped, and what was being sent; a broken record only costs sending again."""
        try:
            record = json.loads((self.folder / RECORD).read_bytes())
            return dict(record["shipped"]), [Portion(*portion) for portion in record["sending"]]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}, []

    def _write(self, shipped: Mapping[str, int], sending: Sequence[Portion]) -> None:
        present = self.sizes()
        record = {
            "shipped": {name: stop for name, stop in shipped.items() if name in present},
            "sending": [(portion.segment, portion.start, portion.stop) for portion in sending],
        }
        temporary = self.folder / f".{RECORD}.{secrets.token_hex(4)}.tmp"
        try:
            temporary.write_text(json.dumps(record))
            temporary.replace(self.folder / RECORD)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _is_closed(file: IO[bytes], name: str, now: float) -> bool:
    """Say whether nobody can append any more; the lock taken here is held until the file is closed.

    Over a network file system a lock may be granted that another machine holds too, so time must have passed as well.
    """
    rested = now - os.fstat(file.fileno()).st_mtime > FOREIGN_REST_SECONDS
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return rested
    return rested or f"-{_own_host()}-" in name


def _own_host() -> str:
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign == ".") else "_" for sign in socket.gethostname())

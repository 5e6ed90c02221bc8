"""The publisher's digest of a file whose bytes arrive in any order.

As long as they come in order, whoever receives them hashes them while they are hot in the cache. From the first byte
that does not, a follower reads them back behind the contiguous frontier, mostly from memory.
"""

import errno
from collections.abc import Callable
from threading import Condition, Lock, Thread, current_thread

from availability.digests import CHUNK_BYTES, Buffer, Hasher


class Frontier:
    """Hashes a file once, from its first byte to its last; safe to call from any thread."""

    def __init__(
        self,
        hasher: Hasher,
        size: int,
        *,
        contiguous: Callable[[int], int],
        read: Callable[[int, int], bytes],
        on_complete: Callable[[str], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        """Begin at byte 0.

        Args:
            hasher: a fresh one.
            size: bytes of the file.
            contiguous: told an offset, says up to where everything from there on has arrived.
            read: told an offset and a count, reads back.
            on_complete: told the digest when the last byte is hashed, in whatever thread hashed it.
            on_error: told what stopped the follower.
        """
        self._hasher = hasher
        self._size = size
        self._contiguous = contiguous
        self._read = read
        self._on_complete = on_complete
        self._on_error = on_error
        self._lock = Lock()
        self._moved = Condition()
        self._position = 0
        self._stopped = False
        self._follower: Thread | None = None

    def offer(self, offset: int, data: Buffer) -> None:
        """Hash bytes that have just arrived, if they are the next ones and nobody follows."""
        with self._lock:
            if self._follower is not None or offset != self._position:
                return
            self._hasher.update(data)
            self._position += len(data)
            complete = self._position == self._size
        if complete:
            self._on_complete(self._hasher.hexdigest())

    def is_at(self, offset: int) -> bool:
        """Say whether bytes arriving at `offset` would be the next ones to hash."""
        return self._follower is None and offset == self._position

    def follow(self) -> None:
        """From here on read back what has arrived, whoever received it and in whatever order."""
        with self._lock:
            if self._follower is None:
                self._follower = Thread(target=self._run, name="hash-follower", daemon=True)
                self._follower.start()

    def wake(self) -> None:
        """Tell the follower that more has arrived."""
        if self._follower is not None:
            with self._moved:
                self._moved.notify()

    def stop(self) -> None:
        """End the follower and wait for it, unless it is the caller."""
        with self._lock:
            follower = self._follower
        if follower is not None:
            with self._moved:
                self._stopped = True
                self._moved.notify()
            if follower is not current_thread():
                follower.join()

    def _run(self) -> None:
        try:
            while self._position < self._size:
                limit = self._await_more()
                if self._stopped:
                    return
                self._read_up_to(limit)
            self._on_complete(self._hasher.hexdigest())
        except BaseException as error:  # noqa: BLE001  carried to the thread that waits for the transfer
            self._on_error(error)

    def _read_up_to(self, limit: int) -> None:
        while self._position < limit and not self._stopped:
            data = self._read(self._position, min(CHUNK_BYTES, limit - self._position))
            if not data:
                raise OSError(errno.EIO, "the file became shorter while it was being hashed")
            self._hasher.update(data)
            self._position += len(data)

    def _await_more(self) -> int:
        with self._moved:
            while not self._stopped:
                limit = self._contiguous(self._position)
                if limit > self._position:
                    return limit
                self._moved.wait()
        return self._position

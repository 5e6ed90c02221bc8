"""One download per model over processes and machines: a lease that a holder renews and its death ends.

A lease saves work; correctness never depends on it, because bytes are published by what they are. The lock itself is
`filelock.SoftFileLease` (an expiring claim with a heartbeat that also knows a dead holder on its own machine). What
this room adds is the fencing token: a generation that grows with every holder, so that one who lost the lease without
noticing is stopped before it publishes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time

from filelock import SoftFileLease, Timeout

from availability.durable import write_atomically
from availability.errors import DownloadCancelledError, TransientError

LEASE_SECONDS = 30.0
"""A holder that has not renewed its lease for so long has lost it; it renews three times as often."""

_POLL_SECONDS = 0.1


class LeaseLostError(TransientError):
    """Another process took the model over because this one had not renewed its lease in time."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in our hands.

    Attributes:
        generation: the fencing token: grows by one with every holder.
    """

    generation: int
    _lease: SoftFileLease
    _generation_path: Path

    def check(self) -> None:
        """Make sure that nobody took over.

        Raises:
            LeaseLostError: somebody did.
        """
        superseded = _read_generation(self._generation_path) != self.generation
        if superseded or self._lease.compromise is not None:
            raise LeaseLostError(
                f"the lease {self._generation_path.stem} was taken over by another process; it goes on there",
            )


@contextmanager
def hold(path: Path, *, on_wait: Callable[[], None], should_stop: Callable[[], bool]) -> Iterator[Held]:
    """Hold the lease at `path`, waiting for another holder to finish, lose it or die.

    Args:
        path: the lease's file; its folder is made.
        on_wait: called once when somebody else holds it.
        should_stop: asked while waiting; True gives up.

    Raises:
        DownloadCancelledError: `should_stop` said so while we waited.
        LeaseLostError: never here; see `Held.check`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = _lease(path)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        on_wait()
        try:
            lease.acquire(timeout=-1, poll_interval=_POLL_SECONDS, cancel_check=should_stop)
        except Timeout:
            raise DownloadCancelledError(f"cancelled while waiting for another process to finish {path.stem}") from None
    try:
        generation_path = path.with_suffix(".generation")
        generation = _read_generation(generation_path) + 1
        write_atomically(generation_path, str(generation).encode())
        yield Held(generation, lease, generation_path)
    finally:
        lease.release()


def is_held(path: Path) -> bool:
    """Say whether a living process holds the lease at `path`."""
    if not path.exists():
        return False
    try:
        # Only filelock can judge another holder's life, and it does so when asked for the lease.
        with _lease(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        # Not our folder to write in: the heartbeat's age is all that can be seen.
        try:
            return time() - path.stat().st_mtime < LEASE_SECONDS
        except FileNotFoundError:
            return False


def _lease(path: Path) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=LEASE_SECONDS, thread_local=False, mode=0o666)


def _read_generation(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0

"""One download per model over processes and machines: a lease that a holder renews and its death ends.

A lease saves work; correctness never depends on it, because bytes are published by what they are. The lock itself is
`filelock.SoftFileLease` (an expiring marker with a heartbeat that also knows a dead holder on its own machine). What
this room adds is the claim beside it: a fencing token that grows with every holder, so that one who lost the lease
without noticing is stopped before it publishes, and the holder's name.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, time

from filelock import SoftFileLease, Timeout

from availability.durable import write_atomically
from availability.errors import DownloadCancelledError, LeaseLostError

LEASE_SECONDS = 30.0
"""A holder that has not renewed its lease for so long has lost it; it renews three times as often."""

_POLL_SECONDS = 0.1
_NAMELESS_SECONDS = 2.0
"""How long a marker may be empty: its holder writes who he is at once, unless he or his machine dies just then."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who held the lease last, as it is kept beside it.

    Attributes:
        generation: how many held it until then, this one included.
        marker: the token in the lease's marker, which is not his while somebody only asks whether he lives.
        holder: his name.
    """

    generation: int = 0
    marker: str | None = None
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in our hands.

    Attributes:
        generation: the fencing token: grows by one with every holder.
    """

    generation: int
    _lease: SoftFileLease
    _claim_path: Path

    def check(self) -> None:
        """Make sure that nobody took over.

        Raises:
            LeaseLostError: somebody did.
        """
        superseded = _read_claim(self._claim_path).generation != self.generation
        if superseded or self._lease.compromise is not None:
            raise LeaseLostError(
                f"the lease {self._claim_path.stem} was taken over by another process; it goes on there",
            )


@contextmanager
def hold(
    path: Path, *, on_wait: Callable[[], None], should_stop: Callable[[], bool], holder: str = ""
) -> Iterator[Held]:
    """Hold the lease at `path`, waiting for another holder to finish, lose it or die.

    Args:
        path: the lease's file; its folder is made.
        on_wait: called once when somebody else holds it.
        should_stop: asked while waiting; True gives up.
        holder: the name under which others can ask for this holder.

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
        watch = _Watch(path)

        def gives_up() -> bool:
            watch.look()
            return should_stop()

        try:
            lease.acquire(timeout=-1, poll_interval=_POLL_SECONDS, cancel_check=gives_up)
        except Timeout:
            raise DownloadCancelledError(f"cancelled while waiting for another process to finish {path.stem}") from None
    try:
        generation = _read_claim(_claim_path(path)).generation + 1
        claim = _Claim(generation, lease.token, holder)
        write_atomically(_claim_path(path), json.dumps(asdict(claim)).encode())
        yield Held(generation, lease, _claim_path(path))
    finally:
        lease.release()


class _Watch:
    """Clears away a marker whose holder died before he wrote who he is; filelock would wait for him for ever."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._since = 0.0

    def look(self) -> None:
        """Be called again and again while the lease is waited for."""
        with suppress(OSError):
            status = self._path.lstat()
            seen = None if status.st_size else (status.st_ino, status.st_ctime_ns)
            if seen is None or seen != self._seen:
                self._seen, self._since = seen, monotonic()
            elif monotonic() - self._since >= _NAMELESS_SECONDS:
                self._clear_away(status.st_ino)

    def _clear_away(self, nameless: int) -> None:
        aside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        self._path.rename(aside)
        try:
            if aside.lstat().st_ino != nameless:
                # Another one who waited was faster, and holds it now: give it back.
                self._path.hardlink_to(aside)
        finally:
            aside.unlink()


def is_held(path: Path, by: str | None = None) -> bool:
    """Say whether a living process holds the lease at `path`, and under the name `by` where one is given."""
    try:
        # Whether a holder on another machine lives, only its heartbeat tells.
        if time() - path.stat().st_mtime >= LEASE_SECONDS:
            return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    lease = _lease(path)
    try:
        # Only filelock can judge a holder's life on this machine, and it does so when asked for the lease.
        with lease.acquire(timeout=0):
            return False
    except (Timeout, OSError):
        # He lives, or it is not our folder to write in, or somebody else asks at this moment, as we do.
        owner, claim = lease.owner, _read_claim(_claim_path(path))
    return owner is not None and owner.token == claim.marker and by in (None, claim.holder)


def _lease(path: Path) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=LEASE_SECONDS, thread_local=False, mode=0o666)


def _claim_path(path: Path) -> Path:
    return path.with_suffix(".claim")


def _read_claim(path: Path) -> _Claim:
    try:
        return _Claim(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return _Claim()

"""Background processes of a local stack: started once, found again, ended by whoever asks.

A process is known by a lock that it holds on its pid file as long as it lives, so a pid that the system has given to
somebody else is never taken for ours.
"""

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

_FAREWELL_SECONDS = 15.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Living:
    """A process that lives: its id, and the port that it was given."""

    pid: int
    port: int


class Background:
    """One process in the background, with its log and its pid file in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.pid"

    def living(self) -> Living | None:
        """Return the process if it lives."""
        try:
            with self._pid_file.open() as pid_file:
                # Shared, or two who look at once would take each other for the process.
                fcntl.flock(pid_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            words = self._pid_file.read_text().split()
            return Living(*map(int, words)) if words else None
        return None

    def start(self, command: Sequence[str], env: Mapping[str, str], *, port: int = 0) -> bool:
        """Start the process unless it lives already; return whether it was started.

        Args:
            command: what to run.
            env: its environment.
            port: where it will listen, for those who find it later; 0 when it does not.
        """
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        with self._pid_file.open("a") as pid_file, self.log.open("ab") as log:
            try:
                fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            pid_file.truncate(0)
            # The child inherits the open file, and with it the lock.
            process = subprocess.Popen(  # noqa: S603  our own commands
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(pid_file.fileno(),),
                start_new_session=True,
            )
            pid_file.write(f"{process.pid} {port}")
        return True

    def stop(self, *, farewell_seconds: float = _FAREWELL_SECONDS) -> bool:
        """End the process and its group, with force if it does not listen in time; return whether it lived."""
        living = self.living()
        if living is None:
            return False
        for farewell in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(living.pid, farewell)
            if self._is_gone_within(farewell_seconds):
                break
        self._pid_file.unlink(missing_ok=True)
        return True

    def last_words(self, lines: int = 15) -> str:
        """Return the end of the log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _is_gone_within(self, seconds: float) -> bool:
        until = monotonic() + seconds
        while self.living() is not None and monotonic() < until:
            sleep(_LOOK_SECONDS)
        return self.living() is None


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Say whether nobody listens at a port of this machine."""
    with closing(socket.socket()) as probe:
        # As servers do, or the connections that a server has just closed would look like one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

"""Background processes of a local stack: started once, found again, ended by whoever asks.

A process is known by a lock that it holds on its pid file as long as it lives, so a pid that the system has given to
somebody else is never taken for ours.
"""

import fcntl
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

_FAREWELL_SECONDS = 15.0


class Background:
    """One process in the background, with its log and its pid file in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.pid"

    def is_running(self) -> bool:
        """Say whether the process lives."""
        return self._pid() is not None

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> bool:
        """Start the process unless it lives already; return whether it was started."""
        if self.is_running():
            return False
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        with self._pid_file.open("w") as pid_file, self.log.open("ab") as log:
            fcntl.flock(pid_file, fcntl.LOCK_EX)
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
            pid_file.write(str(process.pid))
        return True

    def stop(self) -> bool:
        """End the process and what it has started, with force if it does not listen; return whether it lived."""
        pid = self._pid()
        if pid is None:
            return False
        os.killpg(pid, signal.SIGTERM)
        until = monotonic() + _FAREWELL_SECONDS
        while self._pid() is not None and monotonic() < until:
            sleep(0.1)
        if self._pid() is not None:
            os.killpg(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)
        return True

    def last_words(self, lines: int = 15) -> str:
        """Return the end of the log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _pid(self) -> int | None:
        try:
            with self._pid_file.open() as pid_file:
                fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            text = self._pid_file.read_text()
            return int(text) if text else None
        return None

"""Running the command as people and programs do: in process where that is enough, else the installed one."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from commands.main import main
from tests.prefect_api import PATIENCE_SECONDS, wait_for

COMMAND = Path(sys.executable).with_name("availability")


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def answer(self):
        """Everything on standard output, which must be one JSON document."""
        return json.loads(self.stdout)

    @property
    def models(self):
        return self.answer["models"]

    @property
    def summary(self):
        return self.answer["summary"]


def run(*arguments: object) -> Ran:
    """Run a command in this process."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def run_installed(*arguments: object, **env: str) -> Ran:
    """Run the installed command in a process of its own."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
        timeout=PATIENCE_SECONDS,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def start_installed(*arguments: object) -> subprocess.Popen[str]:
    """Start the installed command in a process of its own, and return at once."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


_WITH_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """The installed command on a terminal, in the hands of somebody who watches and may press keys."""

    def __init__(self, *arguments: object, columns: int = 100) -> None:
        self.shown = ""
        self._screen, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WITH_A_TERMINAL, COMMAND, *map(str, arguments)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(inner)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._screen, keys)

    def ends_with(self) -> int:
        """Watch to the end, and return the exit code."""
        wait_for(lambda: not self._read())
        os.close(self._screen)
        return self._process.wait(PATIENCE_SECONDS)

    def _read(self) -> bool:
        """Take what was shown since; False at the end."""
        if not select.select([self._screen], [], [], 0.1)[0]:
            return True
        try:
            piece = os.read(self._screen, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)

"""Processes of their own that take the road, to be killed, limited or demoted.

They are forked from one that has imported everything, so that fifty of them cost no fifty starts; what they hold is
theirs alone, and SIGKILL ends them as it would any program.
"""

import encodings.idna  # noqa: F401  loaded late by sockets, when a demoted process may not read it any more
import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import availability.sources.hub
import availability.transfer.engine  # noqa: F401  loaded late by the road; here they are there before the fork
from availability import EnhancedModelAvailabilityError, ensure_models, open_workspace

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
_CHANGES = frozenset(
    ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.utime")
)
_END_SECONDS = 60

Preparation = Callable[[], None]


class Traveller:
    """One process that ensures one model."""

    def __init__(
        self,
        settings: Mapping[str, object],
        model: str,
        answer: Path,
        *,
        token: str | None = None,
        prepare: Preparation | None = None,
    ) -> None:
        """Set out at once.

        Args:
            settings: by dotted name.
            model: which.
            answer: where its outcome goes as JSON, if it comes to its end.
            token: for the hub.
            prepare: called in the process before anything else; see the functions of this module.
        """
        self._answer = answer
        answer.unlink(missing_ok=True)
        arguments = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
        self._process = _CONTEXT.Process(target=_travel, args=(arguments, model, answer, token, prepare))
        self._process.start()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def wait(self, seconds: float = _END_SECONDS) -> bool:
        """Wait for its end; say whether it has come."""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def kill(self) -> bool:
        """End it with SIGKILL; say whether that is what ended it."""
        self._process.kill()
        self._process.join()
        return self.was_killed

    @property
    def was_killed(self) -> bool:
        return self._process.exitcode == -signal.SIGKILL

    def outcome(self) -> dict[str, Any]:
        """Wait for its end and return what `--json` would show."""
        assert self.wait(), "it does not come to its end"
        assert self._process.exitcode == 0, f"it ended with {self._process.exitcode}"
        told: dict[str, Any] = json.loads(self._answer.read_text())
        return told


def _travel(
    settings: dict[str, object], model: str, answer: Path, token: str | None, prepare: Preparation | None
) -> None:
    # What is written here is the harness's, so it is opened before the process is limited or watched.
    with answer.open("w") as file:
        if prepare is not None:
            prepare()
        try:
            told = ensure_models([model], workspace=open_workspace(settings, token=token))[0].as_dict()
        except EnhancedModelAvailabilityError as error:
            file.write(json.dumps({"success": False, "error": error.as_dict()}))
        else:
            file.write(json.dumps(told))


def killed_at_change(number: int) -> Preparation:
    """Let a process kill itself before its so-manieth change of the file system (opening for writing counts)."""
    return partial(_watch_changes, number)


def _watch_changes(number: int) -> None:
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _CHANGES or (event == "open" and _is_for_writing(arguments)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _is_for_writing(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def limited_to(file_bytes: int) -> Preparation:
    """Let no file of a process become larger than this."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def as_user(user_id: int) -> Preparation:
    """Let a process be somebody else."""
    return partial(_become, user_id)


def _become(user_id: int) -> None:
    os.chdir("/")  # the folder it was started in may be closed to him
    os.setgroups([])
    os.setgid(user_id)
    os.setuid(user_id)

"""The law of background processes: started once, found again, ended whole, and never mistaken for another."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from deployments.processes import Background, free_port, is_free
from tests.prefect_api import wait_for

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
]
PARENT = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEPER!r})"]


@pytest.fixture
def process(tmp_path):
    process = Background(tmp_path / "home", "sleeper")
    yield process
    process.stop(farewell_seconds=0.1)


def begin(process, command=SLEEPER, **more):
    assert process.start(command, os.environ, **more)
    wait_for(lambda: "here" in process.last_words())
    return process.living()


def lives(pid):
    """Whether a process is there and not only waits for its parent to take note of its end."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  a file of the kernel
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_is_started_once_and_found_again(process, tmp_path):
    assert process.living() is None
    living = begin(process, port=4321)
    assert living.port == 4321
    assert lives(living.pid)
    again = Background(tmp_path / "home", "sleeper")
    assert not again.start(SLEEPER, os.environ)
    assert again.living() == living


def test_it_is_found_again_by_another_program(process, tmp_path):
    living = begin(process)
    look = "import sys; from pathlib import Path; from deployments.processes import Background;"
    look += "print(Background(Path(sys.argv[1]), 'sleeper').living().pid)"
    told = subprocess.run(
        [sys.executable, "-c", look, str(tmp_path / "home")], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) == living.pid


@pytest.mark.parametrize("command", [SLEEPER, STUBBORN, PARENT], ids=["willing", "stubborn", "with a child"])
def test_stopping_ends_it_and_what_it_has_started(process, command):
    pid = begin(process, command).pid
    group = [int(words[0]) for words in members(pid)]
    assert len(group) == 1 + (command is PARENT)
    assert process.stop(farewell_seconds=0.5)
    assert process.living() is None
    wait_for(lambda: not any(map(lives, group)))
    assert not process.stop()


def members(group):
    listed = subprocess.run(["ps", "-e", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in listed.splitlines() if line.split()[1] == str(group)]


def test_one_that_died_can_be_started_again(process):
    first = begin(process).pid
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: process.living() is None)
    assert begin(process).pid != first


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(process, tmp_path):
    begin(process)
    process.stop()
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        (tmp_path / "home/sleeper.pid").write_text(f"{stranger.pid} 0")
        assert process.living() is None
        assert not process.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_is_free_until_somebody_listens():
    port = free_port()
    assert is_free(port)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not is_free(port)
    assert is_free(port)

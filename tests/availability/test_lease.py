"""The law of the lease: one holder at a time over processes; who dies or falls silent holds nothing any more."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from availability.errors import DownloadCancelledError, LeaseLostError, TransientError
from availability.lease import LEASE_SECONDS, hold, is_held
from tests.builders import run_program

HOLDER = """
import sys
from pathlib import Path
from availability.errors import LeaseLostError
from availability.lease import hold
def on_wait():
    print("waits", flush=True)
with hold(Path(sys.argv[1]), on_wait=on_wait, should_stop=lambda: False, holder=sys.argv[2]) as held:
    print("holds", held.generation, flush=True)
    sys.stdin.readline()
    try:
        held.check()
        print("still its own", flush=True)
    except LeaseLostError as error:
        print(error.message, flush=True)
"""


class Holder:
    """Another process that takes the lease; it goes on when told."""

    def __init__(self, path, name):
        command = [sys.executable, "-c", HOLDER, str(path), name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self):
        return self.process.stdout.readline().strip()

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "leases" / "models--org--tiny.lease"


@pytest.fixture
def another(path):
    with contextlib.ExitStack() as all_of_them:

        def start(name="someone"):
            holder = Holder(path, name)
            all_of_them.callback(holder.process.stdout.close)
            all_of_them.callback(holder.process.stdin.close)
            all_of_them.callback(holder.kill)
            return holder

        yield start


def held_here(path, **options):
    return hold(path, **{"on_wait": lambda: None, "should_stop": lambda: False, **options})


def aged(path):
    """Let the last sign of life be longer ago than a lease lasts."""
    then = path.stat().st_mtime - LEASE_SECONDS - 1
    os.utime(path, (then, then))


# --- one holder at a time -------------------------------------------------------------------------------


def test_a_lease_is_held_as_long_as_its_block(path):
    assert not is_held(path)
    with held_here(path):
        assert is_held(path)
    assert not is_held(path)


def test_it_ends_with_the_block_even_if_that_fails(path):
    with pytest.raises(KeyError), held_here(path):
        raise KeyError
    assert not is_held(path)


def test_another_process_waits_and_then_holds_it(path, another):
    with held_here(path) as held:
        waiting = another()
        assert waiting.says() == "waits"
        held.check()
    assert waiting.says() == f"holds {held.generation + 1}"
    assert is_held(path)
    waiting.go_on()
    assert waiting.says() == "still its own"
    waiting.process.wait()
    assert not is_held(path)


def test_whoever_waits_can_be_told_to_give_up(path, another):
    assert another().says() == "holds 1"
    waits = []
    with (
        pytest.raises(DownloadCancelledError, match="waiting for another process to finish models--org--tiny"),
        held_here(path, on_wait=lambda: waits.append(1), should_stop=lambda: True),
    ):
        pytest.fail("two hold it")
    assert waits == [1]


def test_nobody_waits_for_a_free_lease(path):
    with held_here(path, on_wait=lambda: pytest.fail("waited")):
        pass


def test_a_lease_knows_under_which_name_it_is_held(path):
    with held_here(path, holder="download 7"):
        assert is_held(path, "download 7")
        assert not is_held(path, "download 8")
    assert not is_held(path, "download 7")


# --- the dead and the silent ----------------------------------------------------------------------------


def test_a_holder_that_was_killed_holds_nothing_and_the_next_one_need_not_wait(path, another):
    killed = another()
    assert killed.says() == "holds 1"
    assert is_held(path)
    killed.kill()
    assert not is_held(path)
    with held_here(path, on_wait=lambda: pytest.fail("waited for the dead")) as held:
        assert held.generation == 2


def test_whoever_waits_for_a_holder_that_is_killed_takes_over(another):
    first = another()
    assert first.says() == "holds 1"
    second = another()
    assert second.says() == "waits"
    first.kill()
    assert second.says() == "holds 2"


def test_many_who_ask_at_once_do_not_take_each_other_for_a_holder(path, another):
    for _ in range(3):
        killed = another()
        assert killed.says().startswith("holds")
        killed.kill()
        with ThreadPoolExecutor(8) as pool:
            assert not any(pool.map(is_held, [path] * 200))


def test_a_holder_that_fell_silent_holds_nothing(path, another):
    stopped = another()
    assert stopped.says() == "holds 1"
    stopped.process.send_signal(signal.SIGSTOP)
    assert is_held(path)
    aged(path)
    assert not is_held(path)


def test_a_holder_on_another_machine_lives_as_long_as_its_heartbeat(path, another):
    there = another()
    assert there.says() == "holds 1"
    there.kill()
    # What its marker looks like from here: of a host whose processes cannot be seen.
    path.write_text(re.sub("(?m)^host=.*$", "host=elsewhere", path.read_text()))
    assert is_held(path)
    aged(path)
    assert not is_held(path)


def test_asking_leaves_a_living_holder_alone(path):
    with held_here(path) as held:
        marker = path.read_bytes()
        for _ in range(20):
            assert is_held(path)
        assert path.read_bytes() == marker
        held.check()


# --- fencing --------------------------------------------------------------------------------------------


def test_the_fencing_token_grows_with_every_holder(path, another):
    tokens = []
    for _ in range(3):
        with held_here(path) as held:
            tokens.append(held.generation)
    other = another()
    assert other.says() == "holds 4"
    assert tokens == [1, 2, 3]


def test_a_holder_that_was_superseded_without_noticing_is_told_so(path, another):
    with held_here(path) as held:
        held.check()
        path.unlink()  # as if it had expired: somebody decided that this holder is gone
        assert another().says() == "holds 2"
        with pytest.raises(LeaseLostError, match="models--org--tiny was taken over by another process"):
            held.check()


def test_losing_a_lease_can_pass():
    assert issubclass(LeaseLostError, TransientError)


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b'{"generation"', b'{"other": 1}', b"\xff"], ids=repr)
def test_a_damaged_claim_is_no_claim(path, content):
    path.parent.mkdir()
    path.with_suffix(".claim").write_bytes(content)
    with held_here(path) as held:
        assert (held.generation, is_held(path)) == (1, True)


# --- where nothing may be written -----------------------------------------------------------------------


ASK = """
import sys
from pathlib import Path
from availability.lease import is_held
become_nobody()
print(is_held(Path(sys.argv[1])))
"""


def test_in_a_folder_that_is_not_ours_only_the_heartbeat_can_be_seen(readable_by_all):
    path = readable_by_all / "models--org--tiny.lease"
    with held_here(path):
        readable_by_all.chmod(0o555)
        assert run_program(ASK, path) == "True\n"
        aged(path)
        assert run_program(ASK, path) == "False\n"
    assert run_program(ASK, path) == "False\n"


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path):
    (tmp_path / "file").touch()
    assert not is_held(tmp_path / "nowhere" / "x.lease")
    assert not is_held(tmp_path / "file" / "x.lease")


def test_waiting_ends_when_asked_to_while_it_lasts(path):
    stop = Event()
    with held_here(path), ThreadPoolExecutor(1) as pool:

        def wait():
            with held_here(path, on_wait=stop.set, should_stop=stop.is_set):
                pytest.fail("two hold it")

        with pytest.raises(DownloadCancelledError):
            pool.submit(wait).result(timeout=20)

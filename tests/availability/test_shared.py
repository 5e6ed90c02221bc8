"""The law of shared numbers: no change is lost, whoever makes it, and nobody is waited for without end."""

import fcntl
import multiprocessing
from contextlib import suppress
from threading import Thread

import pytest

from availability.shared import SharedNumbers

TIMES, PROCESSES, THREADS = 200, 3, 2


def count(path):
    numbers = SharedNumbers(path, 2)

    def work():
        for _ in range(TIMES):
            with numbers.held() as held:
                held[0] += 1

    threads = [Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read(path, how_many=2):
    with SharedNumbers(path, how_many).held() as held:
        return held


def test_what_many_change_at_once_is_all_there(tmp_path):
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=count, args=(tmp_path / "n",)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert read(tmp_path / "n") == [TIMES * PROCESSES * THREADS, 0.0]


def test_nothing_is_there_before_somebody_has_written_it(tmp_path):
    numbers = SharedNumbers(tmp_path / "folder" / "n", 1)
    assert not numbers.exists()
    with numbers.held() as held:
        assert held == [0.0]
        held[0] = 2.5
    assert numbers.exists()
    assert read(tmp_path / "folder" / "n", 1) == [2.5]


@pytest.mark.parametrize("content", [b"", b"\x01", b"x" * 500], ids=["empty", "cut short", "too long"])
def test_a_damaged_file_is_no_obstacle(tmp_path, content):
    (tmp_path / "n").write_bytes(content)
    with SharedNumbers(tmp_path / "n", 2).held() as held:
        held[:] = [1.0, 2.0]
    assert read(tmp_path / "n") == [1.0, 2.0]


def test_an_error_inside_changes_nothing_and_lets_go(tmp_path):
    numbers = SharedNumbers(tmp_path / "n", 1)
    with suppress(KeyError), numbers.held() as held:
        held[0] = 7
        raise KeyError
    assert read(tmp_path / "n", 1) == [0.0]


def test_one_who_was_stopped_while_he_held_it_is_not_waited_for(tmp_path):
    with (tmp_path / "n").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as a process that was stopped just then
        with SharedNumbers(tmp_path / "n", 1).held() as held:
            held[0] = 3.0
    assert read(tmp_path / "n", 1) == [3.0]

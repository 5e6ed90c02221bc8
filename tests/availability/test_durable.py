"""The law of writing: a name shows the old content or the new one, whole, and nothing else is left behind."""

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from availability.durable import sync_folder, write_atomically, write_whole
from tests.builders import MIB, random_bytes, run_program


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"x", random_bytes(MIB + 1)], ids=["empty", "small", "large"])
def test_what_was_written_stands_under_its_name_and_alone(tmp_path, content):
    path = tmp_path / "a" / "b" / "file.json"
    write_atomically(path, content)
    assert path.read_bytes() == content
    assert names(path.parent) == ["file.json"]


def test_writing_again_replaces_the_whole(tmp_path):
    write_atomically(tmp_path / "f", b"long content")
    write_atomically(tmp_path / "f", b"short")
    assert (tmp_path / "f").read_bytes() == b"short"
    assert names(tmp_path) == ["f"]


def test_a_link_is_replaced_and_what_it_led_to_is_not_touched(tmp_path):
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"ours")
    assert (tmp_path / "target").read_bytes() == b"theirs"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)], ids=oct)
def test_the_mode_is_what_the_users_umask_says(tmp_path, umask, mode):
    program = """
import os, sys
from pathlib import Path
from availability.durable import write_atomically
os.umask(int(sys.argv[2]))
write_atomically(Path(sys.argv[1]), b"x")
"""
    run_program(program, tmp_path / "f", umask)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode


FULL_DISK = """
import resource, sys
from pathlib import Path
from availability.durable import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_atomically(Path(sys.argv[1]), bytes(5000))
except OSError as error:
    print(type(error).__name__)
"""


def test_when_there_is_no_room_the_old_content_stays_and_nothing_is_left(tmp_path):
    write_atomically(tmp_path / "f", b"old")
    assert run_program(FULL_DISK, tmp_path / "f") == "OSError\n"
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


SHORT_WRITE = """
import os, resource, sys
from availability.durable import write_whole
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_whole(descriptor, bytes(1500), 0)
except OSError as error:
    print(os.fstat(descriptor).st_size, type(error).__name__)
"""


def test_a_disk_that_takes_only_the_beginning_is_an_error_and_no_success(tmp_path):
    # The kernel takes what fits and reports it; only the next write fails.
    assert run_program(SHORT_WRITE, tmp_path / "f") == "1000 OSError\n"


def test_all_is_written_where_it_belongs(tmp_path):
    content = random_bytes(3 * MIB + 1)
    with (tmp_path / "f").open("w+b") as file:
        write_whole(file.fileno(), content, 7)
    assert (tmp_path / "f").read_bytes() == bytes(7) + content


def test_readers_never_see_half_of_it(tmp_path):
    contents = {bytes([index]) * 200_000 for index in range(8)}
    write_atomically(tmp_path / "f", min(contents))
    seen = set()

    def read():
        for _ in range(300):
            seen.add((tmp_path / "f").read_bytes())

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        while not all(reader.done() for reader in readers):
            for content in contents:
                write_atomically(tmp_path / "f", content)
    assert seen <= contents


WRITER = """
import sys
from pathlib import Path
from availability.durable import write_atomically
index = 0
print("begun", flush=True)
while True:
    index += 1
    write_atomically(Path(sys.argv[1]), bytes([index % 256]) * 100_000)
"""


def test_whoever_is_killed_leaves_a_whole_file(tmp_path):
    path = tmp_path / "f"
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not path.exists() and process.poll() is None:
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert content == content[:1] * 100_000
        assert {name for name in names(tmp_path) if not name.endswith(".tmp")} == {"f"}


def test_a_folder_can_be_synced_and_a_file_is_none(tmp_path):
    sync_folder(tmp_path)
    (tmp_path / "f").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "f")

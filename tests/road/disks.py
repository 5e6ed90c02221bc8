"""Disks that are small, full, read-only or somebody else's, and the models that are brought onto them."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from deployments.sample import write_model
from service.faults import Fault
from tests.builders import CONFIG, KIB, MIB, WEIGHTS
from tests.road.ground import MODEL

NOBODY = 65534
SIZE = 12 * MIB + 17
MANY = "org/many"
ROOM = 32 * MIB
LINES = (
    Fault("shape", WEIGHTS, bytes_per_second=16 * MIB),
    Fault("shape", r"/\d+\.json", bytes_per_second=512 * KIB),  # over many connections at once
)
"""Slow enough for something to happen in the middle."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and be somebody else")


@contextmanager
def mounted(folder, *arguments):
    """Mount something at a folder; skips where the machine does not let us."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # this process keeps its spool there open


def small_disk(folder, size=ROOM):
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def fill(folder, *, leave=0):
    """Take what is free there, all but a little; return the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        free = shutil.disk_usage(folder).free - leave
        os.posix_fallocate(file.fileno(), 0, max(free, 1))
    return filler


@contextmanager
def read_only(folder):
    """Mount a folder over itself, read-only."""
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


def write_models(store):
    """Write one model of a large file, and one of small ones."""
    write_model(store, MODEL, {CONFIG: b"{}\n", WEIGHTS: SIZE})
    write_model(store, MANY, {f"{index:02}.json": 900 * KIB + index for index in range(12)})
    return store


def assert_verified(ground, model=MODEL):
    outcome = ground.ensure(model)
    assert outcome.success, outcome.error
    ground.assert_honest()
    return outcome

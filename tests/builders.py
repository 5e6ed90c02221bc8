"""Small builders that tests of several rooms share: a model, and a request that hides nothing."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import urllib3
from hypothesis import settings

from availability.model import Commit, FileRecord, Listing, parse_model_id
from deployments.sample import write_model
from service.snapshots import git_id, lfs_pointer

KIB = 1024
MIB = 1024 * KIB

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
NESTED = "tokenizer/vocab.txt"

no_deadline = settings(deadline=None)
"""For properties: a busy machine is no failure."""


def write_tiny_model(
    store: Path,
    repo_id: str = "org/tiny",
    *,
    weights_bytes: int = 3 * MIB + 17,
    revision: str = "main",
    seed: int = 0,
    xet: bool = False,
) -> str:
    """Write a model of one large and two small files, one of them in a folder, and return its commit."""
    files = {CONFIG: b'{"model_type": "llama"}\n', NESTED: b"a\nb\n", WEIGHTS: weights_bytes}
    return write_model(store, repo_id, files, revision=revision, seed=seed, xet=xet)


def stored_bytes(store: Path, path: str = WEIGHTS, repo_id: str = "org/tiny", revision: str = "main") -> bytes:
    """Return the content of a file as the store has it."""
    folder = store / f"models--{repo_id.replace('/', '--')}"
    return (folder / "snapshots" / (folder / "refs" / revision).read_text() / path).read_bytes()


def request(
    url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> urllib3.BaseHTTPResponse:
    """Send one request over a connection of its own, with no retry and no redirect, and read the whole answer."""
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request(method, url, headers=dict(headers or {}), body=body, redirect=False, timeout=20)


def bytes_header(first: int, last: int | None = None) -> dict[str, str]:
    """Return the header that asks for a range."""
    return {"Range": f"bytes={first}-{'' if last is None else last}"}


def file_record(content: bytes, path: str = WEIGHTS, *, lfs: bool = True) -> FileRecord:
    """Return the honest record of a file: in large-file storage, or as a plain git blob."""
    if not lfs:
        return FileRecord(path, len(content), git_id("blob", content))
    sha256 = hashlib.sha256(content).hexdigest()
    return FileRecord(path, len(content), git_id("blob", lfs_pointer(sha256, len(content))), sha256)


def listing_of(*files: FileRecord, model: str = "org/tiny", commit: str = "c" * 40) -> Listing:
    """Return a listing of these files."""
    return Listing(parse_model_id(model), Commit(commit), tuple(sorted(files, key=lambda file: file.path)), "test")


def flipped(content: bytes, offset: int) -> bytes:
    """Return the content with one byte turned over."""
    return content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1 :]


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Return the same pseudo-random bytes for the same seed."""
    return Random(seed).randbytes(size)


_BECOME_NOBODY = """
def become_nobody():
    import os
    if not os.geteuid():
        os.setgroups([])
        os.setuid(65534)
"""


def run_program(program: str, *arguments: object) -> str:
    """Run a Python program to its end and return what it printed.

    It may call `become_nobody()`, because root may read and write everything.
    """
    command = [sys.executable, "-c", _BECOME_NOBODY + program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, "the program")
        error.add_note(done.stderr)
        raise error
    return done.stdout


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait until a condition holds that another thread or process brings about; its bound is for failures only."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.001)


def write_tiny_pair(store):
    """Write `org/tiny`, and `org/other` beside it."""
    write_tiny_model(store)
    write_tiny_model(store, "org/other", weights_bytes=200_000, seed=1)

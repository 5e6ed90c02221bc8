"""Small builders that tests of several rooms share: a model, and a request that hides nothing."""

from collections.abc import Mapping
from pathlib import Path

import urllib3

from deployments.sample import write_model

KIB = 1024
MIB = 1024 * KIB

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
NESTED = "tokenizer/vocab.txt"


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

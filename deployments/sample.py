"""Models made from nothing, for demonstrations, drills, benchmarks and tests: no network, no numerical library.

They are written as a Hugging Face cache holds them, so `service.hub` can serve them and any reader can open them. The
weights are a valid safetensors file of pseudo-random bytes: right in form, useless as a network.
"""

import contextlib
import hashlib
import importlib
import json
import random
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from availability.model import DEFAULT_REVISION, FileRecord, ModelId
from service.snapshots import git_id, lfs_pointer

BLOCK_BYTES = 1024 * 1024
SAMPLE_MODEL = "sample/tiny-model"
LFS_BYTES = 1024 * 1024
"""Above this a file is held as a large one, as are all `.safetensors`."""

Content = bytes | Path | int
"""A file's content: the bytes, a file to copy, or a size to be filled with pseudo-random bytes."""

_HEADER_BYTES = 256


def sample_weights(path: Path, size: int, *, seed: int = 0) -> Path:
    """Write a valid safetensors file of exactly `size` bytes, the same ones for the same seed, block by block.

    Raises:
        ValueError: `size` leaves no room for the header.
    """
    with path.open("wb") as file:
        file.writelines(weight_blocks(size, seed))
    return path


def weight_blocks(size: int, seed: int = 0) -> Iterator[bytes]:
    """Yield the content of `sample_weights`."""
    tensor_bytes = size - _HEADER_BYTES
    if tensor_bytes < 0:
        raise ValueError(f"A safetensors file needs {_HEADER_BYTES} bytes for its header, got {size}")
    tensor = {"dtype": "U8", "shape": [tensor_bytes], "data_offsets": [0, tensor_bytes]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "model.weight": tensor})
    yield (_HEADER_BYTES - 8).to_bytes(8, "little") + header.ljust(_HEADER_BYTES - 8).encode()
    yield from random_blocks(tensor_bytes, seed)


def random_blocks(size: int, seed: int = 0) -> Iterator[bytes]:
    """Yield `size` pseudo-random bytes: one block of a seeded generator, turned by another amount each time.

    Turning costs a copy; making every block anew would cost twenty times that.
    """
    block = random.Random(seed).randbytes(BLOCK_BYTES) * 2  # noqa: S311  it must repeat, not resist
    for index, start in enumerate(range(0, size, BLOCK_BYTES)):
        turn = index * 7919 % BLOCK_BYTES  # odd, so no turn comes twice within a tebibyte
        yield block[turn : turn + min(BLOCK_BYTES, size - start)]


def write_sample_model(store: Path, *, weights_mib: int = 256, seed: int = 0) -> str:
    """Write `sample/tiny-model`, a model of the usual shape, and return its commit."""
    files: dict[str, Content] = {
        "README.md": b"---\nlicense: apache-2.0\n---\n# A model that knows nothing\n",
        "config.json": _json({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64}),
        "generation_config.json": _json({"max_new_tokens": 16}),
        "tokenizer.json": _json({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}),
        "model.safetensors": weights_mib * 1024 * 1024,
    }
    return write_model(store, SAMPLE_MODEL, files, seed=seed)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def write_model(
    store: Path,
    repo_id: str,
    files: Mapping[str, Content],
    *,
    revision: str = DEFAULT_REVISION,
    lfs: Callable[[str, int], bool] | int = LFS_BYTES,
    xet: bool = False,
    commit: str | None = None,
    seed: int = 0,
) -> str:
    """Write a model into a Hugging Face cache, point the revision at it, and return its commit.

    Called again with other files it adds another commit and moves the revision; what was there stays.

    Args:
        store: the cache; made when it is missing.
        repo_id: `org/name` or `name`.
        files: content by path. A size gives pseudo-random bytes; for `*.safetensors` those of `weight_blocks`.
        revision: the branch or tag that shall stand for the commit.
        lfs: which files are large: a rule over path and size, or the size above which they are (then
            `*.safetensors` always are).
        xet: keep large files in the cache's shared blob store, by Xet hash, as newer clients do.
        commit: the commit id; derived from the content when it is not given.
        seed: of pseudo-random content.
    """
    folder = store / ModelId(repo_id).folder
    staging = folder / ".staging" / secrets.token_hex(4)
    staging.mkdir(parents=True)
    try:
        records = []
        for path, content in sorted(files.items()):
            blob = _stage(staging / "blob", path, content, _is_large(path, content, lfs), seed)
            records.append(_publish_shared(store, folder, staging, blob) if xet and blob.sha256 else blob)
            _publish(staging / "blob", folder / "blobs" / blob.digest)
        commit = commit or _commit(repo_id, records)
        _publish(_stage_tree(staging / "tree", records), folder / "trees" / f"{commit}.json")
        _publish_snapshot(staging, folder / "snapshots" / commit, records)
        (staging / "ref").write_text(commit)
        _publish(staging / "ref", folder / "refs" / revision)
    finally:
        shutil.rmtree(staging)
        with contextlib.suppress(OSError):  # another writer is at work there
            staging.parent.rmdir()
    return commit


def _is_large(path: str, content: Content, lfs: Callable[[str, int], bool] | int) -> bool:
    if isinstance(lfs, int):
        return _size(content) > lfs or path.endswith(".safetensors")
    return lfs(path, _size(content))


def _size(content: Content) -> int:
    match content:
        case int():
            return content
        case bytes():
            return len(content)
        case Path():
            return content.stat().st_size


def _blocks(path: str, content: Content, seed: int) -> Iterator[bytes]:
    match content:
        case int():
            # Two files of one size must not become one blob, so the path is part of the seed.
            own_seed = zlib.crc32(path.encode(), seed)
            make = weight_blocks if path.endswith(".safetensors") else random_blocks
            yield from make(content, own_seed)
        case bytes():
            yield content
        case Path():
            with content.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    yield block


def _stage(staged: Path, path: str, content: Content, large: bool, seed: int) -> FileRecord:
    size = _size(content)
    digest = hashlib.sha256() if large else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with staged.open("wb") as file:
        for block in _blocks(path, content, seed):
            digest.update(block)
            file.write(block)
    if not large:
        return FileRecord(path, size, digest.hexdigest())
    return FileRecord(path, size, git_id("blob", lfs_pointer(digest.hexdigest(), size)), digest.hexdigest())


def _publish(staged: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(final)


def _publish_shared(store: Path, folder: Path, staging: Path, blob: FileRecord) -> FileRecord:
    """Move a staged blob into the cache's shared store and stage a link to it (`_shared_blobs.py` of the client)."""
    # Not on every platform, without types, and needed by this layout alone.
    xet_hash = str(importlib.import_module("hf_xet").hash_files([str(staging / "blob")])[0].hash)
    shared = store / "blobs" / xet_hash[:2] / xet_hash
    _publish(staging / "blob", shared)
    shared.chmod(0o444)
    (store / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    with shared.with_name(f"{xet_hash}.refs").open("a") as references:
        references.write(f"{folder.name}/blobs/{blob.digest}\n")
    (staging / "blob").symlink_to(Path("../../blobs", xet_hash[:2], xet_hash))
    return replace(blob, xet_hash=xet_hash)


def _commit(repo_id: str, records: Iterable[FileRecord]) -> str:
    identity = "".join(f"{record.path}\0{record.digest}\n" for record in records)
    return git_id("commit", f"{repo_id}\n{identity}".encode())


def _stage_tree(staged: Path, records: Iterable[FileRecord]) -> Path:
    """Write the listing as `huggingface_hub` keeps it, beside the snapshots."""
    files: dict[str, dict[str, object]] = {}
    for record in records:
        files[record.path] = {"size": record.size, "blob_id": record.blob_id}
        if record.sha256:
            files[record.path] |= {"lfs_sha256": record.sha256, "lfs_size": record.size}
        if record.xet_hash:
            files[record.path]["xet_hash"] = record.xet_hash
    staged.write_text(json.dumps({"format_version": 1, "files": files}, indent=1))
    return staged


def _publish_snapshot(staging: Path, final: Path, records: Iterable[FileRecord]) -> None:
    links = staging / "snapshot"
    links.mkdir()
    for record in records:
        link = links / record.path
        link.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (2 + record.path.count("/"))
        link.symlink_to(f"{up}blobs/{record.digest}")
    if final.exists():
        final.rename(staging / "former")
    _publish(links, final)

"""A sample model is what it says it is, and the same every time."""

import hashlib
import json
from itertools import pairwise

import pytest
from huggingface_hub import scan_cache_dir

from deployments.sample import (
    SAMPLE_MODEL,
    random_blocks,
    sample_weights,
    weight_blocks,
    write_model,
    write_sample_model,
)
from tests.builders import MIB


@pytest.mark.parametrize("size", [256, 257, MIB, 3 * MIB + 1])
def test_weights_are_a_safetensors_file_of_that_size(tmp_path, size):
    content = sample_weights(tmp_path / "weights", size).read_bytes()
    header_size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + header_size])
    tensor = header["model.weight"]
    assert len(content) == size
    assert header_size % 8 == 0
    assert tensor["data_offsets"] == [0, size - 8 - header_size]
    assert tensor["shape"] == [size - 8 - header_size]


def test_a_header_needs_its_room():
    with pytest.raises(ValueError, match="256 bytes"):
        list(weight_blocks(255))


def test_pseudo_random_bytes_repeat_by_seed_alone():
    blocks = list(random_blocks(5 * MIB + 1))
    assert blocks == list(random_blocks(5 * MIB + 1))
    assert blocks[0] != next(iter(random_blocks(MIB, seed=1)))
    assert len(set(blocks)) == 6
    assert all(
        one[place : place + 8] != other[place : place + 8] for one, other in pairwise(blocks) for place in (0, 999)
    )
    assert [len(block) for block in blocks] == [MIB] * 5 + [1]


def test_the_same_files_are_the_same_commit_and_others_another(tmp_path):
    first = write_model(tmp_path / "a", "org/x", {"config.json": b"{}", "a.bin": 2 * MIB})
    assert write_model(tmp_path / "b", "org/x", {"a.bin": 2 * MIB, "config.json": b"{}"}) == first
    second = write_model(tmp_path / "a", "org/x", {"config.json": b"{ }", "a.bin": 2 * MIB})
    folder = tmp_path / "a" / "models--org--x"
    assert second != first
    assert (folder / "refs" / "main").read_text() == second
    assert (folder / "snapshots" / first / "config.json").read_bytes() == b"{}"
    assert len(list((folder / "blobs").iterdir())) == 3
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "refs", "snapshots", "trees"]


def test_what_is_large_is_named_by_its_sha256_and_the_rest_by_its_git_id(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 10)
    files = {"a/small.bin": b"small", "a/b/large.bin": source, "tiny.safetensors": 300}
    commit = write_model(tmp_path / "store", "x", files, lfs=9, revision="v1/a", commit="c" * 40)
    snapshot = tmp_path / "store" / "models--x" / "snapshots" / commit
    assert (snapshot / "a/small.bin").readlink().name == hashlib.sha1(b"blob 5\0small").hexdigest()
    for path in ("a/b/large.bin", "tiny.safetensors"):
        assert (snapshot / path).readlink().name == hashlib.sha256((snapshot / path).read_bytes()).hexdigest()
    assert commit == "c" * 40
    assert (tmp_path / "store" / "models--x" / "refs" / "v1" / "a").read_text() == commit


def test_a_given_commit_can_be_written_again(tmp_path):
    for content in (b"one", b"two"):
        commit = write_model(tmp_path, "org/x", {"file": content}, commit="c" * 40)
    assert (tmp_path / "models--org--x" / "snapshots" / commit / "file").read_bytes() == b"two"


def test_the_sample_model_is_a_model_in_a_cache(tmp_path):
    commit = write_sample_model(tmp_path, weights_mib=2)
    found = scan_cache_dir(tmp_path)
    (repo,) = found.repos
    (revision,) = repo.revisions
    assert found.warnings == []
    assert (repo.repo_id, revision.commit_hash, revision.refs) == (SAMPLE_MODEL, commit, {"main"})
    assert {file.file_name for file in revision.files} == {
        "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip

"""The law of digests: they are those of git, of SHA-256 and of BLAKE3, however the bytes come."""

import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.digests import CHUNK_BYTES, chunk_count, chunk_digest, chunk_hasher, publisher_hasher
from availability.model import FileRecord
from tests.builders import no_deadline, random_bytes

CONTENTS = {
    "empty": b"",
    "text": b'{"model_type": "llama"}\n',
    "windows line ends": b"a\r\nb\r\n",
    "zeros": bytes(100),
    "large": random_bytes(CHUNK_BYTES + 1),
}
# The first test vector of the BLAKE3 specification, and one of its longer ones (input bytes i % 251).
BLAKE3_OF_NOTHING = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def digest_of(file, pieces):
    hasher = publisher_hasher(file)
    for piece in pieces:
        hasher.update(piece)
    return hasher.hexdigest()


@pytest.mark.parametrize("name", CONTENTS)
def test_a_small_file_has_the_id_that_git_gives_it(name, tmp_path):
    content = CONTENTS[name]
    told = subprocess.run(
        ["git", "hash-object", "--stdin", "--no-filters"], cwd=tmp_path, input=content, capture_output=True, check=True
    )
    assert digest_of(FileRecord("f", len(content), "0" * 40), [content]) == told.stdout.decode().strip()


@pytest.mark.parametrize("name", CONTENTS)
def test_a_large_file_has_the_sha256_of_its_bytes(name):
    content = CONTENTS[name]
    file = FileRecord("f", len(content), "0" * 40, "1" * 64)
    assert digest_of(file, [content]) == hashlib.sha256(content).hexdigest()


@no_deadline
@given(st.lists(st.binary(max_size=50)), st.sampled_from([None, "1" * 64]))
def test_it_does_not_matter_how_the_bytes_are_cut(pieces, sha256):
    whole = b"".join(pieces)
    file = FileRecord("f", len(whole), "0" * 40, sha256)
    assert digest_of(file, pieces) == digest_of(file, [whole])
    hasher = chunk_hasher()
    for piece in pieces:
        hasher.update(memoryview(piece))
    assert hasher.digest() == chunk_digest(whole) == chunk_digest(memoryview(bytearray(whole)))


def test_a_chunk_is_digested_with_blake3():
    assert chunk_digest(b"").hex() == BLAKE3_OF_NOTHING


@pytest.mark.parametrize(
    ("size", "count"),
    [
        (0, 0),
        (1, 1),
        (CHUNK_BYTES - 1, 1),
        (CHUNK_BYTES, 1),
        (CHUNK_BYTES + 1, 2),
        (10 * CHUNK_BYTES, 10),
        (10**15, 953674317),
    ],
)
def test_a_last_chunk_may_be_short_and_an_empty_file_has_none(size, count):
    assert chunk_count(size) == count

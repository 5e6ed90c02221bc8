"""The law of the format checker: it passes what programs can load, and names what they cannot, reading no weight."""

import json
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.checkers import HealthContext, run_checkers
from availability.checkers.headers import MOST_HEADER_BYTES, BadHeaderError, read_safetensors
from availability.inventory import ModelStatus
from availability.model import ModelId
from availability.settings import load_settings
from availability.status import Availability
from deployments.sample import sample_weights
from tests.builders import no_deadline

MODEL = ModelId("org/tiny")
STATUS = ModelStatus(MODEL, Availability.AVAILABLE, None, None, 10, 1.0, None, (), (), (), None, is_running=False)


def check(folder, configuration=None, **settings):
    context = HealthContext(
        load_settings({"storage.models_directory": folder, **settings}, env={}, dotenv=None), STATUS
    )
    return run_checkers(context, MODEL, folder, configuration)["format"]


def kinds(folder, **settings):
    return [(issue.kind, issue.file) for issue in check(folder, **settings).issues]


def safetensors(tensors, data=b"", *, length=None):
    header = (tensors if isinstance(tensors, str) else json.dumps(tensors)).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(first, last, kind="U8", shape=None):
    return {"dtype": kind, "shape": [last - first] if shape is None else shape, "data_offsets": [first, last]}


SOUND = {
    "one tensor": safetensors({"a": tensor(0, 4)}, bytes(4)),
    "metadata": safetensors({"__metadata__": {"format": "pt"}, "a": tensor(0, 4)}, bytes(4)),
    "tensors in another order": safetensors({"b": tensor(4, 6), "a": tensor(0, 4)}, bytes(6)),
    "a scalar": safetensors({"a": tensor(0, 4, "F32", [])}, bytes(4)),
    "an empty tensor": safetensors({"a": tensor(0, 4), "b": tensor(4, 4)}, bytes(4)),
    "no tensor": safetensors({}),
    "half a byte each": safetensors({"a": tensor(0, 2, "F4", [4])}, bytes(2)),
    "a type newer than we": safetensors({"a": tensor(0, 3, "F7", [9])}, bytes(3)),
}
BROKEN = {
    "empty": b"",
    "too short for a length": b"\x01\x00",
    "a length beyond the file": safetensors({"a": tensor(0, 4)}, bytes(4), length=1000),
    "a length beyond all bounds": safetensors({"a": tensor(0, 4)}, bytes(4), length=2**62),
    "no JSON": safetensors("{]", bytes(4)),
    "nesting without end": safetensors("[" * 100_000),
    "no mapping": safetensors("[1]"),
    "a tensor without a place": safetensors({"a": {"dtype": "U8", "shape": [4]}}, bytes(4)),
    "a negative place": safetensors({"a": tensor(-4, 0, shape=[4])}, bytes(4)),
    "a place that is a boolean": safetensors({"a": {"dtype": "U8", "shape": [1], "data_offsets": [False, True]}}, b"a"),
    "ends before it begins": safetensors({"a": tensor(4, 0, shape=[0])}, bytes(4)),
    "a shape of another length": safetensors({"a": tensor(0, 4, "F32", [2])}, bytes(4)),
    "beyond the file": safetensors({"a": tensor(0, 5)}, bytes(4)),
    "less than the file": safetensors({"a": tensor(0, 4)}, bytes(5)),
    "overlapping": safetensors({"a": tensor(0, 4), "b": tensor(2, 6)}, bytes(6)),
    "a gap": safetensors({"a": tensor(0, 2), "b": tensor(4, 6)}, bytes(6)),
    "a gap before all": safetensors({"a": tensor(2, 4)}, bytes(4)),
}


@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND)
def test_a_sound_safetensors_file_passes(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    result = check(tmp_path)
    assert (result.score, result.issues) == (1.0, ())


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_safetensors_header_is_one_critical_finding(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    result = check(tmp_path)
    assert [(issue.kind, issue.file, issue.severity) for issue in result.issues] == [
        ("bad_header", "model.safetensors", "critical")
    ]
    assert result.score == 0


def test_weights_are_not_read(tmp_path):
    """A terabyte of holes costs no time, because only its header is looked at."""
    header = safetensors({"a": tensor(0, 2**40)})
    path = tmp_path / "model.safetensors"
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(len(header) + 2**40)
    assert check(tmp_path).issues == ()


def test_a_header_larger_than_the_format_allows_is_not_read(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", MOST_HEADER_BYTES + 1))
    with path.open("r+b") as file:
        file.truncate(MOST_HEADER_BYTES + 100)
    with pytest.raises(BadHeaderError, match="claims"):
        read_safetensors(path)


@no_deadline
@given(
    content=st.binary(max_size=200) | st.dictionaries(st.text(), st.none() | st.integers() | st.text()).map(safetensors)
)
def test_noise_is_a_bad_header_or_no_finding_and_never_a_crash(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("noise") / "model.safetensors"
    path.write_bytes(content)
    try:
        read_safetensors(path)
    except BadHeaderError as error:
        assert error.stop >= 8  # noqa: PT017  both ends are lawful


def test_what_the_samples_are_made_of_passes(tmp_path):
    sample_weights(tmp_path / "model.safetensors", 5000)
    assert check(tmp_path).score == 1.0


GGUF = struct.pack("<4sIQQ", b"GGUF", 3, 5, 10)


@pytest.mark.parametrize(
    ("content", "is_sound"),
    [
        (GGUF + bytes(100), True),
        (struct.pack("<4sIQQ", b"GGUF", 2, 0, 0), True),
        (b"GGML" + GGUF[4:], False),
        (GGUF[:12], False),
        (b"", False),
        (struct.pack(">4sIQQ", b"GGUF", 3, 5, 10), False),
        (struct.pack("<4sIQQ", b"GGUF", 99, 5, 10), False),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 10), False),
    ],
    ids=["version 3", "version 2", "magic", "cut off", "empty", "other byte order", "version 99", "counts"],
)
def test_a_gguf_file_is_judged_by_its_magic_version_and_counts(tmp_path, content, is_sound):
    (tmp_path / "model.gguf").write_bytes(content)
    assert kinds(tmp_path) == ([] if is_sound else [("bad_header", "model.gguf")])


INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write_sharded(folder, below=""):
    place = folder / below
    place.mkdir(exist_ok=True)
    for name, shard in zip("ab", SHARDS, strict=True):
        (place / shard).write_bytes(safetensors({name: tensor(0, 4)}, bytes(4)))
    (place / INDEX).write_text(json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}))


@pytest.mark.parametrize("below", ["", "unet"])
def test_an_index_whose_shards_hold_what_it_says_passes(tmp_path, below):
    write_sharded(tmp_path, below)
    assert check(tmp_path).issues == ()


@pytest.mark.parametrize("below", ["", "unet"])
def test_a_shard_that_the_index_names_and_nobody_has_is_missing(tmp_path, below):
    write_sharded(tmp_path, below)
    (tmp_path / below / SHARDS[1]).unlink()
    assert kinds(tmp_path) == [("missing_shard", f"{below}/{SHARDS[1]}".lstrip("/"))]


def test_an_index_of_which_nothing_was_asked_for_is_no_harm(tmp_path):
    write_sharded(tmp_path)
    for shard in SHARDS:
        (tmp_path / shard).unlink()
    result = check(tmp_path)
    assert ({issue.severity for issue in result.issues}, result.score) == ({"info"}, 1.0)


def test_a_tensor_that_its_shard_has_not_is_found(tmp_path):
    write_sharded(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[1]}}))
    (issue,) = check(tmp_path).issues
    assert (issue.kind, issue.file) == ("bad_header", SHARDS[1])
    assert "'c'" in issue.cause


@pytest.mark.parametrize("content", ["{}", "[]", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}'])
def test_an_index_without_a_map_is_malformed(tmp_path, content):
    (tmp_path / INDEX).write_text(content)
    assert kinds(tmp_path) == [("malformed_json", INDEX)]


@pytest.mark.parametrize(
    ("content", "is_sound"),
    [(b"{}", True), (b"\xef\xbb\xbf{}", True), (b"null", True), (b"", False), (b"{]", False), (b"\xff\xfe\xfd", False)],
    ids=["object", "byte order mark", "null", "empty", "cut", "no text"],
)
def test_every_json_file_must_parse(tmp_path, content, is_sound):
    (tmp_path / "config.json").write_bytes(content)
    assert kinds(tmp_path) == ([] if is_sound else [("malformed_json", "config.json")])


def test_a_json_file_above_the_limit_is_said_to_be_unjudged(tmp_path):
    (tmp_path / "big.json").write_text("{]" + " " * 2_000_000)
    result = check(tmp_path, {"format": {"most_json_mib": 1}})
    assert (result.score, result.issues, result.details["files_too_large"]) == (None, (), ["big.json"])


def test_the_policy_says_what_of_pickles(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": [1, 2]}))
    told = {policy: kinds(tmp_path, **{"admission.pickle_policy": policy}) for policy in ("refuse", "scan", "allow")}
    assert told == {"refuse": [("pickle", "pytorch_model.bin")], "scan": [], "allow": []}


def test_a_pickle_that_runs_code_is_critical_under_scan(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (issue,) = check(tmp_path, **{"admission.pickle_policy": "scan"}).issues
    assert (issue.kind, issue.severity) == ("unsafe_pickle", "critical")


def test_without_a_file_that_can_be_judged_there_is_no_score(tmp_path):
    (tmp_path / "README.md").write_text("words")
    assert check(tmp_path).score is None


def test_the_score_is_the_share_of_sound_files(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.gguf").write_bytes(b"nothing")
    assert check(tmp_path).score == pytest.approx(1 / 2)

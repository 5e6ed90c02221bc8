"""The law of selection: what a request names is chosen, other variants and stray shards are not, and why is told.

The layouts are those of models on the Hub, shortened.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.errors import NothingSelectedError
from availability.model import FileRecord, ModelId
from availability.selection import Selection, choose, indexes_to_read, shards_named

MODEL = ModelId("org/model")

LLAMA = (
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "original/consolidated.00.pth",
    "tokenizer.json",
)
DIFFUSERS = (
    "model_index.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)
SHARDED_VARIANTS = (
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.fp16-00001-of-00002.safetensors",
    "model.fp16-00002-of-00002.safetensors",
    "model.safetensors.index.fp16.json",
    "model.safetensors.index.json",
)
GGUF = (
    "README.md",
    "model-IQ4_XS.gguf",
    "model-Q4_K_M.gguf",
    "model-Q4_K_S.gguf",
    "model-Q6_K.gguf",
    "model-Q6_K_L.gguf",
    "model-Q8_0-00001-of-00002.gguf",
    "model-Q8_0-00002-of-00002.gguf",
)
GGUF_FOLDERS = (
    "BF16/model-BF16-00001-of-00002.gguf",
    "BF16/model-BF16-00002-of-00002.gguf",
    "Q4_K_M/model-Q4_K_M-00001-of-00001.gguf",
    "config.json",
)
MANY_FORMATS = (
    "config.json",
    "flax_model.msgpack",
    "model.safetensors",
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "pytorch_model.bin",
    "tf_model.h5",
)


def files(paths):
    return tuple(FileRecord(path, 1, "0" * 40) for path in paths)


def chosen(paths, selection=None, shards=None):
    return {file.path for file in choose(MODEL, files(paths), selection or Selection(), shards or {}).files}


def named(index, shards):
    return shards_named(index, {f"layer{number}": shard for number, shard in enumerate(shards)})


# --- patterns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paths", [LLAMA, DIFFUSERS, SHARDED_VARIANTS, GGUF, MANY_FORMATS])
def test_a_request_that_names_nothing_takes_every_file_in_the_order_of_the_listing(paths):
    choice = choose(MODEL, files(paths), Selection(), {})
    assert tuple(file.path for file in choice.files) == paths
    assert choice.left_out == ()


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.json",), (), {"config.json", "model.safetensors.index.json", "tokenizer.json"}),
        (("config.json", "tokenizer*"), (), {"config.json", "tokenizer.json"}),
        (("original/*",), (), {"original/consolidated.00.pth"}),
        (("original/",), (), {"original/consolidated.00.pth"}),
        ((), ("*.safetensors", "*.json"), {"original/consolidated.00.pth"}),
        (("*.json",), ("*.index.json", "t*"), {"config.json"}),
        (("*.pth",), (), {"original/consolidated.00.pth"}),
    ],
)
def test_a_file_must_match_an_included_pattern_and_no_excluded_one(include, exclude, expected):
    assert chosen(LLAMA, Selection(include, exclude)) == expected


@given(st.sets(st.sampled_from(LLAMA)), st.sets(st.sampled_from(LLAMA)))
def test_names_as_patterns_are_sets(include, exclude):
    expected = (include or {*LLAMA}) - exclude
    selection = Selection(tuple(include), tuple(exclude))
    if expected:
        assert chosen(LLAMA, selection) == expected
    else:
        with pytest.raises(NothingSelectedError):
            choose(MODEL, files(LLAMA), selection, {})


def test_nothing_selected_says_what_was_asked_and_what_there_is():
    with pytest.raises(NothingSelectedError) as caught:
        choose(MODEL, files(LLAMA), Selection(("*.gguf",), ("x",)), {})
    assert "org/model" in caught.value.message
    assert "*.gguf" in caught.value.message
    assert "config.json" in caught.value.advice[0]


# --- variants -------------------------------------------------------------------------------------------


def test_fp16_of_diffusers_takes_the_half_precision_of_each_folder_and_the_only_weights_where_there_is_none():
    assert chosen(DIFFUSERS, Selection(variant="fp16")) == {
        "model_index.json",
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }


def test_a_variant_that_is_sharded_comes_with_its_shards_and_its_index():
    shards = {
        "model.safetensors.index.json": named("model.safetensors.index.json", SHARDED_VARIANTS[1:3]),
        "model.safetensors.index.fp16.json": named("model.safetensors.index.fp16.json", SHARDED_VARIANTS[3:5]),
    }
    read = {file.path for file in indexes_to_read(files(SHARDED_VARIANTS), Selection(variant="fp16"))}
    known = {path: shards[path] for path in read}
    assert chosen(SHARDED_VARIANTS, Selection(variant="fp16"), known) == {
        "config.json",
        "model.fp16-00001-of-00002.safetensors",
        "model.fp16-00002-of-00002.safetensors",
        "model.safetensors.index.fp16.json",
    }


def test_without_a_variant_the_shards_of_each_are_taken():
    read = indexes_to_read(files(SHARDED_VARIANTS), Selection())
    shards = {
        file.path: named(file.path, SHARDED_VARIANTS[3:5] if "fp16" in file.path else SHARDED_VARIANTS[1:3])
        for file in read
    }
    assert chosen(SHARDED_VARIANTS, Selection(), shards) == {*SHARDED_VARIANTS}


@pytest.mark.parametrize("index", ["model.fp16.safetensors.index.json", "model.safetensors.fp16.index.json"])
def test_an_index_of_a_variant_goes_with_it_however_it_is_spelled(index):
    paths = ["model.fp16.safetensors", "model.safetensors", "model.safetensors.index.json", index]
    assert chosen(paths, Selection(variant="fp16")) == {"model.fp16.safetensors", index}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("Q4_K_M", {"model-Q4_K_M.gguf"}),
        ("q4_k_m", {"model-Q4_K_M.gguf"}),
        ("IQ4_XS", {"model-IQ4_XS.gguf"}),
        ("Q8_0", {"model-Q8_0-00001-of-00002.gguf", "model-Q8_0-00002-of-00002.gguf"}),
        ("Q6_K", {"model-Q6_K.gguf"}),
        ("Q4_K", {"model-Q4_K_M.gguf", "model-Q4_K_S.gguf"}),
    ],
)
def test_a_quantisation_takes_its_files_alone_and_what_is_no_weights(variant, expected):
    assert chosen(GGUF, Selection(variant=variant)) == {"README.md", *expected}


def test_quantisations_in_folders_of_their_own_are_variants_of_one_another():
    assert chosen(GGUF_FOLDERS, Selection(variant="Q4_K_M")) == {
        "Q4_K_M/model-Q4_K_M-00001-of-00001.gguf",
        "config.json",
    }


def test_a_quantisation_keeps_the_part_that_sees_pictures():
    paths = ["mmproj-F16.gguf", "model-Q4_K_M.gguf", "model-Q8_0.gguf"]
    assert chosen(paths, Selection(variant="Q4_K_M")) == {"mmproj-F16.gguf", "model-Q4_K_M.gguf"}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("safetensors", {"model.safetensors"}),
        ("ONNX", {"onnx/model.onnx", "onnx/model.onnx_data"}),
        ("pytorch", {"pytorch_model.bin"}),
        ("flax", {"flax_model.msgpack"}),
        ("tensorflow", {"tf_model.h5"}),
    ],
)
def test_a_format_takes_its_weights_alone_and_what_is_no_weights(variant, expected):
    assert chosen(MANY_FORMATS, Selection(variant=variant)) == {"config.json", *expected}


def test_a_format_leaves_out_the_index_of_another():
    paths = [
        "model.safetensors.index.json",
        "model-00001-of-00001.safetensors",
        "pytorch_model.bin.index.json",
        "pytorch_model.bin",
    ]
    assert chosen(paths, Selection(variant="pytorch")) == {*paths[2:]}


@pytest.mark.parametrize(
    ("paths", "variant"), [(GGUF, "Q2_K"), (LLAMA, "fp16"), (LLAMA, "gguf"), (MANY_FORMATS, "gguf")]
)
def test_a_variant_that_no_weights_have_selects_nothing_rather_than_a_model_without_weights(paths, variant):
    with pytest.raises(NothingSelectedError, match=variant):
        choose(MODEL, files(paths), Selection(variant=variant), {})


def test_a_variant_of_a_model_without_weights_takes_its_files():
    assert chosen(["config.json", "tokenizer.json"], Selection(variant="fp16")) == {"config.json", "tokenizer.json"}


def test_what_a_variant_leaves_out_is_told_with_the_reason():
    choice = choose(MODEL, files(DIFFUSERS), Selection(variant="fp16"), {})
    assert dict(choice.left_out)["text_encoder/model.safetensors"] == "another variant than fp16"
    assert {file.path for file in choice.files} | {*dict(choice.left_out)} == {*DIFFUSERS}


# --- shards ---------------------------------------------------------------------------------------------

RESHARDED = (
    "model-00001-of-00002.safetensors",
    "model-00001-of-00003.safetensors",
    "model-00002-of-00002.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
    "model.safetensors.index.json",
)


def test_shards_that_no_index_names_are_left_out():
    shards = {"model.safetensors.index.json": named("model.safetensors.index.json", (RESHARDED[0], RESHARDED[2]))}
    choice = choose(MODEL, files(RESHARDED), Selection(), shards)
    assert {file.path for file in choice.files} == {RESHARDED[0], RESHARDED[2], RESHARDED[5]}
    assert {reason for _, reason in choice.left_out} == {"no index of its folder names this shard"}


def test_an_index_speaks_for_its_own_folder_alone():
    shards = {"unet/model.safetensors.index.json": named("unet/model.safetensors.index.json", ["a-00001-of-00001.bin"])}
    paths = ["te/model-00001-of-00001.bin", "unet/a-00001-of-00001.bin", "unet/b-00001-of-00001.bin"]
    assert chosen(paths, shards=shards) == {*paths[:2]}
    assert shards["unet/model.safetensors.index.json"] == {"unet/a-00001-of-00001.bin"}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param(LLAMA, set(), id="one complete family"),
        pytest.param(RESHARDED, {"model.safetensors.index.json"}, id="two families"),
        pytest.param(LLAMA[:2] + LLAMA[3:], {"model.safetensors.index.json"}, id="one family, a shard short"),
        pytest.param(MANY_FORMATS, set(), id="no shards"),
        pytest.param(
            SHARDED_VARIANTS, {"model.safetensors.index.fp16.json", "model.safetensors.index.json"}, id="variants"
        ),
        pytest.param(
            [f"unet/{path}" for path in RESHARDED] + [*LLAMA], {"unet/model.safetensors.index.json"}, id="folders"
        ),
    ],
)
def test_an_index_is_read_only_where_it_can_leave_something_out(paths, expected):
    assert {file.path for file in indexes_to_read(files(paths), Selection())} == expected


def test_an_index_that_is_not_selected_is_not_read():
    assert indexes_to_read(files(RESHARDED), Selection(exclude=("*.index.json",))) == ()

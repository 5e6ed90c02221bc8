"""The law of admission: what cannot be honest is refused before anything is written, and a policy says how to allow."""

import os.path
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.admission import admit, can_hold_pickle, check_listing, why_not_path
from availability.errors import UnsafeModelError
from availability.model import FileRecord
from availability.selection import Choice
from availability.settings import AdmissionSettings
from tests.builders import CONFIG, NESTED, WEIGHTS, listing_of, no_deadline

GB = 10**9
HUB = "https://hub.example"
HONEST = FileRecord(WEIGHTS, 3, "a" * 40, "b" * 64, "c" * 64)


def named(*paths, size=1):
    return tuple(FileRecord(path, size, f"{index:040x}") for index, path in enumerate(paths))


def refusal_of_listing(*files):
    with pytest.raises(UnsafeModelError) as caught:
        check_listing(listing_of(*files))
    return caught.value


def admitted(*files, **policy):
    return admit(listing_of(*files), Choice(files), HUB, AdmissionSettings(**policy))


def refusal(*files, **policy):
    with pytest.raises(UnsafeModelError) as caught:
        admitted(*files, **policy)
    return caught.value


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "model.safetensors",
        "a/b/c/d.json",
        ".gitattributes",
        ".github/workflow.yml",
        "not.git/config",
        ".cache/other",
        "a b.txt",
        "a..b",
        "..a",
        "...a/b",
        "console",
        "com10.txt",
        "auxiliary.json",
        "模型.json",
        "naïve.txt",
        "🤗.md",
        "x" * 255,
        "/".join(["x" * 100] * 10),
    ],
)
def test_an_honest_name_may_be_written(path):
    assert why_not_path(path) is None
    check_listing(listing_of(replace(HONEST, path=path)))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "absolute or names a drive"),
        ("//server/share", "absolute or names a drive"),
        ("\\\\server\\share", "absolute or names a drive"),
        ("C:/Windows/x", "absolute or names a drive"),
        ("c:x", "absolute or names a drive"),
        ("a\\..\\b", "backslash or a control character"),
        ("a\nb", "backslash or a control character"),
        ("a\n", "backslash or a control character"),
        ("a\x00.txt", "backslash or a control character"),
        ("a\x7f", "backslash or a control character"),
        ("a\x9b", "backslash or a control character"),
        ("a\ud800", "backslash or a control character"),
        ("", "empty part"),
        (".", "leaves its folder"),
        ("..", "leaves its folder"),
        ("../x", "leaves its folder"),
        ("a/../../x", "leaves its folder"),
        ("a/..", "leaves its folder"),
        ("a/./b", "leaves its folder"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        (".git/config", "git folder"),
        ("a/.GIT/hooks/post-checkout", "git folder"),
        (".git", "git folder"),
        (".cache/huggingface/download/x", "client's own folder"),
        ("a/.Cache/HuggingFace", "client's own folder"),
        ("x" * 256, "too long"),
        ("é" * 128, "too long"),
        ("/".join(["x" * 100] * 11), "too long"),
        ("nul", "device's name"),
        ("a/CON.txt", "device's name"),
        ("aux.tar.gz/x", "device's name"),
        ("COM1", "device's name"),
        ("lpt².txt", "device's name"),
        ("a./b", "ends in a dot or a blank"),
        ("...", "ends in a dot or a blank"),
        ("a /b", "ends in a dot or a blank"),
        (".git /config", "ends in a dot or a blank"),
        ("model\u200b.safetensors", "invisible character"),
        ("\u202egnp.exe", "invisible character"),
        (".g\u200cit/config", "invisible character"),
        ("\ufeffconfig.json", "invisible character"),
        ("a\u2066b", "invisible character"),
    ],
    ids=ascii,
)
def test_a_hostile_name_is_refused(path, why):
    assert why in why_not_path(path)
    error = refusal_of_listing(HONEST, replace(HONEST, path=path))
    assert len(error.reasons) == 1
    assert why in error.reasons[0]


@no_deadline
@given(st.text(st.sampled_from("ab.:/\\ \x00\ngitGIT\u200b") | st.characters(), max_size=20))
def test_whatever_the_name_says_it_stays_below_its_folder(path):
    if why_not_path(path) is None:
        assert os.path.normpath(f"/store/{path}") == f"/store/{path}"
        assert "\x00" not in path
        assert ".git" not in path.lower().split("/")


# --- names that are one name somewhere ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("README.md", "readme.md"),
        ("a/X", "A/x"),
        ("straße", "STRASSE"),
        ("\u00e9.txt", "e\u0301.txt"),
        ("ﬁle", "file"),
        ("\u00c9", "e\u0301"),
        ("\u1fb4", "\u03b1\u0345\u0301"),
        ("same", "same"),
    ],
    ids=ascii,
)
def test_two_names_that_are_one_file_on_some_file_systems_are_refused(one, other):
    assert "are one file on some file systems" in refusal_of_listing(*named(one, other)).reasons[0]


@pytest.mark.parametrize(("file", "inside"), [("a", "a/b"), ("a", "a/b/c/d"), ("A", "a/b"), ("x/a", "x/a/b")])
def test_a_file_that_is_also_a_folder_is_refused(file, inside):
    for files in (named(file, inside), named(inside, file)):
        assert "is a file and the folder of" in refusal_of_listing(*files).reasons[0]


def test_names_that_only_look_alike_are_two_files():
    check_listing(listing_of(*named("a", "b/a", "ab", "a-b", "ba/b", "b/c/d")))


# --- sizes and digests ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"size": -1}, "a size of -1 bytes"),
        ({"blob_id": "../../../etc/passwd"}, "for a git blob id"),
        ({"blob_id": "a" * 39}, "for a git blob id"),
        ({"blob_id": "A" * 40}, "for a git blob id"),
        ({"blob_id": "a" * 40 + "\n"}, "for a git blob id"),
        ({"blob_id": ""}, "for a git blob id"),
        ({"sha256": "../" * 21 + "x"}, "for a SHA-256"),
        ({"sha256": "b" * 40}, "for a SHA-256"),
        ({"sha256": ""}, "for a SHA-256"),
        ({"xet_hash": "../../../../.ssh/authorized_keys"}, "for a Xet hash"),
        ({"xet_hash": "c" * 63}, "for a Xet hash"),
    ],
    ids=str,
)
def test_a_size_or_digest_that_cannot_be_one_is_refused(broken, why):
    assert why in refusal_of_listing(replace(HONEST, **broken)).reasons[0]


def test_every_reason_is_told_and_the_model_is_named():
    files = [*named("../x", "nul", "README", "readme"), replace(HONEST, size=-5)]
    error = refusal_of_listing(*files)
    assert len(error.reasons) == 4
    assert error.model_id == "org/tiny"
    assert "No setting allows this" in error.advice[0]


def test_an_empty_file_and_one_without_large_file_digests_are_honest():
    check_listing(listing_of(*named("empty", size=0)))


# --- the policy -----------------------------------------------------------------------------------------


def test_by_default_a_model_of_safetensors_enters_as_chosen():
    files = named(CONFIG, NESTED, WEIGHTS)
    assert admitted(*files) == Choice(files)


@pytest.mark.parametrize("size", [501 * GB, 10**15])
def test_a_file_above_the_ceiling_is_refused(size):
    error = refusal(*named(WEIGHTS, size=size))
    assert f"{WEIGHTS} is {size / GB:.1f} GB, more than 500 GB" in error.reasons


def test_the_ceiling_itself_is_allowed():
    admitted(*named(WEIGHTS, size=2 * GB), max_file_gb=2, max_model_gb=2)


def test_a_model_above_its_ceiling_is_refused_even_if_no_file_is():
    error = refusal(*named("a.gguf", "b.gguf", size=3 * GB), max_model_gb=5)
    assert error.reasons == ("its chosen files are 6.0 GB, more than 5 GB",)


def test_only_what_was_chosen_is_judged():
    small, huge = named("a.gguf", size=1)[0], FileRecord("b.exe", 10**15, "f" * 40)
    choice = Choice((small,), (("b.exe", "not asked for"),))
    assert admit(listing_of(small, huge), choice, HUB, AdmissionSettings()) == choice


@pytest.mark.parametrize("pattern", ["org/tiny", "ORG/*", "*", "*/tiny", "org/t?ny"])
def test_a_blocked_model_is_refused(pattern):
    error = refusal(*named(WEIGHTS), blocked_models=pattern)
    assert f"{pattern!r} of ENHANCED_MODEL_ADMISSION_BLOCKED_MODELS" in error.reasons[0]


@pytest.mark.parametrize("pattern", ["org/tin", "other/*", "tiny"])
def test_a_model_that_no_pattern_names_is_not_blocked(pattern):
    admitted(*named(WEIGHTS), blocked_models=pattern)


def test_only_an_allowed_source_may_deliver():
    admitted(*named(WEIGHTS), allowed_sources=f"https://other.example, {HUB}")
    error = refusal(*named(WEIGHTS), allowed_sources="https://other.example")
    assert error.reasons == (f"its source {HUB} is not among ENHANCED_MODEL_ADMISSION_ALLOWED_SOURCES",)


@pytest.mark.parametrize("path", ["setup.exe", "a/SETUP.EXE", "x.dll", "run.bat", "x.safetensors.scr"])
def test_programs_for_windows_are_refused_by_default(path):
    assert "is of the blocked type" in refusal(*named(WEIGHTS, path)).reasons[0]
    admitted(*named(WEIGHTS, path), blocked_file_types="none")


def test_only_allowed_file_types_enter():
    admitted(*named(WEIGHTS, CONFIG), allowed_file_types="safetensors,json")
    error = refusal(*named(WEIGHTS, "LICENSE", "a.txt"), allowed_file_types="safetensors,json")
    assert error.reasons == (
        "LICENSE is of the type without an ending, which is not allowed",
        "a.txt is of the type .txt, which is not allowed",
    )


def test_a_refusal_by_policy_says_where_the_rules_are():
    advice = refusal(*named(WEIGHTS), blocked_models="org/*").advice
    assert advice == ("The rules are the settings ENHANCED_MODEL_ADMISSION_*; `availability settings` shows them.",)


def test_everything_that_is_refused_is_told_at_once():
    files = named("a.bin", "b.exe", size=6 * GB)
    policy = {"blocked_models": "org/*", "allowed_sources": "https://other.example", "max_file_gb": 5}
    assert len(refusal(*files, max_model_gb=10, **policy).reasons) == 7


# --- pickles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "pytorch_model.bin",
        "a/b.PT",
        "x.pth",
        "x.ckpt",
        "x.pkl",
        "x.pickle",
        "x.joblib",
        "x.nemo",
        "x.mar",
        "optimizer.dill",
    ],
)
def test_these_can_hold_a_pickle(path):
    assert can_hold_pickle(path)


@pytest.mark.parametrize(
    "path", [WEIGHTS, "model.gguf", "a.onnx", "openvino_model.bin", "ggml-model.bin", "x.onnx.bin", "bin", "x.binary"]
)
def test_these_cannot(path):
    assert not can_hold_pickle(path)


@pytest.mark.parametrize("weights", [WEIGHTS, "model.gguf", "onnx/model.onnx"])
def test_a_pickle_is_left_out_where_safe_weights_stand_in_for_it(weights):
    choice = admitted(*named(CONFIG, "pytorch_model.bin", weights))
    assert [file.path for file in choice.files] == [CONFIG, weights]
    assert choice.left_out == (("pytorch_model.bin", "a pickle, for which safe weights stand in"),)


def test_a_pickle_without_a_stand_in_is_refused_and_it_is_told_how_to_allow_it():
    error = refusal(*named(CONFIG, "pytorch_model.bin"))
    assert error.reasons == (
        "pytorch_model.bin can hold a pickle, which runs code when it is loaded, and no safetensors stand in for it",
    )
    assert error.advice == (
        "If you trust it, set ENHANCED_MODEL_ADMISSION_PICKLE_POLICY to scan (needs the extra 'pickle') or to allow.",
        "Or leave the pickles out, for example with --exclude '*.bin'.",
        "The rules are the settings ENHANCED_MODEL_ADMISSION_*; `availability settings` shows them.",
    )


@pytest.mark.parametrize("policy", ["scan", "allow"])
def test_a_pickle_may_enter_where_the_policy_says_so(policy):
    files = named(CONFIG, "pytorch_model.bin", WEIGHTS)
    assert admitted(*files, pickle_policy=policy) == Choice(files)

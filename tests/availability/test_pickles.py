"""The law of pickles: under the policy `scan`, nothing that would run code when it is loaded gets through.

The malicious ones are real: loading one would run a command. Nothing here loads them.
"""

import importlib.util
import io
import os
import pickle
import zipfile
from collections import OrderedDict

import pytest

from availability.errors import UnsafeModelError
from availability.model import ModelId
from availability.pickles import check_pickles
from availability.settings import AdmissionSettings
from tests.builders import random_bytes, run_program

MODEL = ModelId("org/tiny")
NAME = "pytorch_model.bin"
TORCH_MAGIC = 0x1950A86A20F9469CFC6C


class RunsCommand:
    def __reduce__(self):
        return os.system, ("true",)


class Evaluates:
    def __reduce__(self):
        return eval, ("1 + 1",)


def pickled(value):
    return pickle.dumps(value, protocol=2)


def zipped(content):
    """Return a checkpoint as torch writes it today."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", random_bytes(100))
    return file.getvalue()


def legacy(content):
    """Return a checkpoint as torch wrote it before 1.6: pickles one after the other, then raw storages."""
    head = [pickled(value) for value in (TORCH_MAGIC, 1001, {"little_endian": True})]
    return b"".join([*head, content, pickled(["0"]), random_bytes(300)])


WEIGHTS = pickled(OrderedDict(bias=[1.0, 2.0]))
RUNS = pickled(RunsCommand())


def scan(tmp_path, contents, policy="scan"):
    places = {}
    for index, (path, content) in enumerate(contents.items()):
        # As the road does: a blob is named by its digest and has no ending.
        places[path] = tmp_path / f"{index:064x}"
        places[path].write_bytes(content)
    check_pickles(MODEL, places, AdmissionSettings(pickle_policy=policy))


def refusal(tmp_path, contents):
    with pytest.raises(UnsafeModelError) as caught:
        scan(tmp_path, contents)
    return caught.value


@pytest.mark.parametrize("form", [bytes, zipped, legacy], ids=["plain", "zip", "legacy"])
@pytest.mark.parametrize("name", [NAME, "MODEL.BIN", "model.pt", "model.ckpt"])
def test_weights_that_are_only_weights_pass(tmp_path, form, name):
    scan(tmp_path, {name: form(WEIGHTS)})


@pytest.mark.parametrize("form", [bytes, zipped, legacy], ids=["plain", "zip", "legacy"])
@pytest.mark.parametrize(
    ("value", "told"), [(RunsCommand(), f"{os.system.__module__}.system"), (Evaluates(), "__builtin__.eval")]
)
def test_what_would_run_code_is_refused_and_named(tmp_path, form, value, told):
    error = refusal(tmp_path, {"config.json": b"{}", NAME: form(pickled(value))})
    assert error.reasons == (f"{NAME} would run {told} when it is loaded",)
    assert error.model_id == "org/tiny"
    assert "Do not load this model" in error.advice[0]


def test_a_pickle_that_is_cut_off_is_still_read_for_what_it_would_run(tmp_path):
    assert "would run" in refusal(tmp_path, {"x.pkl": RUNS[:-3]}).reasons[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.pkl", WEIGHTS[:-3]), (NAME, zipped(WEIGHTS)[:-30])],
    ids=["cut off pickle", "cut off zip"],
)
def test_what_cannot_be_scanned_is_refused(tmp_path, name, content):
    assert "cannot be scanned for pickles" in refusal(tmp_path, {name: content}).reasons[0]


@pytest.mark.parametrize("content", [b"", random_bytes(500), b"hello\n"], ids=["empty", "raw numbers", "text"])
def test_a_file_that_only_has_the_ending_of_a_pickle_passes(tmp_path, content):
    scan(tmp_path, {NAME: content})


def test_every_bad_file_is_told(tmp_path):
    error = refusal(tmp_path, {"a.pt": zipped(RUNS), "b.bin": zipped(WEIGHTS), "c.pkl": RUNS})
    assert [reason.split()[0] for reason in error.reasons] == ["a.pt", "c.pkl"]


def test_files_of_other_kinds_are_not_scanned(tmp_path):
    scan(tmp_path, {"model.safetensors": RUNS, "model.gguf": RUNS})


@pytest.mark.parametrize("policy", ["allow", "refuse"])
def test_only_the_policy_scan_scans(tmp_path, policy):
    scan(tmp_path, {NAME: RUNS}, policy)


def test_without_the_scanner_pickles_are_refused_and_it_is_told_how_to_get_it():
    # A process of its own, in which the extra is not to be found.
    assert importlib.util.find_spec("picklescan")
    program = f"""
import sys
sys.modules["picklescan"] = None
from pathlib import Path
from availability.errors import UnsafeModelError
from availability.model import ModelId
from availability.pickles import check_pickles
from availability.settings import AdmissionSettings
policy = AdmissionSettings(pickle_policy="scan")
check_pickles(ModelId("org/tiny"), {{"config.json": Path("nowhere")}}, policy)
try:
    check_pickles(ModelId("org/tiny"), {{{NAME!r}: Path("nowhere")}}, policy)
except UnsafeModelError as error:
    print(error.message, *error.advice)
"""
    told = run_program(program)
    assert "1 pickles must be scanned and the scanner is not installed" in told
    assert "enhanced-model-availability[pickle]" in told

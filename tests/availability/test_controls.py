"""The law of the downloads' records: what one process records, any other reads."""

from dataclasses import replace

import pytest

from availability.controls import Controls, DownloadRecord, DownloadState
from availability.model import ModelId
from availability.selection import Selection
from availability.transfer.meter import Progress

MODEL = ModelId("org/tiny")
PROGRESS = Progress("downloading", 100, 40, 55, 12.5, 4.8, 2, "retry in 5 s")
RECORD = DownloadRecord("id-1", "org/tiny", "main", "high", DownloadState.DOWNLOADING, PROGRESS, 1.5, 2.25)


@pytest.fixture
def controls(tmp_path):
    return Controls(tmp_path / "controls")


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, progress=None),
        replace(RECORD, state=DownloadState.FAILED, reason="the disk is full"),
        replace(RECORD, revision="refs/pr/1"),
        replace(RECORD, selection=Selection(("*.json",), ("a", "b"), "fp16"), runner="ann", limit_mbps=2.5),
    ],
    ids=["running", "no plan yet", "failed", "a revision with a slash", "a selection and a limit"],
)
def test_what_is_read_is_what_was_written(controls, record):
    controls.write(record)
    assert controls.read(record.model) == record


@pytest.mark.parametrize("state", DownloadState)
def test_every_state_comes_back_as_itself(controls, state):
    controls.write(replace(RECORD, state=state))
    assert controls.read(MODEL).state is state


def test_a_living_process_is_expected_behind_these_states_only():
    assert [state.value for state in DownloadState if state.is_active] == ["queued", "downloading", "verifying"]


def test_revisions_and_models_have_records_of_their_own(controls):
    names = [("org/tiny", "main"), ("org/tiny", "v1"), ("org/other", "main"), ("org/tiny", "feature/x")]
    for repo_id, revision in names:
        controls.write(replace(RECORD, repo_id=repo_id, revision=revision))
    assert {(record.repo_id, record.revision) for record in controls.all()} == set(names)


def test_there_is_none_before_one_was_written(controls):
    assert controls.read(MODEL) is None
    assert [*controls.all()] == []


def test_what_a_download_may_still_write_is_what_is_not_done():
    assert RECORD.outstanding_bytes == 60
    assert replace(RECORD, progress=None).outstanding_bytes == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b'"x"', b"7", b'{"state": "downloading"}', b'{"download_id": "id-1"}', b"\xff"],
    ids=repr,
)
def test_a_damaged_record_is_no_record(controls, content):
    controls.write(RECORD)
    for path in controls._root.iterdir():
        path.write_bytes(content)
    assert controls.read(MODEL) is None
    assert [*controls.all()] == []


def test_a_record_of_a_later_format_is_no_record(controls):
    controls.write(RECORD)
    (path,) = controls._root.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"priority"', b'"urgency"'))
    assert controls.read(MODEL) is None


def test_a_state_nobody_knows_is_no_record(controls):
    controls.write(RECORD)
    (path,) = controls._root.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"state": "downloading"', b'"state": "dreaming"'))
    assert controls.read(MODEL) is None


def test_a_model_that_is_forgotten_has_no_record_and_forgetting_twice_is_no_error(controls):
    controls.write(RECORD)
    controls.forget(MODEL)
    controls.forget(MODEL)
    assert controls.read(MODEL) is None

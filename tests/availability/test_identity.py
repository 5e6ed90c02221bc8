"""The law of identity: what a model must be is said by whoever is trusted most, and never by nobody."""

from dataclasses import dataclass, field, replace

import pytest

from availability.errors import (
    AccessDeniedError,
    GatedModelError,
    ModelNotFoundError,
    OfflineError,
    RateLimitedError,
    RevisionNotFoundError,
    SourceUnavailableError,
    UnsafeModelError,
    UnverifiableError,
)
from availability.identity import CLIENT, find_listing
from availability.model import Commit, Listing, ModelId
from availability.record import SnapshotRecord
from availability.settings import load_settings
from availability.workspace import Workspace
from service.snapshots import find_snapshot
from tests.builders import CONFIG, file_record, listing_of, write_tiny_model

MODEL = ModelId("org/tiny")
FILES = (file_record(b"what the hub says", CONFIG, lfs=False),)
AWAY = SourceUnavailableError("the hub is down")

CANNOT_SAY = [
    AWAY,
    RateLimitedError("slowly", retry_after_seconds=None),
    OfflineError("switched off"),
    ModelNotFoundError("org/tiny"),
    RevisionNotFoundError("org/tiny", "main"),
    AccessDeniedError("no"),
    GatedModelError("no"),
]


class Hub:
    """A source that says one thing about every model, and remembers what it was asked."""

    name = "hub"

    def __init__(self, answer=None):
        self.answer = answer
        self.asked = []

    def listing(self, model):
        self.asked.append(model)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Listing(model, Commit("e" * 40), FILES, self.name)

    def open(self, *_):
        raise NotImplementedError


@dataclass(frozen=True)
class Place(Workspace):
    """A workspace whose source is handed in."""

    source: Hub = field(default_factory=Hub)


@pytest.fixture
def place(tmp_path):
    settings = load_settings(
        {"storage.models_directory": tmp_path / "store", "storage.cache_directory": tmp_path / "state"},
        env={},
        dotenv=None,
    )

    def make(answer=None):
        return Place(settings, None, Hub(answer))

    return make


@pytest.fixture
def commit(tmp_path):
    """The commit of a model that another client has put into the store."""
    return Commit(write_tiny_model(tmp_path / "store"))


def forget_client_listing(here, commit):
    here.store.client_listing(MODEL, commit).unlink()


def test_of_a_model_that_is_not_here_the_hub_is_asked_for_the_revision(place):
    here = place()
    model = ModelId("org/tiny", "v1")
    assert find_listing(here, model) == Listing(model, Commit("e" * 40), FILES, "hub")
    assert here.source.asked == [model]


def test_a_pointer_without_a_snapshot_is_no_model(place, commit):
    here = place()
    here.store.snapshot(MODEL, commit).rename(here.store.folder(MODEL) / "snapshots" / ("f" * 40))
    find_listing(here, MODEL)
    assert here.source.asked == [MODEL]


def test_what_we_recorded_is_believed_and_nobody_is_asked(place, commit):
    here = place(AWAY)
    recorded = listing_of(file_record(b"recorded", CONFIG), commit=commit)
    here.records.write(SnapshotRecord(recorded))
    assert find_listing(here, MODEL) == recorded
    assert here.source.asked == []


def test_of_what_stands_here_the_hub_is_asked_for_that_very_commit(place, commit):
    here = place()
    assert find_listing(here, MODEL) == Listing(MODEL, commit, FILES, "hub")
    assert here.source.asked == [ModelId("org/tiny", commit)]


def test_a_damaged_record_is_no_record(place, commit):
    here = place()
    here.records.write(SnapshotRecord(listing_of(file_record(b"recorded", CONFIG), commit=commit)))
    next(here.records.root.rglob("*.json")).write_bytes(b"{")
    assert find_listing(here, MODEL).origin == "hub"


@pytest.mark.parametrize("error", CANNOT_SAY, ids=lambda error: type(error).__name__)
def test_when_the_hub_cannot_say_the_clients_record_is_believed(place, commit, error):
    here = place(error)
    told = find_listing(here, MODEL)
    assert (told.model, told.commit, told.origin) == (MODEL, commit, CLIENT)
    assert {file.path: file for file in told.files} == dict(
        find_snapshot(str(here.store.root), "org/tiny", commit).files
    )


def test_a_listing_that_the_hub_is_refused_for_is_not_replaced_by_another(place, commit):
    refused = UnsafeModelError("org/tiny", ["too many files"])
    with pytest.raises(UnsafeModelError) as caught:
        find_listing(place(refused), MODEL)
    assert caught.value is refused
    assert commit


@pytest.mark.parametrize(
    "error",
    [error for error in CANNOT_SAY if not isinstance(error, SourceUnavailableError)],
    ids=lambda e: type(e).__name__,
)
def test_when_nobody_can_ever_say_it_is_unverifiable_and_that_is_said(place, commit, error):
    here = place(error)
    forget_client_listing(here, commit)
    with pytest.raises(UnverifiableError, match=f"is in the store at commit {commit}") as caught:
        find_listing(here, MODEL)
    assert error.message in caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize("error", CANNOT_SAY[:2], ids=lambda error: type(error).__name__)
def test_when_nobody_can_say_just_now_it_can_pass(place, commit, error):
    here = place(error)
    forget_client_listing(here, commit)
    with pytest.raises(SourceUnavailableError) as caught:
        find_listing(here, MODEL)
    assert caught.value is error


@pytest.mark.parametrize("error", CANNOT_SAY, ids=lambda error: type(error).__name__)
def test_of_a_model_that_is_not_here_the_hubs_error_is_the_answer(place, error):
    with pytest.raises(type(error)) as caught:
        find_listing(place(error), MODEL)
    assert caught.value is error


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"format_version": 2, "files": {}}',
        b'{"format_version": 1}',
        b'{"format_version": 1, "files": []}',
        b'{"format_version": 1, "files": {"a": "b"}}',
        b'{"format_version": 1, "files": {"a": {"size": 1}}}',
        b"\xff",
    ],
    ids=repr,
)
def test_a_damaged_record_of_the_client_is_no_record(place, commit, content):
    here = place(OfflineError("switched off"))
    here.store.client_listing(MODEL, commit).write_bytes(content)
    with pytest.raises(UnverifiableError):
        find_listing(here, MODEL)


def test_one_commit_under_two_names_is_told_under_the_name_that_was_asked(place, commit):
    here = place(AWAY)
    model = replace(MODEL, revision="v1")
    here.store.prepare(model)
    here.store.point(model, commit)
    assert find_listing(here, model).model == model

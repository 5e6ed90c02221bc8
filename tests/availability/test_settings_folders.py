"""The law of the folders: store and state stay apart, and development never shares them with production."""

from pathlib import Path

import pytest
from huggingface_hub import constants, scan_cache_dir

from availability.errors import SettingsError
from availability.record import SnapshotRecord
from availability.settings import PROFILES, claim_folders, effective, load_settings
from availability.workspace import Workspace
from tests.builders import file_record, listing_of


@pytest.fixture(autouse=True)
def empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(overrides=None, **env):
    return load_settings(overrides, env=env, dotenv=None)


def refusal(overrides=None, **env):
    with pytest.raises(SettingsError) as caught:
        load(overrides, **env)
    return caught.value


# --- store, hub and catalog -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "store"),
    [
        ({"HF_HUB_CACHE": "/a/cache", "HF_HOME": "/a/home"}, "/a/cache"),
        ({"HF_HOME": "/a/home"}, "/a/home/hub"),
        ({"HF_HUB_CACHE": ""}, constants.HF_HUB_CACHE),
        ({}, constants.HF_HUB_CACHE),
        ({"HF_HUB_CACHE": "/a/cache", "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": "/b"}, "/b"),
    ],
    ids=["the cache", "the home", "an empty variable", "nothing", "our own setting"],
)
def test_the_store_is_the_clients_cache_unless_named(env, store):
    storage = load(**env).storage
    assert storage.models_directory == Path(store)
    assert storage.cache_directory == Path(store + ".availability")


def test_a_borrowed_value_tells_whose_it_is():
    values = effective(env={"HF_HOME": "/a/home"}, dotenv=None).values
    store = next(value for value in values if value.name == "storage.models_directory")
    assert store.origin == "environment (HF_HOME)"


def test_the_hub_is_the_clients_unless_named():
    assert load().hub.endpoint == constants.ENDPOINT
    assert load(HF_ENDPOINT="https://mirror.example/").hub.endpoint == "https://mirror.example"
    ours = load(HF_ENDPOINT="https://mirror.example", ENHANCED_MODEL_HUB_ENDPOINT="http://peer:1")
    assert ours.hub.endpoint == "http://peer:1"


def test_the_catalog_counts_as_chosen_only_when_named(tmp_path):
    assert load().catalog == tmp_path / "deployments/catalog.yaml"
    assert not load().catalog_was_chosen
    assert load(ENHANCED_MODEL_CATALOG="mine.yaml").catalog_was_chosen


@pytest.mark.parametrize(("store", "state"), [("s", "s"), ("s", "s/state"), ("s/store", "s"), ("s", "link/state")])
def test_store_and_state_are_never_one_inside_the_other(tmp_path, store, state):
    (tmp_path / "s").mkdir()
    (tmp_path / "link").symlink_to("s")
    error = refusal({"storage.models_directory": store, "storage.cache_directory": state})
    assert "neither inside the store" in error.message


# --- development ----------------------------------------------------------------------------------------

DEVELOPMENT = {"ENHANCED_MODEL_PROFILE": "development"}


def test_development_has_its_own_values(tmp_path):
    settings = load(HF_HUB_CACHE="/real", HF_ENDPOINT="https://real.example", **DEVELOPMENT)
    assert settings.storage.models_directory == tmp_path / ".local/development/store"
    assert settings.storage.cache_directory == tmp_path / ".local/development/state"
    assert settings.hub.endpoint == PROFILES["development"]["hub.endpoint"]
    assert (settings.debug, settings.log_level, settings.storage.max_storage_gb) == (True, "DEBUG", 10)


def test_a_store_named_in_development_takes_its_state_beside_it(tmp_path):
    assert load({"storage.models_directory": "made"}, **DEVELOPMENT).storage.cache_directory == (
        tmp_path / "made.availability"
    )


def fill(folder):
    (folder / "models--org--name").mkdir(parents=True)


def test_development_goes_on_with_the_store_it_made(tmp_path):
    for env in (DEVELOPMENT, {**DEVELOPMENT, "ENHANCED_MODEL_STORAGE_MODELS_DIRECTORY": str(tmp_path / "mine")}):
        settings = load(**env)
        claim_folders(settings)
        fill(settings.storage.models_directory)
        assert load(**env) == settings


def test_development_refuses_a_store_it_did_not_make(tmp_path):
    fill(tmp_path / "real")
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/development").symlink_to(tmp_path)
    for store in ("real", ".local/development/real"):
        message = refusal({"storage.models_directory": store}, **DEVELOPMENT).message
        assert "expected a folder that is new, empty or was made by the profile development" in message


def test_development_refuses_a_state_that_knows_a_model_of_production():
    listing = listing_of(file_record(b"weights"))
    begun, recorded = (Workspace(load({"storage.models_directory": name})) for name in ("begun", "recorded"))
    begun.begun.keep(listing)
    recorded.records.update(listing.model, listing.commit, lambda _: SnapshotRecord(listing))
    for state in (begun.state, recorded.state):
        message = refusal({"storage.models_directory": "new", "storage.cache_directory": state}, **DEVELOPMENT).message
        assert "expected a folder that knows no model or was made by the profile development" in message


@pytest.mark.parametrize("named", ["storage.models_directory", "storage.cache_directory"])
def test_production_refuses_what_development_made(named):
    claim_folders(load({named: "made"}, **DEVELOPMENT))
    assert "the profile development did not make" in refusal({named: "made"}).message
    default = PROFILES["development"][named]
    assert "the profile development did not make" in refusal({named: default}).message


def test_claiming_leaves_nothing_in_the_store_that_the_client_warns_about():
    settings = load({"storage.models_directory": "made"}, **DEVELOPMENT)
    claim_folders(settings)
    assert list(settings.storage.models_directory.iterdir()) == []
    assert not scan_cache_dir(settings.storage.models_directory).warnings


def test_claiming_in_production_creates_both_folders_and_no_marker(tmp_path):
    claim_folders(load({"storage.models_directory": "store"}))
    assert {path.name for path in tmp_path.iterdir()} == {"store", "store.availability"}

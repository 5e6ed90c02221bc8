"""The law of who is in a chain: settings, catalog and registry say so, in one order, and secrets are never settings."""

from textwrap import dedent

import pytest

from availability import open_workspace
from availability.catalog import load_catalog
from availability.errors import SettingsError
from availability.model import ModelId
from availability.registry import Extension, ExtensionSettings, sources
from availability.sources.assembly import Assembly
from availability.sources.context import SecretReference, secret_of
from availability.sources.standings import Standings
from tests.availability.sources.shelves import Shelf

BASE = {"hub.endpoint": "http://hub.test", "sources.mirrors": "http://m1.test,http://m2.test"}
MODEL = ModelId("org/tiny")


class KeySettings(ExtensionSettings):
    key: SecretReference


@pytest.fixture
def registered():
    """Register a source for one test."""
    names = []

    def register(name, make, **more):
        sources.add(Extension(name, make, **more))
        names.append(name)

    yield register
    for name in names:
        sources.remove(name)


@pytest.fixture
def assembled(tmp_path):
    def assemble(catalog="version: 1\nmodels: []\n", configuration="{}", **said):
        (tmp_path / "catalog.yaml").write_text(dedent(catalog))
        (tmp_path / "sources.yaml").write_text(configuration)
        own = {name.replace("__", "."): value for name, value in said.items()}
        more = {"storage.models_directory": tmp_path / "store", "sources.configuration": tmp_path / "sources.yaml"}
        settings = open_workspace({**BASE, **more, **own}).settings
        return Assembly(settings, load_catalog(tmp_path / "catalog.yaml", required=True), Standings(None))

    return assemble


def names(assembly, model=MODEL):
    return [member.name for member in assembly.members(model)]


def test_twins_come_first_then_replicas_peers_mirrors_and_the_hub(assembled, tmp_path):
    assembly = assembled(sources__replicas=str(tmp_path / "copy"), sources__peers="http://p.test")
    assert names(assembly) == ["local", str(tmp_path / "copy"), "p.test", "m1.test", "m2.test", "hub.test"]
    assert [member.name for member in assembly.members(MODEL) if member.is_trusted] == ["hub.test"]


def test_the_order_is_a_setting_and_who_is_not_named_follows(assembled):
    assert names(assembled(sources__order="hub,mirror")) == ["hub.test", "m1.test", "m2.test", "local"]


def test_a_model_of_the_catalog_has_sources_of_its_own(assembled):
    catalog = """
        version: 1
        models:
          - id: org/tiny
            sources:
              mirrors: ["http://own.test"]
    """
    assembly = assembled(catalog)
    assert names(assembly) == ["local", "own.test", "hub.test"]
    assert names(assembly, ModelId("org/other")) == ["local", "m1.test", "m2.test", "hub.test"]


def test_a_source_outside_the_allowed_ones_is_not_asked_and_that_is_told(assembled):
    assembly = assembled(admission__allowed_sources="http://m2.test")
    assert names(assembly) == ["local", "m2.test", "hub.test"]
    assert "ENHANCED_MODEL_ADMISSION_ALLOWED_SOURCES" in assembly.problems["m1.test"].sentence


def test_an_added_source_takes_part_untrusted_by_its_priority(assembled, registered):
    registered("shelf", lambda _context, _settings: Shelf("mine"), priority=50)
    assembly = assembled(sources__order="twin")
    assert names(assembly) == ["local", "mine", "m1.test", "m2.test", "hub.test"]
    assert not next(member for member in assembly.members(MODEL) if member.name == "mine").is_trusted


def test_where_the_hub_is_last_an_added_source_is_asked_before_it_and_else_where_it_is_named(assembled, registered):
    registered("shelf", lambda _context, _settings: Shelf("mine"), priority=-50)
    assert names(assembled()) == ["local", "m1.test", "m2.test", "mine", "hub.test"]
    assert names(assembled(sources__order="shelf,hub"))[:2] == ["mine", "local"]
    assert names(assembled(sources__order="shelf,hub,twin"))[:2] == ["mine", "hub.test"]


def test_a_secret_is_looked_up_and_never_written_down(assembled, registered, monkeypatch):
    def make(context, settings):
        return Shelf(f"shelf of {len(context.secret(settings.key))}")

    registered("shelf", make, priority=50, settings=KeySettings)
    monkeypatch.setenv("SHELF_KEY", "12345")
    assert "shelf of 5" in names(assembled(configuration="shelf: {key: env:SHELF_KEY}"))
    plain = assembled(configuration="shelf: {key: 12345-plain}")
    assert "shelf of 5" not in names(plain)
    assert "key: String should match" in plain.problems["shelf"].sentence
    assert "plain" not in plain.problems["shelf"].sentence
    absent = assembled(configuration="shelf: {key: env:NOT_THERE}")
    assert len(names(absent)) == 4
    assert "the variable NOT_THERE is not set" in absent.problems["shelf"].sentence


def test_where_no_server_is_asked_a_block_cannot_be_read_and_that_is_said():
    with pytest.raises(SettingsError, match="only a flow can read"):
        secret_of("block:my-key")


@pytest.mark.parametrize("content", ["[1]", "shelf: 1", "{", "shelf"])
def test_a_configuration_that_is_none_is_refused_with_its_name(assembled, content):
    with pytest.raises(SettingsError, match=r"sources\.yaml cannot be used"):
        assembled(configuration=content)

"""The law of the documents: they say what the definitions say, and the example is the defaults."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from availability.catalog import load_catalog
from availability.settings import ECOSYSTEM, Settings, definitions, load_settings
from deployments.documents import ROOT, documents, example, main, settings_page, stale


def test_the_documents_in_the_repository_are_fresh():
    assert stale(ROOT) == "", "run: python -m deployments.documents"


def test_the_page_tells_every_setting_and_every_borrowed_variable():
    named = re.findall(r"^\| `([A-Z_]+)`", settings_page(), flags=re.MULTILINE)
    assert {*named} == {item.env_name for item in (*definitions(), *ECOSYSTEM)}


def test_the_page_does_not_depend_on_the_machine(monkeypatch, tmp_path):
    pages = documents()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert documents() == pages
    assert str(Path.home()) not in "".join(pages.values())


def test_every_setting_has_a_sentence_and_bounds():
    assert [item.name for item in definitions() if not (item.sentence.endswith(".") and item.bounds)] == []


def test_the_example_uncommented_is_the_defaults(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text(re.sub(r"^# (?=ENHANCED_MODEL_)", "", example(), flags=re.MULTILINE), encoding="utf-8")
    assert dotenv.read_text().count("\nENHANCED_MODEL_") == len(definitions())
    assert load_settings(env={}, dotenv=dotenv, strict=True) == Settings()


def test_check_shows_a_diff_and_fails_until_the_documents_are_made(tmp_path):
    run = CliRunner().invoke
    stale_run = run(main, ["--check", "--root", str(tmp_path)])
    assert stale_run.exit_code == 1
    assert "+# Settings" in stale_run.output
    assert run(main, ["--root", str(tmp_path)]).exit_code == 0
    fresh = run(main, ["--check", "--root", str(tmp_path)])
    assert (fresh.exit_code, fresh.output) == (0, "")


@pytest.mark.parametrize("path", documents())
def test_a_changed_document_is_stale(tmp_path, path):
    CliRunner().invoke(main, ["--root", str(tmp_path)])
    (tmp_path / path).write_text((tmp_path / path).read_text().replace("0", "7", 1), encoding="utf-8")
    assert str(path) in stale(tmp_path)


def test_the_default_catalog_is_good():
    assert len(load_catalog(ROOT / "deployments/catalog.yaml")) >= 1

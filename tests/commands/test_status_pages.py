"""The law of a long list: pages part the models, the figures are of all of them, and names go without pages."""

import pytest

from tests.builders import write_tiny_model
from tests.commands.running import run

NAMES = [f"org/m{number}" for number in range(5)]


@pytest.fixture
def store(tmp_path):
    for name in NAMES:
        write_tiny_model(tmp_path / "store", name, weights_bytes=1000)
    (tmp_path / "catalog.yaml").write_text("version: 1\nmodels: []\n")
    return tmp_path / "store"


@pytest.fixture(autouse=True)
def empty_catalog(store, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_CATALOG", str(store.parent / "catalog.yaml"))


def status(store, *arguments):
    return run("status", "--store", store, "--json", *arguments)


@pytest.mark.parametrize(("page", "names"), [(1, NAMES[:2]), (2, NAMES[2:4]), (3, NAMES[4:]), (4, [])])
def test_a_page_shows_its_models_and_the_figures_of_all(store, page, names):
    ran = status(store, "--page", page, "--page-size", 2)
    assert [model["model_id"] for model in ran.models] == names
    assert (ran.summary["models"], ran.summary["missing"], ran.summary["page"], ran.summary["pages"]) == (5, 5, page, 3)
    assert ran.exit_code == ran.summary["exit_code"] == 1


def test_without_pages_all_are_shown_and_the_age_is_said(store):
    ran = status(store)
    assert ([model["model_id"] for model in ran.models], ran.summary["pages"]) == (NAMES, 1)
    assert 0 <= ran.summary["age_seconds"] < 60


def test_people_are_told_which_page_it_is(store):
    assert "(page 2 of 3)" in run("status", "--store", store, "--page", 2, "--page-size", 2).stdout


def test_a_refresh_says_the_same(store):
    assert status(store, "--refresh").models == status(store).models


@pytest.mark.parametrize("option", [("--page", 1), ("--page-size", 5), ("--refresh",)], ids=lambda option: option[0])
def test_names_go_without_pages(store, option):
    assert status(store, *option, NAMES[0]).exit_code == 2


@pytest.mark.parametrize("option", ["--page", "--page-size"])
def test_pages_are_counted_from_one(store, option):
    assert status(store, option, 0).exit_code == 2

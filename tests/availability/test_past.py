"""The law of what the history says of models: plain figures from a file that may be absent, damaged or old."""

from datetime import UTC, datetime

import pytest

from availability import status, status_all
from availability.catalog import Priority, load_catalog
from availability.model import ModelId
from availability.past import UNKNOWN, ModelPast, write_past
from availability.requests import Request, most_needed_first, requests_for
from availability.selection import Selection
from availability.settings import load_settings
from availability.workspace import Workspace
from tests.builders import until

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
FIGURES = {"uses_per_day": 2.5, "success_rate": 0.5, "last_used": 1_700_000_000.25, "waiting": 0.0, "loads": 7.0,
           "load_seconds": 1.5, "baseline_loads": 9.0, "baseline_seconds": 1.25}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("version: 1\nmodels:\n" + "".join(f"  - id: org/{name}\n" for name in ("a", "b", "c", "d", "e")))
    overrides = {"storage.models_directory": tmp_path / "store", "catalog": catalog}
    return Workspace(load_settings(overrides, env={}, dotenv=None))


def remember(here, **told):
    write_past(here.past.path, {f"org/{name}": figures for name, figures in told.items()}, NOW)


def test_figures_come_back_as_they_were_told(here):
    remember(here, name=FIGURES, other={"uses_per_day": None})
    assert here.past.of("org/name") == ModelPast(**FIGURES)
    assert here.past.of("org/other") == UNKNOWN
    assert here.past.of("org/unknown") == UNKNOWN
    assert here.past.as_of == NOW.timestamp()


@pytest.mark.parametrize("damage", [b"", b"no columns", None], ids=["empty", "something else", "a byte flipped"])
def test_a_file_that_cannot_be_read_says_nothing(here, damage):
    remember(here, name=FIGURES)
    path = here.past.path
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content if damage is None else damage)
    assert here.past.of("org/name") == UNKNOWN
    assert here.past.as_of is None


def test_a_newer_file_is_read_by_who_has_read_the_one_before(here):
    assert here.past.of("org/name") == UNKNOWN
    remember(here, name=FIGURES)
    until(lambda: here.past.of("org/name") != UNKNOWN)


def test_a_status_tells_what_is_known_and_null_where_nothing_is(here):
    remember(here, a=FIGURES, b={"uses_per_day": 0.0})
    told = status("org/a", workspace=here).as_dict()
    assert (told["uses_per_day"], told["last_used"]) == (2.5, "2023-11-14T22:13:20.250000+00:00")
    assert told["performance_score"] == round(1.25 / 1.5, 4)
    told = status("org/b", workspace=here).as_dict()
    assert (told["uses_per_day"], told["last_used"], told["performance_score"]) == (0.0, None, None)
    told = status("org/c", workspace=here).as_dict()
    assert (told["uses_per_day"], told["last_used"], told["performance_score"]) == (None, None, None)


def test_the_status_of_all_tells_it_too(here):
    remember(here, a=FIGURES)
    told = {str(one.model): one.as_dict()["uses_per_day"] for one in status_all(workspace=here).statuses}
    assert told == {"org/a": 2.5, "org/b": None, "org/c": None, "org/d": None, "org/e": None}


def test_a_model_that_only_the_history_knows_is_listed_if_somebody_could_use_it(here):
    used = {"uses_per_day": 1.0, "success_rate": 1.0}
    write_past(
        here.past.path,
        {"org/used": used, "org/failed": {**used, "success_rate": 0.0}, "/mnt/a path": used, "org/a": used,
         "org/old": {"uses_per_day": 0.0, "success_rate": None}},
        NOW,
    )  # fmt: skip
    names = [str(one.model) for one in status_all(workspace=here).statuses]
    assert names == ["org/a", "org/b", "org/c", "org/d", "org/e", "org/used"]


@pytest.mark.parametrize(
    ("loads", "now", "before", "slower_by"),
    [((5, 5), 3.0, 2.0, 0.5), ((5, 5), 1.0, 2.0, -0.5), ((4, 9), 3.0, 2.0, None), ((9, 4), 3.0, 2.0, None),
     ((5, 5), 3.0, 0.0, None), ((None, 5), None, 2.0, None)],
    ids=["slower", "faster", "too few now", "too few before", "no time before", "none now"],
)  # fmt: skip
def test_a_model_is_slower_than_before_only_if_enough_was_reported(loads, now, before, slower_by):
    past = ModelPast(loads=loads[0], load_seconds=now, baseline_loads=loads[1], baseline_seconds=before)
    assert past.slower_by == slower_by


def test_what_is_needed_most_comes_first(here):
    catalog = load_catalog(here.settings.catalog)
    remember(here, b={"uses_per_day": 1.0}, c={"uses_per_day": 3.0}, d={"waiting": 2.0}, e={"waiting": 0.0})
    requests, _ = requests_for(here, catalog, [])
    assert not any(request.asked for request in requests)
    urgent = Request(ModelId("org/urgent"), Selection(), Priority.HIGH)
    ordered = most_needed_first(here, catalog, [*requests, urgent])
    assert [str(request.model) for request in ordered] == ["org/urgent", "org/d", "org/c", "org/b", "org/a", "org/e"]

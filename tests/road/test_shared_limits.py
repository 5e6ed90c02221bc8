"""What processes share they keep together: one speed, and one budget of requests, whoever comes and goes."""

import pytest

from availability import pause
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import KIB, MIB, WEIGHTS, until
from tests.road.ground import Ground
from tests.road.travellers import Traveller

MANY = ["org/many1", "org/many2", "org/many3"]
LARGE = ["org/large1", "org/large2", "org/large3"]
LIMIT_MBPS = 4
FILES = 80
RATION = Fault("ration", "/resolve/", by=100, seconds=2.0)
"""Less than half of what all of them ask for, so that they meet it more than once."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    for seed, model in enumerate(MANY):
        write_model(store, model, {f"{index}.json": 100 + index for index in range(FILES)}, seed=seed)
    for seed, model in enumerate(LARGE):
        write_model(store, model, {WEIGHTS: 3 * MIB}, seed=seed)
    return store


@pytest.fixture
def hub(models):
    with FaultyHub(models) as server:
        yield server


def set_out(ground, models):
    return [Traveller(ground.all_settings(), model, ground.root / f"answer{n}") for n, model in enumerate(models)]


def refusals(hub):
    return [record for record in hub.requests if record.status == 429]


def test_a_fleet_that_shares_its_state_is_never_refused_by_a_hub_that_counts(hub, tmp_path):
    hub.faults.append(RATION)
    ground = Ground(hub, tmp_path)
    told = [traveller.outcome() for traveller in set_out(ground, MANY)]
    assert all(one["success"] and one["attempts"] == 1 for one in told), told
    assert refusals(hub) == []
    assert hub.count("/resolve/") == len(MANY) * FILES
    ground.assert_honest()


def test_one_that_is_refused_tells_the_others(hub, tmp_path):
    ground = Ground(hub, tmp_path)
    ground.workspace().claim()
    hub.faults.append(Fault("status", "/resolve/", times=1, status=429, headers={"Retry-After": "2"}))
    told = [traveller.outcome() for traveller in set_out(ground, MANY)]
    assert all(one["success"] and one["attempts"] == 1 for one in told), told
    assert len(refusals(hub)) == 1


def test_processes_keep_one_speed_limit_together(hub, tmp_path):
    ground = Ground(hub, tmp_path, {"download.bandwidth_limit_mbps": LIMIT_MBPS})
    travellers = set_out(ground, LARGE)
    told = {model: {} for model in LARGE}

    def have_all_told(times=4):
        for record in ground.workspace().controls.all():
            if record.progress is not None:
                told[str(record.model)][record.updated_at] = record.progress.bytes_fetched
        return all(len(one) >= times for one in told.values())

    until(have_all_told)
    spans = [(min(one), max(one)) for one in told.values()]
    arrived = sum(one[last] - one[first] for one, (first, last) in zip(told.values(), spans, strict=True))
    seconds = max(last for _, last in spans) - min(first for first, _ in spans)
    assert 0 < arrived <= LIMIT_MBPS * 1e6 / 8 * seconds + 64 * KIB
    for model in LARGE:
        pause(model, workspace=ground.workspace())
    assert all(not traveller.outcome()["success"] for traveller in travellers)

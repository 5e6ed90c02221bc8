"""A process may be killed at any moment: nothing unverified is ever visible, and the next run comes to the end."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from shutil import disk_usage
from tempfile import TemporaryDirectory

import pytest

from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, KIB, MIB, NESTED, WEIGHTS, until
from tests.road.ground import Ground
from tests.road.travellers import Traveller, killed_at_change

SMALLEST, LARGE, MANY = "org/smallest", "org/large", "org/many"
LINE = Fault("shape", r"/resolve/", bytes_per_second=24 * MIB)
RANDOM_KILLS = 50
ROOM_BYTES = 1024 * MIB
LEAST_CHANGES = 60
"""A run makes more than these; fewer would say that they are not seen any more."""
KILLS_A_STORE = 10
WITHIN_SECONDS = {SMALLEST: 0.2, LARGE: 0.7, MANY: 0.4}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    write_model(store, SMALLEST, {CONFIG: b"{}\n", NESTED: b"a\n", WEIGHTS: MIB + 17})
    write_model(store, LARGE, {CONFIG: b"{}\n", WEIGHTS: 18 * MIB + 17})
    write_model(store, MANY, {f"{index % 5}/{index}.json": 8 * KIB + index for index in range(40)})
    return store


@pytest.fixture
def folder(tmp_path):
    """A folder in memory, where there is one: SIGKILL does not ask what is on the disk, and fsync costs nothing."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or disk_usage(memory).free < ROOM_BYTES:
        yield tmp_path
        return
    with TemporaryDirectory(prefix="availability-kills-", dir=memory) as made:
        yield Path(made)


@pytest.fixture
def line(models):
    with FaultyHub(models, faults=[LINE]) as hub:
        yield hub


@pytest.fixture
def slow_line(models):
    with FaultyHub(models, faults=[Fault("shape", r"/resolve/", bytes_per_second=6 * MIB)]) as hub:
        yield hub


def assert_comes_to_the_end(ground, model):
    outcome = ground.ensure(model)
    assert outcome.success, outcome.error
    ground.assert_honest()
    left = list(ground.store.glob("models--*/.staging/*"))
    assert not left, f"left behind: {left}"


@pytest.mark.slow
def test_it_may_be_killed_before_any_change_of_the_disk(line, folder):
    def was_killed(number):
        ground = Ground(line, folder / str(number))
        ground.root.mkdir()
        answer = ground.root / "answer"
        traveller = Traveller(ground.all_settings(), SMALLEST, answer, prepare=killed_at_change(number))
        assert traveller.wait()
        ground.assert_honest()
        assert_comes_to_the_end(ground, SMALLEST)
        return traveller.was_killed

    kills, at_once = 0, 6
    with ThreadPoolExecutor(at_once) as pool:
        while all(pool.map(was_killed, range(kills + 1, kills + 1 + at_once))):
            kills += at_once
    assert kills >= LEAST_CHANGES


@pytest.mark.slow
def test_it_may_be_killed_at_random_moments(line, folder):
    random, kills, stores = Random(20_240_501), 0, 0
    while kills < RANDOM_KILLS:
        stores += 1
        ground = Ground(line, folder / str(stores))
        ground.root.mkdir()
        model = random.choice([SMALLEST, LARGE, LARGE, MANY])
        for _ in range(KILLS_A_STORE):
            traveller = Traveller(ground.all_settings(), model, folder / "answer")
            ended = traveller.wait(random.uniform(0, WITHIN_SECONDS[model]))
            kills += traveller.kill()
            ground.assert_honest()
            if ended:
                assert traveller.outcome()["success"]
                break
        assert_comes_to_the_end(ground, model)


def test_what_has_arrived_before_a_kill_is_not_sent_again(slow_line, folder):
    """How little it costs in all is measured by `benchmarks.kills`; here a busy machine may lag behind the line."""
    ground, size, cuts = Ground(slow_line, folder), 18 * MIB, 6
    for index in range(cuts):
        traveller = Traveller(ground.all_settings(), LARGE, folder / "answer")
        until(lambda: slow_line.bytes_sent("/resolve/") >= size * (index + 1) / (cuts + 1))  # noqa: B023  called here
        assert traveller.kill()
        ground.assert_honest()
    assert_comes_to_the_end(ground, LARGE)
    assert slow_line.bytes_sent("/resolve/") <= 1.3 * size

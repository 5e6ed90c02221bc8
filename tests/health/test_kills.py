"""A repair may be killed at any moment: nothing gets worse, and the next one comes to the end."""

import multiprocessing
from pathlib import Path
from random import Random
from time import sleep

import pytest

# The process that is forked finds these modules loaded.
import availability.mending
import availability.sources.hub  # noqa: F401
from availability import open_workspace
from availability.mending import repair_model
from availability.model import parse_model_id
from deployments.injections import overwrite_region, truncate, write_page
from service.faults import Fault
from tests.builders import CONFIG, MIB, WEIGHTS

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
_KILLS = 15
_WITHIN_SECONDS = 0.5


def _repair(settings, model):
    repair_model(open_workspace(settings), parse_model_id(model))


@pytest.mark.slow
def test_a_repair_killed_at_random_moments_converges(shelf):
    random, killed = Random(11), 0
    shelf.hub.faults.append(Fault("shape", r"/resolve/", bytes_per_second=24 * MIB))
    settings = {name: str(v) if isinstance(v, Path) else v for name, v in shelf.settings().items()}
    while killed < _KILLS:
        overwrite_region(shelf.target(), random)
        (truncate if killed % 2 else write_page)(shelf.target(CONFIG if killed % 3 else WEIGHTS), random)
        process = _CONTEXT.Process(target=_repair, args=(settings, str(shelf.model)))
        process.start()
        sleep(random.uniform(0, _WITHIN_SECONDS))  # the moment is what is tried
        process.kill()
        process.join()
        killed += process.exitcode == -9
        if killed % 5 == 0:
            assert shelf.repair().success
            assert shelf.is_right()
            assert shelf.check().is_intact
            assert not list((shelf.root / "store").glob("models--*/.staging/*"))


def test_a_repair_waits_for_another_and_then_has_nothing_to_do(shelf):
    shelf.flip(5)
    settings = {name: str(v) if isinstance(v, Path) else v for name, v in shelf.settings().items()}
    processes = [_CONTEXT.Process(target=_repair, args=(settings, str(shelf.model))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert shelf.hub.bytes_sent(WEIGHTS) == MIB
    assert shelf.is_right()

"""Whatever two or three sources do at once, a model ends verified or with the chain's error, and nothing is mixed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from random import Random

import pytest

from availability.model import ModelId
from service.faults import FaultyHub
from tests.builders import MIB, write_tiny_model
from tests.road.ground import Ground, unused_port
from tests.road.source_faults import FAILURES, MORE_FAILURES, Failure

MODEL = "org/one"
QUICK = {
    "download.stall_seconds": 3,
    "sources.answer_seconds": 3,
    "download.max_server_wait_seconds": 0,
    "sources.cool_down_seconds": 1,
}
RANDOM = Random(6)
TRIPLES = [tuple(RANDOM.choices(MORE_FAILURES, k=3)) for _ in range(40)]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A model of a small file and one of just more than a chunk."""
    store = tmp_path_factory.mktemp("published")
    write_tiny_model(store, MODEL, weights_bytes=MIB + 17)
    return store


@pytest.fixture(scope="module")
def walked(one, tmp_path_factory):
    """Walk all chains side by side, because most of their time they wait; give the outcomes of some.

    All have ended before the first test, because each test changes the environment, which the walks read.
    """
    with ThreadPoolExecutor(20) as pool:
        under_way = {
            names(failures): pool.submit(walk, failures, one, tmp_path_factory.mktemp("chain"))
            for failures in (*product(FAILURES, repeat=2), *TRIPLES)
        }
    return lambda chains: [under_way[names(failures)].result() for failures in chains]


def names(failures):
    return tuple(failure.name for failure in failures)


def walk(failures: Sequence[Failure], published, folder):
    """Ensure a model from mirrors and a hub that fail in these ways; the last one is the hub."""
    *mirrors, hub = failures
    with ExitStack() as stack:
        serving = [stack.enter_context(FaultyHub(published, faults=failure.faults)) for failure in mirrors]
        urls = [
            f"http://127.0.0.1:{unused_port()}" if failure.is_dead else server.url
            for failure, server in zip(mirrors, serving, strict=True)
        ]
        trusted = stack.enter_context(FaultyHub(published, faults=hub.faults))
        ground = Ground(trusted, folder, QUICK | {"sources.mirrors": ",".join(urls)})
        if hub.is_dead:
            # It was there when the download began.
            workspace = ground.workspace()
            workspace.begun.keep(workspace.source.listing(ModelId(MODEL)))
            trusted.close()
        outcome = ground.ensure(MODEL)
        ground.assert_honest()
        return outcome, [*urls, trusted.url]


def check(failures, outcome, urls):
    """Hold an outcome against what its sources can do; two that fail in different places may serve together."""
    hub = failures[-1]
    said = f"{[failure.name for failure in failures]}: {outcome.error}"
    is_honest = not hub.binds and not any(failure.lies for failure in failures)
    must = any(failure.is_steady for failure in failures)
    must |= is_honest and any(failure.serves for failure in failures)
    assert outcome.success or not must, said
    if outcome.success:
        return
    if hub.binds and type(outcome.error).__name__ in ("FileNotServedError", "RevisionNotFoundError"):
        return
    told = outcome.error.message + " ".join(outcome.error.tried)
    assert all(url.removeprefix("http://") in told for url in urls), said


@pytest.mark.parametrize("first", FAILURES, ids=lambda failure: failure.name)
def test_of_two_sources_whichever_can_serve_does_and_else_both_are_named(walked, first):
    pairs = [(first, second) for second in FAILURES]
    for failures, (outcome, urls) in zip(pairs, walked(pairs), strict=True):
        check(failures, outcome, urls)


def test_of_three_sources_whichever_can_serve_does(walked):
    for failures, (outcome, urls) in zip(TRIPLES, walked(TRIPLES), strict=True):
        check(failures, outcome, urls)

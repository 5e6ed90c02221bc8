"""How often it is tried, how long it waits, and what it says when there is nobody to ask."""

import time

import pytest

from availability import ensure_models
from service.faults import Fault, FaultyHub
from tests.builders import MIB
from tests.road.ground import FIRST_PAGE, LARGE, MODEL, REVISION, SMALL, Ground, silent_server, unused_port

# --- nobody to ask --------------------------------------------------------------------------------------


def test_a_hub_that_is_down_is_named_with_what_to_do(ground):
    endpoint = f"http://127.0.0.1:{unused_port()}"
    outcome = ground.ensure(hub__endpoint=endpoint)
    assert type(outcome.error).__name__ == "DownloadFailedError"
    assert any(endpoint in line for line in outcome.error.advice)
    assert outcome.error.tried
    ground.assert_honest()


def test_a_hub_that_listens_and_says_nothing_is_given_up(ground):
    with silent_server() as endpoint:
        outcome = ground.ensure(hub__endpoint=endpoint, download__stall_seconds=1)
    assert type(outcome.error).__name__ == "DownloadFailedError"
    ground.assert_honest()


def test_a_hub_that_goes_down_in_the_middle_and_comes_back_costs_nothing_twice(published, tmp_path):
    breaks_off = Fault("reset", LARGE, times=1, after=2 * MIB), Fault("status", LARGE, skip=1)
    with FaultyHub(published, faults=breaks_off) as hub:
        assert not Ground(hub, tmp_path).ensure().success
        port = hub.server_address[1]
    gone = Ground(hub, tmp_path).ensure()
    assert type(gone.error).__name__ == "DownloadFailedError"
    with FaultyHub(published, port=port) as back:
        ground = Ground(back, tmp_path)
        again = ground.ensure()
        assert again.success, again.error
        assert again.bytes_fetched <= again.bytes_total - 2 * MIB
        ground.assert_honest()


# --- how often ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", [REVISION, SMALL, LARGE], ids=["listing", "small file", "large file"])
@pytest.mark.parametrize("retries", [0, 1])
def test_max_retries_are_retries_and_none_means_one_attempt(ground, route, retries):
    ground.hub.faults.append(Fault("status", route))
    outcome = ground.ensure(download__max_retries=retries)
    assert outcome.attempts == retries + 1
    assert outcome.error.retry_count == outcome.total_retries == retries
    assert len([line for line in outcome.error.tried if line.startswith("attempt ")]) == retries + 1
    # An attempt reconnects three times where bytes come, and no more.
    assert ground.hub.count(route) == (retries + 1) * (1 if route == REVISION else 4)


def test_retries_wait_as_long_as_the_settings_say(ground):
    ground.hub.faults.append(Fault("status", REVISION, times=2))
    began = time.monotonic()
    outcome = ground.ensure(download__max_retries=2)
    assert (outcome.success, outcome.attempts) == (True, 3)
    assert time.monotonic() - began >= 2.0


# --- what the server asks for ---------------------------------------------------------------------------


@pytest.mark.parametrize("route", [REVISION, FIRST_PAGE, SMALL, LARGE], ids=["revision", "tree", "small", "large"])
def test_nobody_asks_again_before_the_server_allows_it(ground, route):
    ground.hub.faults.append(Fault("status", route, times=1, status=429, headers={"Retry-After": "1"}))
    began = time.monotonic()
    outcome = ground.ensure()
    assert (outcome.success, outcome.attempts) == (True, 1)
    assert time.monotonic() - began >= 1.0
    assert ground.hub.count(route) == 2


@pytest.mark.parametrize("route", [REVISION, LARGE], ids=["listing", "large file"])
def test_what_the_server_asks_for_is_shown_while_it_is_waited_for(ground, route):
    ground.hub.faults.append(Fault("status", route, times=1, status=429, headers={"Retry-After": "1"}))
    told = []
    ensure_models([MODEL], on_progress=lambda _, now: told.append(now.waiting), workspace=ground.workspace())
    assert any(why and "429" in why and "1 s" in why for why in told), set(told)


@pytest.mark.parametrize("route", [REVISION, LARGE], ids=["listing", "large file"])
def test_waiting_for_the_server_is_bounded_in_all(ground, route):
    ground.hub.faults.append(Fault("status", route, status=429, headers={"Retry-After": "1"}))
    outcome = ground.ensure(download__max_server_wait_seconds=2)
    assert not outcome.success
    # Asked, waited a second, asked, waited a second, asked: and the two seconds are over.
    assert ground.hub.count(route) == 3


@pytest.mark.parametrize("route", [REVISION, LARGE], ids=["listing", "large file"])
def test_a_wait_that_is_longer_than_allowed_is_not_begun(ground, route):
    ground.hub.faults.append(Fault("status", route, status=429, headers={"Retry-After": "3600"}))
    outcome = ground.ensure(download__max_server_wait_seconds=1)
    assert not outcome.success
    assert ground.hub.count(route) == 1

"""The law of standings: what is seen is added up, breakers open, cool down and try, and all processes share it."""

import json
import multiprocessing
from dataclasses import replace
from time import time

import pytest

from availability.errors import (
    AccessDeniedError,
    DownloadIntegrityError,
    FileNotServedError,
    OfflineError,
    RateLimitedError,
    SourceUnavailableError,
)
from availability.sources.account import Account, BreakerPolicy
from availability.sources.standing import Circuit, Freshness, Standing, Tally
from availability.sources.standings import Standings
from tests.builders import MIB

NAME = "mirror.example:8080/hf"
DOWN = SourceUnavailableError("it is down", kind="unreachable")
LIE = DownloadIntegrityError("wrong", path="a", expected="b", got="c")
QUICK = BreakerPolicy(max_failures=3, cool_down_seconds=60)


@pytest.fixture
def changes():
    return []


@pytest.fixture
def account(changes):
    return Account(NAME, policy=QUICK, on_change=changes.append)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "sources"


# --- breakers -------------------------------------------------------------------------------------------


def test_failures_in_a_row_open_it_and_that_is_told_once(account, changes):
    for _ in range(QUICK.max_failures):
        assert account.breaker.may_be_asked
        account.failed(DOWN)
    assert not account.breaker.may_be_asked
    account.failed(DOWN)
    assert [(change.state, change.cause) for change in changes] == [("open", "it is down")]


def test_a_success_between_failures_keeps_it_closed(account):
    for _ in range(10):
        account.failed(DOWN)
        account.succeeded()
    assert account.breaker.is_closed


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (RateLimitedError("slowly", retry_after_seconds=1), {"rate_limited": 10}),
        (FileNotServedError("no"), {"absent": 10}),
        (AccessDeniedError("no"), {"refused": 10}),
        (OfflineError("off"), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_failure_of_the_source_opens_nothing(account, error, counted):
    for _ in range(10):
        account.failed(error)
    assert account.breaker.is_closed
    assert account.standing.errors == counted


def test_one_strike_opens_it_at_once(account, changes):
    account.failed(LIE)
    assert not account.breaker.may_be_asked
    assert (account.standing.strikes, [change.strikes for change in changes]) == (1, [1])


def opened(seconds_ago, strikes_in_a_row=0):
    circuit = Circuit("open", time() - seconds_ago, "it was down")
    return Standing(strikes=strikes_in_a_row, strikes_in_a_row=strikes_in_a_row, circuit=circuit)


@pytest.mark.parametrize(
    ("strikes", "seconds", "expected"),
    [(0, 59, False), (0, 61, True), (1, 61, False), (1, 121, True), (3, 470, False), (3, 490, True)],
)
def test_it_stays_open_for_twice_as_long_with_each_strike_in_a_row(strikes, seconds, expected):
    account = Account(NAME, opened(seconds, strikes), QUICK)
    assert account.breaker.may_be_asked is expected


def test_it_never_stays_open_for_more_than_a_day():
    assert not Account(NAME, opened(86_000, 100), QUICK).breaker.may_be_asked
    assert Account(NAME, opened(86_500, 100), QUICK).breaker.may_be_asked


def test_after_it_has_cooled_down_one_request_tries_and_closes_it(changes):
    account = Account(NAME, opened(61), QUICK, changes.append)
    account.asked()
    assert not account.breaker.may_be_asked, "one tries, and the others wait for how it ends"
    account.succeeded()
    assert account.breaker.is_closed
    assert [change.state for change in changes] == ["closed"]


def test_a_try_that_fails_keeps_it_open_for_as_long_again(changes):
    account = Account(NAME, opened(61), QUICK, changes.append)
    account.asked()
    account.failed(DOWN)
    assert not account.breaker.may_be_asked
    assert account.standing.circuit.state == "open"
    assert time() - account.standing.circuit.changed_at < 30
    assert changes == []


def test_a_large_file_that_is_proven_ends_the_row_of_strikes(account):
    account.failed(LIE)
    account.failed(LIE)
    assert account.standing.strikes_in_a_row == 2
    account.proven(MIB, is_large=False)
    assert account.standing.strikes_in_a_row == 2
    account.proven(MIB, is_large=True)
    assert (account.standing.strikes, account.standing.strikes_in_a_row) == (2, 0)


def test_a_strike_takes_the_credit_away(account):
    account.proven(100 * MIB, is_large=True)
    account.failed(LIE)
    account.proven(MIB, is_large=True)
    assert account.credit_bytes == account.standing.credit_bytes == MIB
    assert account.standing.bytes_proven == 101 * MIB


# --- keeping --------------------------------------------------------------------------------------------


def test_nothing_is_written_until_it_is_saved(root):
    account = Standings(root).account(NAME)
    for _ in range(100):
        account.asked()
        account.sent(MIB, 0.1)
        account.failed(LIE)
    assert not root.exists()


def test_what_was_seen_is_there_for_the_next_process(root):
    standings = Standings(root, QUICK)
    account = standings.account(NAME)
    account.asked()
    account.answered(0.02)
    account.sent(10 * MIB, 1.0)
    account.proven(9 * MIB, is_large=True)
    account.failed(DOWN)
    account.failed(LIE)
    account.compared(Freshness(5.0, 3, 1, 2.0))
    standings.save()
    standing = Standings(root).account(NAME).standing
    assert standing == account.standing
    assert (standing.requests, standing.bytes_received, standing.bytes_proven) == (1, 10 * MIB, 9 * MIB)
    assert standing.errors == {"unreachable": 1, "wrong_bytes": 1}
    assert (standing.latency_seconds, standing.bytes_per_second) == (0.02, 10 * MIB)
    assert (standing.strikes, standing.freshness, standing.circuit.state) == (1, Freshness(5.0, 3, 1, 2.0), "open")


def test_an_open_breaker_is_open_for_the_next_process_and_for_those_that_run(root):
    one, other = (Standings(root, QUICK) for _ in range(2))
    seen = other.account(NAME)
    one.account(NAME).failed(LIE)
    one.save()
    assert not Standings(root, QUICK).account(NAME).breaker.may_be_asked
    assert seen.breaker.may_be_asked
    other.save()
    assert not seen.breaker.may_be_asked
    assert seen.credit_bytes == 0


def test_a_breaker_that_another_process_has_opened_is_not_told_again(root, changes):
    one, other = Standings(root, QUICK), Standings(root, QUICK, changes.append)
    other.account(NAME)
    one.account(NAME).failed(LIE)
    one.save()
    other.save()
    assert changes == []


def _count(root, times):
    standings = Standings(root)
    for _ in range(times):
        standings.account(NAME).asked()
        standings.save()


def test_processes_that_save_at_once_lose_nothing(root):
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_count, args=(root, 40)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert Standings(root).read(NAME).requests == 120


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"format": 99}', b'{"format": 1, "name": "x"}'], ids=repr
)
def test_a_record_that_cannot_be_understood_is_begun_anew(root, content):
    standings = Standings(root)
    standings.account(NAME).asked()
    standings.save()
    (path,) = root.glob("*.json")
    path.write_bytes(content)
    assert Standings(root).read(NAME) == Standing()
    standings.account(NAME).asked()
    standings.save()
    assert Standings(root).read(NAME).requests == 1


def test_a_disk_that_takes_no_record_fails_nothing(root):
    root.write_bytes(b"a file where a folder belongs")
    standings = Standings(root)
    standings.account(NAME).asked()
    standings.save()
    assert standings.account(NAME).standing.requests == 1


@pytest.mark.parametrize(
    "name", ["../../x", "s3://bucket/models", "x" * 500, "ö/ä:1"], ids=["up", "url", "long", "letters"]
)
def test_any_name_has_a_file_of_its_own(root, name):
    standings = Standings(root)
    standings.account(name).asked()
    standings.account(f"{name}2").asked()
    standings.save()
    assert len([*root.glob("*.json")]) == 2
    assert {json.loads(path.read_bytes())["name"] for path in root.glob("*.json")} == {name, f"{name}2"}


# --- as data --------------------------------------------------------------------------------------------


def test_what_is_not_known_is_null():
    told = Standing().as_dict(now=0.0)
    assert {name for name, value in told.items() if value is None} == {
        "latency_ms",
        "mib_per_second",
        "last_success_at",
        "last_error_at",
        "last_error",
        "models_compared",
        "models_behind",
        "seconds_behind",
    }


def test_how_far_behind_is_the_time_since_it_fell_behind():
    standing = replace(Standing(), freshness=Freshness(50.0, 4, 1, 40.0))
    assert standing.as_dict(now=100.0)["seconds_behind"] == 60.0
    assert Standing().after(Tally(freshness=Freshness(5.0, 4, 0))).as_dict(100.0)["seconds_behind"] is None

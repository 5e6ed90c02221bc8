"""The law of the history's recording end: one id for one fact, and nothing of it ever reaches who records."""

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from analytics import events
from analytics.schemas import judge, read_lines
from availability.history import Attempt, Fact, History, event_id
from availability.spool import SPOOL_NAME, hash_user, read_salt
from tests.builders import run_program

STORE = Path("/models")
REQUEST = Fact("request", {"model_id": "org/name", "success": True, "error_kind": None}, about="org/name")
RUN = Attempt("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", 1)


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "state" / SPOOL_NAME


def lines(spool):
    return [line for segment in sorted(spool.glob("*.jsonl")) for line in segment.read_bytes().splitlines()]


def rows(spool):
    return [json.loads(line) for line in lines(spool)]


def test_a_fact_is_kept_with_its_time_its_run_its_machine_and_its_store(spool):
    History(spool, STORE, now=lambda: 1_700_000_000.5).record([REQUEST])
    (row,) = rows(spool)
    assert UUID(row.pop("event_id"))
    assert UUID(row.pop("run_id"))
    host = os.uname().nodename
    assert row == {
        "event_time": 1_700_000_000_500_000,
        "kind": "request",
        "model_id": "org/name",
        "success": True,
        "host": host,
        "store": f"{host}:/models",
    }


def test_what_is_recorded_passes_the_door(spool):
    attempts = iter([None, RUN])
    history = History(spool, STORE, attempt=lambda: next(attempts))
    history.record([REQUEST, Fact("storage", {"size_bytes": 1, "details": {"path": STORE}})])
    history.record([REQUEST, Fact("control", {"action": 'quote " and \\ and \n', "actor": "é"}, user="somebody")])
    judged = judge(read_lines(lines(spool)), datetime.now(UTC))
    assert judged.rejected == ()
    assert judged.accepted["event_id"].n_unique() == 4


def test_whoever_shares_the_state_calls_the_store_by_one_name(spool):
    History(spool, STORE).record([REQUEST])
    History(spool, Path("/mounted/elsewhere")).record([REQUEST])
    assert len({row["store"] for row in rows(spool)}) == 1


@pytest.mark.parametrize(
    ("attempt", "sequence"),
    [(RUN, "org/name"), (Attempt("r", None, 2), ""), (Attempt("r"), "a#1")],
    ids=["in a task", "between tasks", "of an unknown count"],
)
def test_an_id_within_a_run_is_the_one_that_the_reading_end_would_give(attempt, sequence):
    theirs = events.event_id(attempt.run_id, attempt.task_run_id, attempt.run_count, "check", sequence)
    assert event_id(attempt, "check", sequence) == theirs


def test_a_resend_has_the_same_ids_and_a_second_attempt_others(spool):
    def ids(attempt):
        History(spool, STORE, attempt=lambda: attempt).record([REQUEST, REQUEST])
        return [row["event_id"] for row in rows(spool)[-2:]]

    first = ids(RUN)
    assert len({*first}) == 2  # the same thing twice in one attempt is two things
    assert ids(RUN) == first
    assert not {*ids(Attempt(RUN.run_id, RUN.task_run_id, 2))} & {*first}


def test_ids_do_not_depend_on_the_order_in_which_threads_tell(tmp_path):
    facts = [Fact("finding", {"model_id": "org/name", "error_kind": "x"}, about=f"file-{n}") for n in range(40)]

    def ids(folder, order):
        history = History(folder, STORE, attempt=lambda: RUN)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda fact: history.record([fact]), order))
        return {row["event_id"] for row in rows(folder)}

    assert ids(tmp_path / "one", facts) == ids(tmp_path / "two", reversed(facts))
    assert len(ids(tmp_path / "three", facts)) == len(facts)


def test_outside_of_runs_every_fact_has_an_id_of_its_own_even_in_a_child_made_by_fork(spool):
    History(spool, STORE).record([REQUEST] * 3)
    run_program(
        """
import os, sys
from pathlib import Path
from availability.history import Fact, History
history = History(Path(sys.argv[1]), Path("/models"))
fact = Fact("request", {"model_id": "org/name", "success": True})
history.record([fact])
if not os.fork():
    history.record([fact] * 3)
    os._exit(0)
os.wait()
history.record([fact] * 3)
""",
        spool,
    )
    ids = [row["event_id"] for row in rows(spool)]
    assert len(ids) == len({*ids}) == 10


def test_switched_off_nothing_is_written_and_nothing_is_looked_at(spool):
    looked = []
    History(spool, STORE, is_on=False).record(looked.append(fact) for fact in [REQUEST])
    assert looked == []
    assert not spool.parent.exists()


@pytest.mark.parametrize(
    "facts",
    [[None], [REQUEST, 7], (1 / 0 for _ in "x"), [Fact("x", {("a",): 1})]],
    ids=["no fact", "a fact and none", "they cannot be told", "a field that has no name"],
)
def test_whatever_is_wrong_with_facts_is_one_warning(spool, facts, caplog):
    history = History(spool, STORE)
    with caplog.at_level(logging.WARNING):
        history.record(facts)
        history.record([None])
    assert [record.message.partition(":")[0] for record in caplog.records] == ["Something was not recorded"]


def test_a_wrong_fact_takes_none_with_it_that_was_told_before(spool):
    History(spool, STORE).record([REQUEST, None])
    assert [row["kind"] for row in rows(spool)] == ["request"]


def test_a_state_folder_that_is_not_ours_costs_one_warning_and_no_error(open_folder):
    shown = run_program(
        """
import logging, sys
from pathlib import Path
from availability.history import Fact, History
become_nobody()
logging.basicConfig(stream=sys.stdout)
history = History(Path(sys.argv[1]) / "spool", Path("/models"))
for _ in range(3):
    history.record([Fact("request", {"model_id": "org/name", "success": True})])
print("went on")
""",
        open_folder,
    ).splitlines()
    assert [line.partition(":")[0] for line in shown] == ["WARNING", "went on"]


def test_a_user_is_recorded_as_a_hash_only(spool):
    History(spool, STORE).record([Fact("request", {"model_id": "org/name", "success": True}, user="alice")])
    (row,) = rows(spool)
    assert row["user_hash"] == hash_user("alice", read_salt(spool))
    assert b"alice" not in b"".join(lines(spool))


def test_beyond_its_bound_facts_are_refused_and_those_before_stay(spool, caplog):
    history = History(spool, STORE, max_bytes=2000)
    for _ in range(20):
        history.record([REQUEST])
    assert 0 < len(rows(spool)) < 10
    assert sum(segment.stat().st_size for segment in spool.glob("*.jsonl")) <= 2000
    assert len(caplog.records) == 1


def test_many_facts_at_once_are_as_many_whole_lines(spool):
    History(spool, STORE).record(REQUEST for _ in range(2000))
    assert len({row["event_id"] for row in rows(spool)}) == 2000

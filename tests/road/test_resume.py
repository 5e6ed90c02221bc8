"""A run goes on where the one before has ended, whatever has changed meanwhile, and fetches only what is not there."""

import hashlib
import os
from pathlib import Path

import pytest

from availability import ensure_models
from availability.digests import CHUNK_BYTES
from availability.ensure import plan_one
from availability.model import parse_model_id
from availability.requests import Request
from availability.selection import Selection
from availability.transfer.frontier import Frontier
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, MIB, NESTED, WEIGHTS, flipped, stored_bytes, until
from tests.road.ground import LARGE, MODEL, REVISION, SMALL, Ground, size_of

KEPT = 4 * MIB
SIZE = 6 * MIB + 17
"""Of the weights: one part, so that it is known what of it has arrived."""

LINE = Fault("shape", LARGE, bytes_per_second=32 * MIB)
BREAKS_OFF = (Fault("reset", LARGE, times=1, after=KEPT), Fault("status", LARGE, skip=1))
"""The first connection ends after a good deal, and no other one brings anything."""


@pytest.fixture
def own(tmp_path):
    """What the hub serves here; a test may publish more."""
    store = tmp_path / "published"
    publish(store)
    return store


@pytest.fixture
def hub(own):
    with FaultyHub(own, faults=[LINE]) as server:
        yield server


@pytest.fixture
def ground(hub, tmp_path):
    return Ground(hub, tmp_path)


@pytest.fixture
def half(ground):
    """A run that has ended with most of the weights in staging."""
    return break_off(ground)


def publish(store, *, seed=0, config=b"{}\n"):
    return write_model(store, MODEL, {CONFIG: config, NESTED: b"a\nb\n", WEIGHTS: SIZE}, seed=seed)


def break_off(ground):
    ground.hub.faults.extend(BREAKS_OFF)
    outcome = ground.ensure()
    assert type(outcome.error).__name__ == "DownloadFailedError", outcome.error
    for fault in BREAKS_OFF:
        ground.hub.faults.remove(fault)
    assert ground.store.joinpath("models--org--tiny/blobs").is_dir()
    ground.assert_honest()
    return outcome


def part_of(ground) -> Path:
    (part,) = ground.store.glob("models--org--tiny/.staging/*.part")
    return part


def assert_verified(ground, **more):
    outcome = ground.ensure(**more)
    assert outcome.success, outcome.error
    ground.assert_honest()
    return outcome


def test_only_the_rest_is_fetched(ground, half):
    assert half.bytes_fetched >= KEPT
    again = assert_verified(ground)
    assert again.bytes_fetched <= SIZE - KEPT + MIB
    assert ground.sent() <= 1.05 * size_of(ground.hub)


def test_the_plan_counts_what_has_arrived(ground, half):
    told = []
    again = ensure_models([MODEL], on_progress=lambda _, progress: told.append(progress), workspace=ground.workspace())
    assert again[0].success, again[0].error
    assert half.bytes_total == size_of(ground.hub)
    assert told[-1].bytes_done == told[-1].bytes_total == half.bytes_total
    assert all(progress.bytes_done >= KEPT for progress in told if progress.bytes_total)


@pytest.mark.usefixtures("half")
def test_a_hub_that_ignores_ranges_spoils_nothing_of_a_half_finished_file(ground):
    ground.hub.faults.append(Fault("ignore_range", LARGE))
    again = assert_verified(ground)
    assert again.attempts == 1


@pytest.mark.usefixtures("half")
def test_416_deletes_nothing(ground):
    refused = Fault("unsatisfiable", LARGE)
    ground.hub.faults.append(refused)
    assert not ground.ensure().success
    ground.assert_honest()
    ground.hub.faults.remove(refused)
    assert assert_verified(ground).bytes_fetched <= SIZE - KEPT + MIB


@pytest.mark.usefixtures("half")
def test_content_under_another_etag_is_fetched_anew(ground):
    ground.hub.faults.append(Fault("etag", LARGE))
    again = assert_verified(ground)
    assert again.bytes_fetched >= SIZE


@pytest.mark.usefixtures("half")
def test_a_revision_that_moved_meanwhile_is_fetched_as_it_is_now_and_what_is_unchanged_is_kept(ground, own):
    moved = publish(own, config=b'{"new": true}\n')
    again = assert_verified(ground)
    assert again.commit == moved
    assert again.bytes_fetched <= SIZE - KEPT + MIB, "the weights are the same and were begun"
    assert (again.path / CONFIG).read_bytes() == b'{"new": true}\n'


@pytest.mark.usefixtures("half")
def test_a_file_that_changed_meanwhile_is_fetched_anew_and_nothing_of_the_old_one_is_in_it(ground, own):
    moved = publish(own, seed=1)
    again = assert_verified(ground)
    assert again.commit == moved
    assert (again.path / WEIGHTS).read_bytes() == stored_bytes(own)


def test_a_revision_that_moves_during_a_run_does_not_mix_with_the_one_that_was_listed(ground, own):
    before = (own / "models--org--tiny/refs/main").read_text()

    class Moving:
        """Publishes another commit as soon as the first one is listed."""

        moved = None

        def __call__(self, page):
            self.moved = self.moved or publish(own, seed=2, config=b"[]\n")
            return page

    ground.hub.faults.append(Fault("rewrite_listing", r"/tree/", rewrite=Moving()))
    outcome = assert_verified(ground)
    assert outcome.commit == before
    assert (own / "models--org--tiny/refs/main").read_text() != before


def test_a_commit_that_vanishes_during_a_run_is_named_and_the_next_run_takes_the_new_one(ground, own):
    gone = Fault("status", LARGE, status=404, headers={"X-Error-Code": "RevisionNotFound"})
    ground.hub.faults.append(gone)
    outcome = ground.ensure()
    assert type(outcome.error).__name__ == "RevisionNotFoundError"
    ground.assert_honest()
    ground.hub.faults.remove(gone)
    moved = publish(own, seed=3)
    assert assert_verified(ground).commit == moved


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("offset", [0, KEPT // 2, KEPT - CHUNK_BYTES - 1])
def test_what_rots_between_two_runs_is_not_published(ground, offset):
    with part_of(ground).open("r+b") as part:
        part.seek(offset)
        byte = part.read(1)
        part.seek(offset)
        part.write(bytes([byte[0] ^ 0xFF]))
    again = assert_verified(ground, download__max_retries=1)
    assert again.attempts == 2


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("kept", [0, MIB, KEPT - 1])
def test_a_part_that_was_cut_short_between_two_runs_is_not_believed(ground, kept):
    os.truncate(part_of(ground), kept)
    assert_verified(ground)


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("journal", [b"", b"{}", b"\0" * 2000], ids=["empty", "without its header", "zeroed"])
def test_a_damaged_journal_is_no_journal(ground, journal):
    (path,) = ground.state.glob("journals/*/*.journal")
    path.write_bytes(journal)
    assert_verified(ground)


def test_a_file_that_is_whole_in_staging_is_proven_again_before_it_is_published(ground):
    refused = Fault("status", SMALL)
    ground.hub.faults.append(refused)
    assert not ground.ensure().success
    ground.hub.faults.remove(refused)
    (staged,) = (path for path in ground.store.glob("models--org--tiny/.staging/*") if path.stat().st_size == SIZE)
    staged.write_bytes(flipped(staged.read_bytes(), MIB))
    ground.assert_honest()
    again = assert_verified(ground)
    assert again.bytes_fetched >= SIZE


def test_a_file_that_is_whole_in_staging_is_not_fetched_again(ground):
    refused = Fault("status", SMALL)
    ground.hub.faults.append(refused)
    first = ground.ensure(download__max_retries=1)
    assert (first.success, first.attempts) == (False, 2)
    ground.hub.faults.remove(refused)
    assert_verified(ground)
    assert ground.sent() <= 1.05 * size_of(ground.hub)


@pytest.mark.usefixtures("half")
def test_what_a_dry_look_sees_of_a_half_finished_file_is_written_nowhere(ground):
    def state():
        return {path: (Path(path).stat().st_mtime_ns, Path(path).stat().st_size) for path in ground.files()}

    before = state()
    made = plan_one(ground.workspace(), Request(parse_model_id(MODEL), Selection()))
    assert made.bytes_to_fetch <= SIZE - KEPT + MIB
    assert state() == before


def test_a_model_that_is_ready_asks_nobody(ground):
    assert_verified(ground)
    ground.hub.reset_counters()
    again = assert_verified(ground)
    assert (again.attempts, again.bytes_fetched, ground.hub.count()) == (0, 0, 0)
    assert ground.hub.count(REVISION) == 0


def test_a_file_that_becomes_shorter_while_it_is_hashed_ends_in_an_error():
    told = []
    frontier = Frontier(
        hashlib.sha256(),
        MIB,
        contiguous=lambda _: MIB,
        read=lambda _offset, _count: b"",
        on_complete=told.append,
        on_error=told.append,
    )
    frontier.follow()
    until(lambda: told)
    frontier.stop()
    assert isinstance(told[0], OSError)

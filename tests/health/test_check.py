"""The law of checking: what is wrong is found by reading, said once and truly, and never forgotten nor invented."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random
from threading import Event
from time import monotonic

import pytest

from availability.catalog import load_catalog
from availability.check import Mode, Order, check_model, check_models, exit_code, stored_or_listed
from availability.findings import FindingKind, Severity
from availability.model import ModelId, parse_model_id
from availability.outcome import ExitCode
from availability.pace import Pace
from deployments.injections import (
    flip_bit,
    overwrite_region,
    truncate,
    write_page,
    write_pointer,
    zero_sector,
    zero_tail,
)
from deployments.sample import write_model
from service.faults import FaultyHub
from tests.builders import CONFIG, MIB, NESTED, WEIGHTS, flipped, random_bytes
from tests.health.ground import Shelf


def kinds(outcome):
    return {finding.file.path: finding.kind.value for finding in outcome.findings}


@pytest.mark.parametrize("from_memory", [False, True], ids=["from the disk", "from memory"])
def test_a_healthy_model_is_read_whole_and_nothing_is_found(shelf, from_memory):
    outcome = shelf.check(pace=Pace(from_memory=from_memory))
    assert outcome.is_intact
    assert outcome.findings == ()
    assert outcome.bytes_read == outcome.bytes_total == sum(shelf.file(p).size for p in (CONFIG, NESTED, WEIGHTS))
    assert (outcome.coverage, outcome.is_complete, outcome.unverified) == (1.0, True, ())
    assert outcome.oldest_check >= outcome.checked_at
    assert shelf.hub.count() == 0
    assert exit_code([outcome]) is ExitCode.OK


LARGE_AND_SMALL = [
    (flip_bit, "flipped_range"),
    (truncate, "truncated"),
    (write_pointer, "lfs_pointer"),
    (write_page, "html_page"),
]
LARGE_ONLY = [(zero_sector, "zeroed_range"), (overwrite_region, "flipped_range"), (zero_tail, "zeroed_range")]


@pytest.mark.parametrize(
    ("injection", "kind", "path"),
    [(*case, WEIGHTS) for case in LARGE_AND_SMALL + LARGE_ONLY] + [(*case, CONFIG) for case in LARGE_AND_SMALL],
)
def test_damage_is_found_though_the_files_time_is_the_same(shelf, injection, kind, path):
    injection(shelf.target(path), Random(3))
    outcome = shelf.check()
    assert kinds(outcome) == {path: kind}
    assert outcome.findings[0].severity is Severity.CRITICAL
    assert shelf.status() == "corrupted"
    assert exit_code([outcome]) is ExitCode.NOT_VERIFIED


def test_a_finding_names_the_damaged_chunks_and_no_others(shelf):
    shelf.flip(2 * MIB + 5)
    shelf.flip(6 * MIB + 3)
    (finding,) = shelf.check().findings
    assert finding.ranges == ((2 * MIB, 3 * MIB), (6 * MIB, 6 * MIB + 17))
    assert finding.as_dict() == {
        "kind": "flipped_range",
        "file": WEIGHTS,
        "ranges": [(2 * MIB, 3 * MIB), (6 * MIB, 6 * MIB + 17)],
        "severity": "critical",
        "cause": "it was overwritten, or the disk rots",
    }


def test_a_finding_holds_only_while_the_file_has_the_signature_it_was_seen_with(shelf):
    shelf.flip(5)
    shelf.check()
    assert shelf.status() == "corrupted"
    shelf.flip(5)
    assert shelf.status() == "corrupted"
    os.utime(shelf.blob())
    assert shelf.status() == "missing"
    assert shelf.check().is_intact
    assert shelf.status() == "available"


def test_a_quick_check_reads_nothing_and_still_knows_what_was_found(shelf):
    shelf.flip(5)
    assert shelf.check(Mode.QUICK).is_intact
    shelf.check()
    outcome = shelf.check(Mode.QUICK)
    assert kinds(outcome) == {WEIGHTS: "flipped_range"}
    assert outcome.bytes_read == 0
    assert "content" not in outcome.checks_performed


def test_a_quick_check_sees_names_links_sizes_and_times(shelf):
    os.truncate(shelf.blob(), MIB)
    shelf.link(CONFIG).unlink()
    os.utime(shelf.blob(NESTED))
    outcome = shelf.check(Mode.QUICK)
    assert kinds(outcome) == {WEIGHTS: "truncated", CONFIG: "missing_file"}
    assert outcome.unverified == (NESTED,)
    assert shelf.status() == "corrupted"


@pytest.mark.parametrize("mode", list(Mode))
def test_links_that_lead_nowhere_or_elsewhere_and_files_that_nobody_lists(shelf, mode):
    shelf.blob(NESTED).unlink()
    shelf.link(CONFIG).unlink()
    shelf.link(CONFIG).symlink_to(f"../../blobs/{shelf.file().digest}")
    (shelf.link().parent / "notes.txt").write_text("mine")
    found = {finding.file.path: finding for finding in shelf.check(mode).findings}
    assert {path: finding.kind for path, finding in found.items()} == {
        NESTED: FindingKind.DANGLING_LINK,
        CONFIG: FindingKind.FOREIGN_FILE,
        "notes.txt": FindingKind.FOREIGN_FILE,
    }
    assert found["notes.txt"].severity is Severity.INFO
    assert found[CONFIG].severity is Severity.CRITICAL
    assert shelf.status() == "corrupted"


def test_a_file_nobody_lists_does_not_make_a_model_sick(shelf):
    (shelf.link().parent / "notes.txt").write_text("mine")
    outcome = shelf.check()
    assert outcome.is_intact
    assert outcome.intact_share == 1.0
    assert shelf.status() == "available"


def test_a_young_result_is_used_again_until_it_is_forced_or_a_file_changes(shelf):
    first = shelf.check(force=False)
    again = shelf.check(force=False)
    assert again.reused
    assert not first.reused
    assert (again.checked_at, again.findings) == (first.checked_at, first.findings)
    assert not shelf.check(force=True).reused
    os.utime(shelf.blob())
    assert not shelf.check(force=False).reused


def test_a_quick_result_is_no_answer_to_who_wants_everything_read(shelf):
    shelf.check(Mode.QUICK)
    assert not shelf.check(force=False).reused
    assert shelf.check(Mode.QUICK, force=False).reused
    assert shelf.check(Mode.SHARE, force=False).reused


def test_without_a_time_to_live_nothing_is_used_again(shelf):
    workspace = shelf.workspace(health__cache_ttl_seconds=0)
    check_model(workspace, shelf.model, Order())
    assert not check_model(workspace, shelf.model, Order()).reused


def test_what_was_found_is_the_same_after_it_was_remembered(shelf):
    shelf.flip(5)
    first = shelf.check(force=False)
    again = shelf.check(force=False)
    assert again.reused
    assert {**first.as_dict(), "reused": True} == again.as_dict()


@pytest.mark.parametrize("content", [None, b"", b"EMA-LDG1 and nonsense"], ids=["lost", "empty", "damaged"])
def test_a_lost_or_damaged_ledger_is_made_anew_from_the_publishers_digest(shelf, content):
    ledgers, digest = shelf.workspace().ledgers, shelf.file().digest
    before = ledgers.read(digest)
    ledgers.path(digest).unlink() if content is None else ledgers.path(digest).write_bytes(content)
    outcome = shelf.check()
    assert outcome.is_intact
    assert outcome.ledgers_rebuilt == (WEIGHTS,)
    assert ledgers.read(digest) == before
    assert shelf.check().ledgers_rebuilt == ()


def test_damage_is_found_without_a_ledger_and_no_ledger_is_made_of_it(shelf):
    ledgers, digest = shelf.workspace().ledgers, shelf.file().digest
    ledgers.path(digest).unlink()
    shelf.flip(5)
    outcome = shelf.check()
    assert kinds(outcome) == {WEIGHTS: "flipped_range"}
    assert ledgers.read(digest) is None


def test_a_check_that_shall_leave_no_trace_leaves_none(shelf):
    shelf.flip(5)
    shelf.workspace().ledgers.path(shelf.file().digest).unlink()

    def state():
        return {path: path.read_bytes() for path in (shelf.root / "state").rglob("*") if path.is_file()}

    before = state()
    assert not shelf.check(remember=False).is_intact
    assert state() == before
    assert shelf.status() == "available"


def test_shares_come_to_every_byte_one_after_the_other(shelf):
    shelf.flip(6 * MIB + 1)
    seen = [shelf.check(Mode.SHARE, share=Fraction(1, 7)) for _ in range(8)]
    assert all(0 < outcome.coverage < 0.5 for outcome in seen)
    assert sum(outcome.coverage for outcome in seen[:7]) >= 1.0
    assert any(not outcome.is_intact for outcome in seen)


def test_a_share_does_not_forget_what_is_wrong_elsewhere(shelf):
    shelf.flip(6 * MIB + 1)
    shelf.check()
    outcome = shelf.check(Mode.SHARE, share=Fraction(1, 7))
    assert outcome.coverage < 0.5
    assert [finding.ranges for finding in outcome.findings] == [((6 * MIB, 6 * MIB + 17),)]
    assert shelf.status() == "corrupted"


class Sand:
    """A clock that runs only when it is looked at, a second at a time."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


IN_THE_MIDDLE = 3.0
"""Of the weights: after the small file before them and the first of their segments."""


def test_a_time_box_ends_a_check_and_the_next_one_goes_on_there(shelf):
    began = shelf.check().oldest_check
    shelf.flip(6 * MIB + 1)
    first = shelf.check(pace=Pace(until=IN_THE_MIDDLE, clock=Sand()))
    assert not first.is_complete
    assert 0 < first.coverage < 1
    assert first.is_intact
    position = shelf.workspace().checks.read(shelf.model).under_way[WEIGHTS].position
    assert position == 4 * MIB
    second = shelf.check(pace=Pace(until=1000.0, clock=Sand()))
    assert second.is_complete
    assert kinds(second) == {WEIGHTS: "flipped_range"}
    assert second.bytes_read < second.bytes_total
    assert second.oldest_check > began
    assert shelf.workspace().checks.read(shelf.model).under_way == {}


def test_where_a_check_stopped_counts_only_for_the_file_it_stopped_in(shelf):
    shelf.check(pace=Pace(until=IN_THE_MIDDLE, clock=Sand()))
    os.utime(shelf.blob())
    outcome = shelf.check(pace=Pace(until=1000.0, clock=Sand()))
    assert outcome.bytes_read == outcome.bytes_total


def test_a_check_without_a_time_box_begins_at_the_first_byte(shelf):
    shelf.check(pace=Pace(until=IN_THE_MIDDLE, clock=Sand()))
    outcome = shelf.check()
    assert outcome.bytes_read == outcome.bytes_total


def test_a_stop_ends_a_check_before_it_reads(shelf):
    stop = Event()
    stop.set()
    outcome = shelf.check(pace=Pace(stop=stop))
    assert (outcome.bytes_read, outcome.coverage, outcome.is_complete) == (0, 0.0, False)
    assert not shelf.check(force=False).reused


def test_a_check_is_throttled(shelf):
    began = monotonic()
    shelf.check(pace=Pace.of(bytes_per_second=20 * MIB))
    assert monotonic() - began >= 0.25


def test_what_is_not_there_could_not_be_checked(shelf):
    outcome = check_model(shelf.workspace(), ModelId("org/absent"), Order())
    assert type(outcome.error).__name__ == "HealthCheckFailedError"
    assert not outcome.is_intact
    assert exit_code([outcome, shelf.check()]) is ExitCode.UNKNOWN


def test_several_models_are_checked_in_the_order_asked_and_told_one_by_one(shelf):
    absent, told = ModelId("org/absent"), []
    outcomes = check_models(
        shelf.workspace(), [shelf.model, absent], Order(force=True), on_outcome=lambda o: told.append(o.model)
    )
    assert [outcome.model for outcome in outcomes] == [shelf.model, absent]
    assert set(told) == {shelf.model, absent}


def test_everything_in_the_store_or_what_of_the_catalog_is_there(shelf, tmp_path):
    catalog_file = tmp_path / "catalog.yaml"
    catalog_file.write_text("version: 1\nmodels:\n  - id: org/tiny\n  - id: org/never-fetched\n")
    listed = load_catalog(catalog_file, required=True)
    assert stored_or_listed(shelf.workspace(), listed, everything=False) == (shelf.model,)
    catalog_file.write_text("version: 1\nmodels: []\n")
    empty = load_catalog(catalog_file, required=True)
    assert stored_or_listed(shelf.workspace(), empty, everything=False) == ()
    assert stored_or_listed(shelf.workspace(), empty, everything=True) == (parse_model_id("org/tiny"),)


def test_content_with_two_names_is_read_once_and_found_under_both(tmp_path):
    content = random_bytes(3 * MIB)
    write_model(tmp_path / "published", "org/twins", {"a.safetensors": content, "b/c.safetensors": content})
    with FaultyHub(tmp_path / "published") as hub:
        shelf = Shelf(hub, tmp_path, parse_model_id("org/twins"))
        shelf.ensure()
        assert shelf.check().bytes_read == 3 * MIB
        shelf.flip(5, "a.safetensors")
        outcome = shelf.check()
        assert kinds(outcome) == {"a.safetensors": "flipped_range", "b/c.safetensors": "flipped_range"}
        assert outcome.coverage == 1.0
        assert shelf.repair().bytes_fetched == MIB
        assert shelf.check().is_intact


def test_what_came_by_the_client_is_checked_against_what_the_client_recorded(hub, tmp_path):
    from huggingface_hub import snapshot_download  # noqa: PLC0415  half a second, for these two alone

    shelf = Shelf(hub, tmp_path)
    folder = snapshot_download("org/tiny", endpoint=hub.url, cache_dir=tmp_path / "store", token=False)
    assert shelf.check().is_intact
    assert shelf.check(Mode.QUICK).unverified == ()
    assert shelf.status() == "missing", "what is not adopted is not vouched for"
    blob = Path(folder, WEIGHTS).resolve()
    blob.write_bytes(flipped(blob.read_bytes(), 9))
    assert kinds(shelf.check()) == {WEIGHTS: "flipped_range"}


def test_without_any_listing_the_names_of_the_blobs_say_what_they_must_be(hub, tmp_path):
    from huggingface_hub import snapshot_download  # noqa: PLC0415  the same

    shelf = Shelf(hub, tmp_path)
    folder = Path(snapshot_download("org/tiny", endpoint=hub.url, cache_dir=tmp_path / "store", token=False))
    shutil.rmtree(folder.parents[1] / "trees")
    (folder / "made-here.txt").write_text("mine")
    outcome = shelf.check()
    assert outcome.is_intact
    assert outcome.unverified == ("made-here.txt",)
    blob = (folder / WEIGHTS).resolve()
    blob.write_bytes(flipped(blob.read_bytes(), 9))
    assert kinds(shelf.check()) == {WEIGHTS: "flipped_range"}


def test_a_check_beside_one_that_writes_the_same_record_loses_nothing(shelf):
    records, commit = shelf.workspace().records, shelf.workspace().store.commit(shelf.model)

    def prove(number):
        records.update(shelf.model, commit, lambda known: replace(known, wanted=known.wanted | {f"{number}"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prove, range(40)))
    assert {str(number) for number in range(40)} <= records.read(shelf.model, commit).wanted

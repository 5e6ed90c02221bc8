"""The law of repair: the least is fetched, what is right is not touched, and success is what is seen afterwards."""

import mmap
import os
import shutil
import stat
from random import Random

import pytest

from availability.check import Mode
from availability.errors import UsageError
from availability.mending import repair_model
from availability.model import parse_model_id
from deployments.injections import (
    flip_bit,
    lose,
    overwrite_region,
    truncate,
    write_page,
    write_pointer,
    zero_sector,
    zero_tail,
)
from deployments.sample import write_model
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, MIB, NESTED, WEIGHTS
from tests.health.ground import Shelf


def actions(outcome):
    return [(step.action, step.success) for step in outcome.actions]


@pytest.mark.parametrize(
    "injection", [flip_bit, zero_sector, overwrite_region, truncate, zero_tail, write_pointer, write_page, lose]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_damage_is_mended_by_no_more_than_its_chunks(shelf, injection, seed):
    injected = injection(shelf.target(), Random(seed))
    outcome = shelf.repair()
    assert outcome.success, outcome.as_dict()
    assert outcome.bytes_fetched <= injected.damaged_bytes
    assert shelf.is_right()
    assert shelf.status() == "available"
    assert shelf.check().is_intact
    assert outcome.health_improvement > 0


def test_a_name_of_nothing_that_is_here_leaves_no_trace(shelf):
    here = shelf.workspace()
    before = {path for path in here.state.rglob("*") if "spool" not in path.parts}
    outcome = repair_model(here, parse_model_id("org/typo"))
    assert "there is no snapshot" in outcome.error.message
    assert {path for path in here.state.rglob("*") if "spool" not in path.parts} == before


def test_whoever_has_the_file_mapped_sees_it_heal(shelf):
    with shelf.blob().open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        shelf.flip(2 * MIB + 7)
        shelf.flip(5 * MIB)
        inode = shelf.blob().stat().st_ino
        assert bytes(mapped) != shelf.published()
        assert shelf.repair().success
        assert bytes(mapped) == shelf.published()
        assert shelf.blob().stat().st_ino == inode


def test_a_truncated_file_grows_where_it_lies(shelf):
    inode = shelf.blob().stat().st_ino
    os.truncate(shelf.blob(), 4 * MIB + 3)
    outcome = shelf.repair()
    assert actions(outcome) == [("refetch_ranges", True)]
    assert outcome.bytes_fetched == 2 * MIB + 17
    assert shelf.blob().stat().st_ino == inode
    assert shelf.is_right()


def test_a_file_that_is_too_long_is_swapped_and_who_has_it_mapped_goes_on(shelf):
    with shelf.blob().open("ab") as file:
        file.write(b"more")
    shelf.flip(MIB)
    with shelf.blob().open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        outcome = shelf.repair()
        assert mapped[-4:] == b"more"
    assert outcome.success
    assert outcome.bytes_fetched == MIB, "what is right of it is copied"
    assert shelf.is_right()


def test_a_read_only_blob_is_healed_and_read_only_again(shelf):
    shelf.flip(5)
    shelf.blob().chmod(0o444)
    assert shelf.repair().success
    assert stat.S_IMODE(shelf.blob().stat().st_mode) == 0o444
    assert shelf.is_right()


def test_files_that_are_right_are_not_touched(shelf):
    shelf.flip(5)
    others = {path: shelf.blob(path).stat() for path in (CONFIG, NESTED)}
    shelf.repair()
    for path, before in others.items():
        after = shelf.blob(path).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_bad_bytes_and_the_finding_are_kept_as_evidence(shelf):
    shelf.flip(MIB + 5)
    bad = shelf.blob().read_bytes()[MIB : 2 * MIB]
    assert shelf.repair().success
    (evidence,) = shelf.workspace().quarantine.all()
    assert evidence.content.read_bytes() == bad
    assert evidence.told["finding"]["kind"] == "flipped_range"
    assert evidence.told["kept_ranges"] == [[MIB, 2 * MIB]]
    assert evidence.told["model_id"] == "org/tiny"


def test_the_road_of_ensure_keeps_evidence_too(shelf):
    shelf.flip(MIB + 5)
    shelf.check()
    shelf.ensure()
    (evidence,) = shelf.workspace().quarantine.all()
    assert evidence.told["finding"]["kind"] == "flipped_range"
    assert shelf.is_right()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(shelf):
    shelf.flip(5)
    os.truncate(shelf.blob(CONFIG), 3)

    def files():
        return {path: path.read_bytes() for path in shelf.root.rglob("*") if path.is_file()}

    before = files()
    outcome = shelf.repair(dry_run=True)
    assert actions(outcome) == [("refetch_ranges", None), ("refetch_file", None)]
    assert not outcome.success
    assert files() == before
    assert shelf.hub.bytes_sent("/resolve/") == 0


def test_a_healthy_model_needs_nothing_and_nothing_is_done(shelf):
    outcome = shelf.repair()
    assert outcome.success
    assert outcome.actions == ()
    assert outcome.bytes_fetched == 0
    assert shelf.hub.count() == 0


def test_names_are_restored_without_fetching(shelf):
    shelf.link(CONFIG).unlink()
    shelf.link(NESTED).unlink()
    shelf.link(NESTED).symlink_to(f"../../../blobs/{shelf.file().digest}")
    outcome = shelf.repair()
    assert actions(outcome) == [("relink", True)]
    assert outcome.bytes_fetched == 0
    assert shelf.is_right()
    assert shelf.status() == "available"


def test_a_snapshot_that_is_gone_stands_again_without_fetching(shelf):
    shutil.rmtree(shelf.link().parent)
    assert shelf.repair().success
    assert shelf.hub.bytes_sent("/resolve/") == 0
    assert shelf.is_right()


def test_a_lost_ledger_is_rebuilt(shelf):
    ledgers, digest = shelf.workspace().ledgers, shelf.file().digest
    ledgers.path(digest).unlink()
    outcome = shelf.repair()
    assert actions(outcome) == [("rebuild_ledger", True)]
    assert ledgers.read(digest) is not None


def test_damage_without_a_ledger_costs_the_whole_file_and_brings_a_ledger(shelf):
    shelf.workspace().ledgers.path(shelf.file().digest).unlink()
    shelf.flip(5)
    outcome = shelf.repair()
    assert outcome.success
    assert actions(outcome) == [("refetch_file", True)]
    assert outcome.bytes_fetched == shelf.file().size
    assert shelf.workspace().ledgers.read(shelf.file().digest) is not None


@pytest.mark.parametrize(
    ("repair_type", "expected", "mends"),
    [
        ("auto", [("refetch_ranges", True), ("relink", True)], True),
        ("refetch_ranges", [("refetch_ranges", True)], False),
        ("relink", [("relink", True)], False),
        ("refetch_file", [("refetch_file", True)], True),
        ("redownload", [("redownload", True)], True),
        ("rebuild_ledger", [], False),
    ],
)
def test_one_kind_of_action_alone_and_success_is_what_is_seen_afterwards(shelf, repair_type, expected, mends):
    shelf.flip(5)
    if repair_type != "refetch_file":
        shelf.link(CONFIG).unlink()
    outcome = shelf.repair(repair_type)
    assert actions(outcome) == expected
    assert outcome.success is mends


def test_no_such_repair_type_is_wrong_usage(shelf):
    with pytest.raises(UsageError, match="no repair type"):
        shelf.repair("magic")


def test_it_stops_at_the_first_failure_and_says_so(shelf):
    shelf.flip(5)
    os.truncate(shelf.blob(CONFIG), 3)
    shelf.hub.faults.append(Fault("status", rf"/resolve/.*/{WEIGHTS}", status=404))
    outcome = shelf.repair()
    assert actions(outcome) == [("refetch_ranges", False), ("refetch_file", None)]
    assert not outcome.success
    assert outcome.error is not None
    assert outcome.actions[0].details == outcome.error.message
    assert shelf.status() == "corrupted"
    shelf.hub.faults.clear()
    assert shelf.repair().success


def test_a_source_that_sends_wrong_bytes_heals_nothing_and_writes_nothing(shelf):
    shelf.flip(5)
    bad = shelf.blob().read_bytes()
    shelf.hub.faults.append(Fault("flip", WEIGHTS, offsets=(9,)))
    outcome = shelf.repair_with(download__max_retries=0)
    assert not outcome.success
    assert shelf.blob().read_bytes() == bad


def test_damage_that_arrives_while_it_repairs_is_found_by_the_next_check(shelf):
    shelf.flip(5)
    done = []

    def damage_elsewhere(progress):
        if progress.phase == "downloading" and not done:
            done.append(True)
            shelf.flip(4 * MIB)

    shelf.repair(on_progress=damage_elsewhere)
    assert done
    (finding,) = shelf.check().findings
    assert finding.ranges == ((4 * MIB, 5 * MIB),)
    assert shelf.repair().success


def test_content_that_models_share_is_healed_and_known_for_all_of_them(tmp_path):
    files = {CONFIG: b"{}\n", WEIGHTS: 3 * MIB + 5}
    for repo_id in ("org/one", "org/two"):
        write_model(tmp_path / "published", repo_id, files)
        write_model(tmp_path / "store", repo_id, files, xet=True)
    with FaultyHub(tmp_path / "published") as hub:
        one, two = (Shelf(hub, tmp_path, parse_model_id(repo_id)) for repo_id in ("org/one", "org/two"))
        one.ensure()
        two.ensure()
        assert one.blob().is_symlink()
        assert one.blob().resolve() == two.blob().resolve()
        shared = one.blob().resolve()
        before = shared.stat()
        content = bytearray(shared.read_bytes())
        content[7] ^= 1
        shared.chmod(0o644)
        shared.write_bytes(content)
        shared.chmod(0o444)
        os.utime(shared, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert not one.check().is_intact
        assert (one.status(), two.status()) == ("corrupted", "corrupted")
        assert two.repair().bytes_fetched == MIB
        assert (one.status(), two.status()) == ("available", "available")
        assert shared.stat().st_ino == before.st_ino
        assert one.check().is_intact


def test_what_is_known_of_a_healed_model_needs_no_reading(shelf):
    shelf.flip(5)
    assert shelf.repair().success
    outcome = shelf.check(Mode.QUICK)
    assert outcome.is_intact
    assert outcome.unverified == ()


def test_its_record_has_the_words_of_everybody(shelf):
    shelf.flip(5)
    record = shelf.repair(repair_id="0b6f").as_dict()
    assert set(record) >= {
        "model_id", "repair_id", "success", "repair_type", "actions", "bytes_fetched", "health_improvement", "seconds",
        "error",
    }  # fmt: skip
    assert record["repair_id"] == "0b6f"
    assert record["actions"] == [{"action": "refetch_ranges", "success": True, "details": f"{MIB} bytes of {WEIGHTS}"}]

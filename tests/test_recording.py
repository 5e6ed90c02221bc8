"""The law of what is recorded: what happens to a model is an event, once, whoever asked: a program or a person."""

import json
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

import availability
from analytics.schemas import judge, read_lines
from availability import EnhancedModelAvailabilityError
from availability.spool import hash_user, read_salt
from service.faults import Fault, FaultyHub
from tests.builders import CONFIG, MIB, WEIGHTS, flipped, until, write_tiny_pair
from tests.commands.running import run

TINY = "org/tiny"
SIZE = 3 * MIB + 17 + 28
CATALOG = "version: 1\nmodels:\n  - {id: org/tiny, pinned: true, target: 99.5}\n  - {id: org/other}\n"


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    store = tmp_path_factory.mktemp("published")
    write_tiny_pair(store)
    return store


@pytest.fixture(autouse=True)
def hub(published, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES", "0")
    with FaultyHub(published) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "huggingface/hub.availability/spool"


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments/catalog.yaml").write_text(CATALOG)


@pytest.fixture
def blob():
    """The weights of a model that is there."""
    availability.ensure(TINY)
    snapshot = Path(availability.status(TINY).path)
    return (snapshot / WEIGHTS).resolve()


@pytest.fixture(params=["python", "command"])
def act(request):
    """Do something, as a program or as a person does it, and return what was recorded of it."""

    def python(name, *models, **options):
        try:
            if name == "ensure" and not models:
                availability.ensure_models()
            elif name == "check":
                availability.check(models, **options)
            else:
                getattr(availability, name)(*models, **options)
        except EnhancedModelAvailabilityError:
            pass

    def command(name, *models, **options):
        flags = [f"--{option}" for option, on in options.items() if on is True]
        flags += ["--quick"] if options.get("mode") == "quick" else []
        flags += ["--all"] if name == "ensure" and not models else []
        run(name, *models, *flags)

    return {"python": python, "command": command}[request.param]


def recorded(spool):
    """Everything in the spool in the order of its times, after the reading end's door let all of it in."""
    found = [line for segment in spool.glob("*.jsonl") for line in segment.read_bytes().splitlines()]
    judged = judge(read_lines(found), datetime.now(UTC))
    assert judged.rejected == ()
    assert len(judged.accepted) == len(found)
    return [json.loads(line) for line in found]


def since(spool, before):
    known = {row["event_id"] for row in before}
    return [row for row in recorded(spool) if row["event_id"] not in known]


def told(rows, *names):
    return [tuple(row.get(name) for name in ("kind", *names)) for row in rows]


# --- requests and downloads -----------------------------------------------------------------------------


def test_a_model_that_is_brought_was_asked_for_fetched_and_is_available(act, spool, hub):
    act("ensure", TINY)
    request, download, available, status = recorded(spool)
    assert told([request], "model_id", "success", "action") == [("request", TINY, True, "download_started")]
    assert told([download], "success", "source", "bytes_needed", "bytes_fetched", "attempts", "error_kind") == [
        ("download", True, hub.url.removeprefix("http://"), SIZE, SIZE, 1, None)
    ]
    assert told([available], "model_id", "revision", "size_bytes") == [("available", TINY, "main", SIZE)]
    assert told([status], "status", "size_bytes") == [("status", "available", SIZE)]
    assert len({row["run_id"] for row in recorded(spool)}) == 1
    assert {row["commit_hash"] for row in (request, download, available, status)} == {request["commit_hash"]}
    assert request["event_time"] < available["event_time"]  # a request happens when it is made
    assert download["seconds"] <= request["seconds"]


@pytest.mark.usefixtures("blob")
def test_a_model_that_is_ready_was_only_asked_for(act, spool):
    before = recorded(spool)
    act("ensure", TINY)
    assert told(since(spool, before), "success", "action") == [("request", True, "model_ready")]


def test_a_request_is_of_somebody_whose_name_is_not_kept(act, spool):
    act("ensure", TINY)
    name = availability.controls.current_user()
    (hashed,) = {row["user_hash"] for row in recorded(spool) if row["kind"] == "request"}
    assert hashed == hash_user(name, read_salt(spool))
    assert f'"{name}"' not in json.dumps(recorded(spool))


@pytest.mark.parametrize(
    ("code", "kinds"),
    [(503, ("DownloadFailedError", "SourceUnavailableError")), (403, ("AccessDeniedError", "AccessDeniedError"))],
    ids=["the hub is down", "the hub refuses"],
)
def test_a_failure_is_recorded_with_its_kind_and_the_source_that_was_asked(act, spool, hub, code, kinds):
    error_kind, cause = kinds
    hub.faults.append(Fault("status", "/api/models/.*", status=code))
    act("ensure", TINY)
    request, download, status = recorded(spool)
    assert told([request], "success", "action", "error_kind") == [("request", False, "error", error_kind)]
    source = hub.url.removeprefix("http://")
    assert told([download], "success", "source", "error_kind") == [("download", False, source, cause)]
    assert told([status], "status") == [("status", "missing")]


def test_attempts_that_failed_are_counted_and_named(spool, hub, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_RETRIES", "1")
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_RETRY_DELAY_SECONDS", "1")
    hub.faults.append(Fault("status", "/api/models/.*", status=503, times=1))
    availability.ensure(TINY)
    (download,) = [row for row in recorded(spool) if row["kind"] == "download"]
    assert told([download], "success", "attempts", "error_kind") == [("download", True, 2, None)]
    assert download["details"] == {"failed_attempts": ["SourceUnavailableError"]}


def test_a_name_that_nobody_knows_was_asked_for_in_vain(act, spool):
    act("ensure", "tiny")
    assert told(recorded(spool), "model_id", "success", "error_kind") == [
        ("request", "tiny", False, "ModelNotFoundError")
    ]
    act("ensure", "org/absent")
    kinds = told(recorded(spool)[1:], "model_id", "error_kind")
    assert kinds == [("request", "org/absent", "ModelNotFoundError"), ("download", "org/absent", "ModelNotFoundError")]


def test_who_waits_for_another_download_is_told_of_it(spool, hub):
    hub.faults.append(Fault("shape", "/resolve/.*safetensors", bytes_per_second=2 * MIB))
    first = Thread(target=availability.ensure, args=(TINY,))
    first.start()
    until(lambda: availability.progress(TINY) is not None)
    availability.ensure(TINY)
    first.join()
    actions = [row["action"] for row in recorded(spool) if row["kind"] == "request"]
    assert sorted(actions) == ["download_in_progress", "download_started"]
    assert [row["kind"] for row in recorded(spool)].count("download") == 1


def test_a_dry_run_leaves_no_trace(spool):
    run("ensure", TINY, "--dry-run")
    assert not spool.exists()


@pytest.mark.usefixtures("catalog")
def test_switched_off_nothing_is_recorded(act, spool, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_FEATURES_USAGE_ANALYTICS", "false")
    act("ensure", TINY)
    act("check", mode="quick")
    assert not spool.exists()


def test_what_is_adopted_was_asked_for_and_fetched_from_nobody(act, spool, published, tmp_path):
    folder = tmp_path / "copied"
    folder.mkdir()
    snapshot = next((published / "models--org--tiny/snapshots").iterdir())
    for path in (WEIGHTS, CONFIG, "tokenizer/vocab.txt"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes((snapshot / path).read_bytes())
    act("adopt", folder, TINY)
    assert told(recorded(spool), "success", "status") == [
        ("request", True, None),
        ("available", None, None),
        ("status", None, "available"),
    ]


# --- checks and repairs ---------------------------------------------------------------------------------


def damage(blob, offset=MIB + 5):
    blob.write_bytes(flipped(blob.read_bytes(), offset))


def test_a_check_is_recorded_with_what_it_read_and_found(act, spool, blob):
    damage(blob)
    before = recorded(spool)
    act("check", TINY)
    check, finding, status = since(spool, before)
    assert told([check], "success", "size_bytes", "error_kind") == [("check", False, SIZE, "flipped_range")]
    assert check["score"] == pytest.approx(1 - MIB / SIZE)
    assert check["details"]["mode"] == "full"
    assert told([finding], "error_kind", "size_bytes") == [("finding", "flipped_range", MIB)]
    assert (finding["details"]["file"], finding["details"]["ranges"]) == (WEIGHTS, [[MIB, 2 * MIB]])
    assert told([status], "status") == [("status", "corrupted")]


def test_the_same_defect_is_told_once_and_an_intact_model_only_checked(act, spool, blob):
    damage(blob)
    act("check", TINY)
    before = recorded(spool)
    act("check", TINY, force=True)
    assert told(since(spool, before), "status") == [("check", None), ("status", "corrupted")]
    damage(blob)  # a second time, which makes it right again
    before = recorded(spool)
    act("check", TINY, force=True)
    assert told(since(spool, before), "status") == [("check", None), ("status", "available")]
    before = recorded(spool)
    act("check", TINY, force=True)
    assert told(since(spool, before), "status") == [("check", None)]


@pytest.mark.usefixtures("blob")
def test_a_check_that_is_answered_from_memory_is_none(act, spool):
    act("check", TINY)
    before = recorded(spool)
    act("check", TINY)
    assert since(spool, before) == []


def test_a_repair_is_recorded_with_what_it_did(act, spool, blob, hub):
    damage(blob)
    act("check", TINY)
    before = recorded(spool)
    act("repair", TINY)
    rows = since(spool, before)
    (repair,) = [row for row in rows if row["kind"] == "repair"]
    names = ("success", "action", "bytes_needed", "bytes_fetched", "source", "error_kind")
    source = hub.url.removeprefix("http://")
    assert told([repair], *names) == [("repair", True, "refetch_ranges", MIB, MIB, source, None)]
    assert repair["seconds"] > 0
    assert not [row for row in rows if row["kind"] == "finding"]
    seen = [row["status"] for row in rows if row["kind"] == "status"]
    assert (seen[0], seen[-1]) == ("corrupted", "available")


def test_a_repair_that_fails_is_recorded_too(act, spool, blob, hub):
    damage(blob)
    hub.close()
    act("repair", TINY)
    (repair,) = [row for row in recorded(spool) if row["kind"] == "repair"]
    assert told([repair], "success", "error_kind") == [("repair", False, "DownloadFailedError")]
    assert [row["status"] for row in recorded(spool) if row["kind"] == "status"][-1] == "corrupted"


@pytest.mark.usefixtures("blob")
def test_a_repair_of_what_is_intact_is_a_check(act, spool):
    before = recorded(spool)
    act("repair", TINY)
    assert {row["kind"] for row in since(spool, before)} == {"check"}
    before = recorded(spool)
    act("repair", TINY, **{"dry-run" if act.__name__ == "command" else "dry_run": True})
    assert since(spool, before) == []


def test_what_is_healed_on_the_road_is_a_finding_and_a_repair(act, spool, blob, hub):
    damage(blob)
    before = recorded(spool)
    act("ensure", TINY)
    request, finding, repair, available, status = since(spool, before)
    assert told([request], "action", "success") == [("request", "repair_attempted", True)]
    assert told([finding], "error_kind") == [("finding", "flipped_range")]
    names = ("success", "action", "bytes_needed", "bytes_fetched", "source")
    assert told([repair], *names) == [("repair", True, "ensure", MIB, MIB, hub.url.removeprefix("http://"))]
    assert told([available, status], "status") == [("available", None), ("status", "available")]


# --- controls -------------------------------------------------------------------------------------------


def test_an_order_is_recorded_with_who_gave_it(spool, hub):
    hub.faults.append(Fault("shape", "/resolve/.*safetensors", bytes_per_second=100_000))
    outcomes = []
    download = Thread(target=lambda: outcomes.extend(availability.ensure_models([TINY])))
    download.start()
    until(lambda: availability.cancel(TINY))
    download.join()
    (control,) = [row for row in recorded(spool) if row["kind"] == "control"]
    assert told([control], "action", "model_id", "success") == [("control", "cancel", TINY, True)]
    assert control["actor"] == availability.controls.current_user()
    (request,) = [row for row in recorded(spool) if row["kind"] == "request"]
    assert request["error_kind"] == "DownloadCancelledError"


# --- sweeps ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    "sweep",
    [("check", {"mode": "quick"}), ("ensure", {})],
    ids=["a quick check", "an ensure of the catalog"],
)
def test_a_sweep_records_every_model_that_is_known(act, spool, sweep):
    availability.ensure(TINY)
    before = recorded(spool)
    name, options = sweep
    act(name, **options)
    rows = [row for row in since(spool, before) if row["kind"] == "status"]
    seen = {row["model_id"]: row for row in rows}
    last = "missing" if name == "check" else "available"
    assert {model: row["status"] for model, row in seen.items()} == {TINY: "available", "org/other": last}
    names = ("revision", "size_bytes", "pinned", "target")
    assert tuple(seen[TINY][each] for each in names) == ("main", SIZE, True, 0.995)
    assert (seen["org/other"]["pinned"], seen["org/other"].get("target")) == (False, None)
    assert [row["size_bytes"] > SIZE for row in recorded(spool) if row["kind"] == "storage"] == [True]
    assert not [row for row in since(spool, before) if row["kind"] == "request"]  # nobody but the catalog asked


@pytest.mark.usefixtures("catalog")
def test_a_sweep_that_finds_everything_ready_looks_no_second_time(act, spool):
    act("ensure")
    before = recorded(spool)
    act("ensure")
    rows = since(spool, before)
    assert sorted(told(rows, "model_id", "status", "pinned")) == [
        ("status", "org/other", "available", False),
        ("status", TINY, "available", True),
    ]


@pytest.mark.usefixtures("catalog", "blob")
@pytest.mark.parametrize("mode", ["full", "quick"])
def test_a_check_of_named_models_or_of_all_their_content_is_no_sweep(act, spool, mode):
    before = recorded(spool)
    act("check", *([TINY] if mode == "quick" else []), mode=mode)
    assert {row["kind"] for row in since(spool, before)} == {"check"}


@pytest.mark.usefixtures("catalog")
def test_a_store_that_is_nearly_full_is_told_by_every_sweep(spool, monkeypatch):
    monkeypatch.setenv("ENHANCED_MODEL_HEALTH_STORAGE_WARNING_PERCENT", "0.000001")
    availability.check(mode="quick")
    low = [row for row in recorded(spool) if row["kind"] == "storage_low"]
    assert [row["details"]["level"] for row in low] == ["warning"]


@pytest.mark.usefixtures("catalog")
def test_the_catalog_is_fetched_by_need(hub, blob, monkeypatch):
    """What is corrupted comes before what is missing, whatever its place in the catalog."""
    monkeypatch.setenv("ENHANCED_MODEL_DOWNLOAD_MAX_CONCURRENT_DOWNLOADS", "1")
    Path("deployments/catalog.yaml").write_text("version: 1\nmodels:\n  - {id: org/other}\n  - {id: org/tiny}\n")
    damage(blob)
    availability.check([TINY])
    hub.reset_counters()
    availability.ensure_models()
    assert "org/tiny" in next(request.path for request in hub.requests)

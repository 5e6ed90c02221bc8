"""The law of requests: answered at once and truly, one download whoever asks, and nothing substituted in silence."""

from dataclasses import replace

import pytest

from availability import ensure
from availability.answer import ActionTaken
from availability.controls import DownloadRecord, DownloadState
from availability.desk import Desk
from availability.errors import (
    FeatureOffError,
    InsufficientStorageError,
    InvalidModelIdError,
    ModelNotFoundError,
    NoRunsError,
    SourceUnavailableError,
)
from availability.fallback.decision import FallbackKind
from availability.fallback.requirements import Requirements
from availability.lease import hold
from availability.transfer.meter import Progress
from service.faults import Fault
from tests.availability.fallback.ground import FAR, ODD, TWIN, WANTED

DOWN = Fault("status", "/", status=503)


def take(desk, answer, option, by):
    return desk.serve(answer, desk.resolver.take(answer.resolution, option, by))


def kinds(answer):
    return [option.kind.value for option in answer.resolution.decision.options]


# --- what is here ---------------------------------------------------------------------------------------


def test_a_model_that_is_here_is_answered_with_its_path_and_starts_nothing(ground):
    ground.ensure(WANTED)
    answer = ground.desk().answer("org/wanted")
    assert answer.action_taken is ActionTaken.MODEL_READY
    assert (answer.path / "model.safetensors").exists()
    assert (answer.served, answer.is_substituted, answer.way_back) == (WANTED, False, None)
    assert ground.runner.asked == ground.hub.requests == []


def test_an_alias_is_understood_and_a_bad_id_is_wrong_usage(ground):
    ground.ensure(WANTED)
    desk = ground.desk(entry={"aliases": ["mine"]})
    assert desk.answer("mine").model == WANTED
    with pytest.raises(InvalidModelIdError):
        desk.answer("not/an/id")


# --- what has to be fetched -----------------------------------------------------------------------------


def test_asking_twice_starts_one_download_and_both_can_be_followed(ground):
    desk = ground.desk("never")
    first, second = desk.answer("org/wanted"), desk.answer("org/wanted")
    assert [first.action_taken.value, second.action_taken.value] == ["download_started", "download_in_progress"]
    assert first.download_id == second.download_id == "download-org/wanted"
    assert ground.runner.asked == [("download", WANTED, 0.0)]
    assert first.wait.seconds is None  # nothing was ever measured
    assert ground.hub.bytes_sent("/resolve/") == 0


def test_a_measured_speed_makes_an_estimate(ground):
    ground.desk()
    workspace = ground.workspace()
    progress = Progress("completed", 10**7, 10**7, bytes_fetched=10**7)
    for number in range(5):
        record = DownloadRecord(
            str(number), f"org/old-{number}", "main", "normal", DownloadState.COMPLETED, progress, 100.0, 110.0
        )
        workspace.controls.write(record)
    answer = ground.desk().answer("org/wanted")
    size = 300 * 1024
    assert answer.wait.seconds == pytest.approx(size / 1e6, rel=0.01)
    assert answer.wait.confidence == pytest.approx(0.5)
    assert answer.as_dict()["estimated_wait_time"] == round(answer.wait.seconds, 1)
    assert answer.resolution is None  # a short wait is no matter of fallback


def test_a_download_under_way_is_answered_with_its_own_id_and_speed(ground):
    desk = ground.desk("never")
    workspace = desk.workspace
    progress = Progress("downloading", 100, 40, 40, bytes_per_second=2.0, seconds_left=30.0)
    workspace.controls.write(
        DownloadRecord("its-own", WANTED.repo_id, "main", "normal", DownloadState.DOWNLOADING, progress, 100.0, 120.0)
    )
    with hold(workspace.lease_path(WANTED), on_wait=lambda: None, should_stop=lambda: True, holder="its-own"):
        answer = desk.answer("org/wanted")
    assert (answer.action_taken, answer.download_id) == (ActionTaken.DOWNLOAD_IN_PROGRESS, "its-own")
    assert (answer.wait.seconds, answer.wait.confidence) == (30.0, pytest.approx(20 / 50))
    assert ground.runner.asked == ground.hub.requests == []


def test_with_nobody_to_take_the_run_it_is_queued_and_says_why_and_never_started(ground):
    ground.runner.queue_reason = "No worker polls the pool models."
    for answer in (ground.desk("never").answer("org/wanted"), ground.desk("never").answer("org/wanted")):
        assert answer.action_taken is ActionTaken.ERROR
        assert answer.message == ("org/wanted is queued as run download-org/wanted. No worker polls the pool models.")
        assert (answer.download_id, answer.queue_position) == ("download-org/wanted", 1)
        assert answer.resolution.decision.kind is FallbackKind.QUEUE_AND_WAIT
        assert answer.as_dict()["queued"]


def test_without_a_server_it_says_what_to_type(ground):
    desk = Desk(ground.workspace(), ground.catalog("never"))
    answer = desk.answer("org/wanted")
    assert answer.action_taken is ActionTaken.ERROR
    assert answer.error.advice == ("Fetch it: availability ensure org/wanted",)
    assert answer.resolution.decision.kind is FallbackKind.DOWNLOAD_AND_RETRY


# --- what is damaged ------------------------------------------------------------------------------------


def test_a_damaged_model_is_repaired_once(ground):
    ground.ensure(WANTED)
    ground.damage(WANTED)
    first, second = ground.desk("never").answer("org/wanted"), ground.desk("never").answer("org/wanted")
    assert {first.action_taken, second.action_taken} == {ActionTaken.REPAIR_ATTEMPTED}
    assert first.repair_id == second.repair_id == "repair-org/wanted"
    assert ground.runner.asked == [("repair", WANTED, 0.0)]
    assert (first.download_id, first.availability_status.value) == (None, "corrupted")


@pytest.mark.parametrize("by", ["off", "ask"])
def test_a_repair_that_only_a_person_may_start_is_not_started(ground, by):
    ground.ensure(WANTED)
    ground.damage(WANTED)
    answer = ground.desk("never", health__auto_repair_enabled=by).answer("org/wanted")
    assert (answer.action_taken, ground.runner.asked) == (ActionTaken.ERROR, [])
    assert "availability repair org/wanted" in answer.error.advice[0]


# --- what cannot be had ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "is_up", "error", "kind"),
    [
        ("org/wanted", False, SourceUnavailableError, "download_and_retry"),
        ("org/unknown", False, SourceUnavailableError, "download_and_retry"),
        ("org/unknown", True, ModelNotFoundError, "unavailable"),
        ("unknown", False, ModelNotFoundError, "unavailable"),
    ],
    ids=["hub down", "hub down, unknown model", "nobody has it", "a bare name"],
)
def test_what_cannot_be_had_ends_in_an_error_with_a_clear_decision(ground, model, is_up, error, kind):
    ground.hub.faults.extend([] if is_up else [DOWN])
    answer = ground.desk("never").answer(model)
    assert answer.action_taken is ActionTaken.ERROR
    assert isinstance(answer.error, error)
    decision = answer.resolution.decision
    assert decision.kind.value == kind
    assert decision.recovery.steps
    assert decision.chosen.reason.endswith(".")
    is_retried = kind == "download_and_retry"
    assert [after for _, _, after in ground.runner.asked] == [300.0] * is_retried
    assert (answer.download_id is not None) == is_retried


def test_a_hub_that_only_listens_does_not_keep_the_answer_waiting(ground):
    """It is given the time that the setting says, and not the download's."""
    ground.hub.faults.append(Fault("latency", "/api/", seconds=30))
    answer = ground.desk("never", fallback__answer_seconds=1, download__stall_seconds=600).answer("org/wanted")
    assert isinstance(answer.error, SourceUnavailableError)


def test_a_disk_that_is_too_small_is_said_with_what_to_delete(ground):
    ground.ensure(TWIN)
    answer = ground.desk("never", storage__max_storage_gb=0.0005).answer("org/wanted")
    assert isinstance(answer.error, InsufficientStorageError)
    assert answer.resolution.decision.recovery.kind == "disk_full"
    assert "org/twin" in answer.error.advice[0]


def test_a_feature_that_is_off_starts_nothing_and_says_so(ground):
    answer = ground.desk("never", features__enhanced_downloads=False).answer("org/wanted")
    assert isinstance(answer.error, FeatureOffError)
    assert ground.runner.asked == ground.hub.requests == []


def test_without_intelligent_fallback_nothing_is_sought_and_it_says_so(ground):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    answer = ground.desk("auto", features__intelligent_fallback=False).answer("org/wanted")
    assert answer.action_taken is ActionTaken.ERROR
    assert answer.message.endswith("intelligent_fallback is switched off: no stand-in was sought.")
    assert (answer.resolution, ground.runner.asked) == (None, [])
    assert not (ground.root / "state/fallbacks").exists()


# --- who stands in --------------------------------------------------------------------------------------


def test_with_auto_the_stand_in_is_served_and_named_with_the_way_back(ground):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    answer = ground.desk("auto").answer("org/wanted")
    assert (answer.action_taken, answer.served) == (ActionTaken.MODEL_READY, TWIN)
    assert TWIN.folder in str(answer.path)
    told = answer.as_dict()
    assert (told["substituted"], told["requested_model"], told["served_model"]) == (True, "org/wanted", "org/twin")
    assert "availability ensure org/wanted" in told["way_back"]
    assert told["availability_status"] == "missing"
    assert told["fallback_decision"]["options"][0]["terms"] == {
        "compatibility": 0.9,
        "capability": 1.0,
        "requirement": 1.0,
    }
    # And the wanted one is not given up.
    assert ground.runner.asked == [("download", WANTED, 300.0)]


@pytest.mark.parametrize("substitution", ["ask", "never"])
def test_without_leave_nobody_stands_in(ground, substitution):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    answer = ground.desk(substitution).answer("org/wanted")
    assert (answer.action_taken, answer.served, answer.path) == (ActionTaken.ERROR, None, None)
    assert [option.model for option in answer.resolution.decision.alternatives] == (
        [TWIN] if substitution == "ask" else []
    )
    assert answer.resolution.must_ask == (substitution == "ask")


def test_what_a_person_has_chosen_stands_until_the_model_is_back(ground):
    ground.ensure(TWIN, FAR)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("ask")
    asked = desk.answer("org/wanted")
    second = asked.resolution.decision.alternatives[1]
    assert second.model == FAR
    taken = take(desk, asked, second, "person")
    assert (taken.action_taken, taken.served) == (ActionTaken.MODEL_READY, FAR)
    again = desk.answer("org/wanted")
    assert (again.served, again.resolution.must_ask, again.resolution.is_new) == (FAR, False, False)
    assert again.resolution.standing.decided_by == "person"

    ground.hub.faults.clear()
    ensure("org/wanted", workspace=ground.workspace())
    assert desk.answer("org/wanted").served == WANTED
    (ended,) = desk.resolver.settle()
    assert (ended.model, ended.substitute) == (WANTED, "org/far")
    assert desk.resolver.settle() == []


def test_who_has_declined_is_not_asked_again(ground):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("ask")
    declined = take(desk, desk.answer("org/wanted"), None, "person")
    assert (declined.action_taken, declined.served) == (ActionTaken.ERROR, None)
    again = desk.answer("org/wanted")
    assert (again.resolution.must_ask, again.served) == (False, None)


def test_who_did_not_answer_is_asked_again(ground):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("ask")
    take(desk, desk.answer("org/wanted"), None, "default")
    assert desk.answer("org/wanted").resolution.must_ask


def test_a_stand_in_that_is_lost_is_replaced_and_the_end_of_the_first_is_known(ground):
    ground.ensure(TWIN, FAR)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("auto")
    first = desk.answer("org/wanted")
    assert first.served == TWIN
    (next((ground.root / "store" / TWIN.folder / "snapshots").glob("*")) / "model.safetensors").unlink()
    second = desk.answer("org/wanted")
    assert second.served == FAR
    assert second.resolution.is_new
    assert second.resolution.ended.decision_id == first.resolution.standing.decision_id


def test_a_stand_in_that_is_not_here_is_fetched(ground):
    """Only the wanted model is refused by the hub; its stand-in is asked for, and says the rest itself."""
    ground.hub.faults.append(Fault("status", "org/wanted", status=503))
    answer = ground.desk("auto").answer("org/wanted")
    assert (answer.action_taken, answer.served) == (ActionTaken.DOWNLOAD_STARTED, TWIN)
    assert answer.download_id == "download-org/twin"
    assert [asked[:2] for asked in ground.runner.asked] == [("download", TWIN), ("download", WANTED)]


def test_requirements_of_the_asker_hold(ground):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("auto")
    assert desk.answer("org/wanted", requirements=Requirements(min_context_length=4096)).served == TWIN
    answer = desk.answer("org/wanted", requirements=Requirements(min_context_length=4097))
    assert answer.served is None
    assert kinds(answer) == ["download_and_retry", "reduce_requirements"]
    assert answer.resolution.decision.options[1].requirement == "context"


def test_requirements_of_the_catalog_hold(ground):
    ground.ensure(TWIN)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("auto", entry={"requirements": {"licences": ["mit"]}})
    assert desk.answer("org/wanted").served is None
    assert desk.answer("org/wanted", requirements=Requirements(licences=("apache-2.0",))).served == TWIN


def test_what_the_files_say_is_enough_to_stand_in(ground):
    """`org/odd` is in no catalog: its card, its configuration and its tokenizer speak for it, but not of modality."""
    ground.ensure(ODD)
    ground.hub.faults.append(DOWN)
    attributes = {
        "task": "text-generation",
        "licence": "apache-2.0",
        "format": "safetensors",
        "capabilities": ["chat", "language:en", "language:de"],
        "compatible_with": {"org/odd": 0.5},
    }
    answer = ground.desk("auto", entry={"attributes": attributes}).answer("org/wanted")
    assert answer.served == ODD
    answer = ground.desk("auto", entry={"attributes": {**attributes, "modality": "text"}}).answer("org/wanted")
    assert answer.served is None
    excluded = {exclusion.model: exclusion for exclusion in answer.resolution.decision.excluded}
    assert excluded[ODD].reason == "its modality is not known, expected text"


def test_a_damaged_model_does_not_stand_in(ground):
    ground.ensure(TWIN)
    ground.damage(TWIN)
    ground.hub.faults.append(DOWN)
    answer = ground.desk("auto").answer("org/wanted")
    assert answer.served is None
    excluded = {exclusion.model: exclusion for exclusion in answer.resolution.decision.excluded}
    assert excluded[TWIN].reason == "it is corrupted"


# --- trying again ---------------------------------------------------------------------------------------


def test_it_is_tried_again_by_itself_only_so_often(ground):
    ground.hub.faults.append(DOWN)
    desk = ground.desk("never")
    tried = 0
    for _ in range(8):
        answer = desk.answer("org/wanted")
        tried += bool(ground.runner.asked)
        ground.runner.asked.clear()
    assert tried == 6
    assert answer.resolution.decision.kind is FallbackKind.UNAVAILABLE
    assert answer.download_id is None


def test_a_retry_that_waits_already_is_no_further_attempt(ground):
    ground.hub.faults.append(DOWN)
    desk = ground.desk("never")
    for _ in range(8):
        answer = desk.answer("org/wanted")
    assert answer.resolution.standing.attempts == 1
    assert len(ground.runner.asked) == 1


def test_a_decision_has_not_helped_when_its_attempt_has_failed_and_not_when_somebody_asks_again(ground):
    ground.hub.faults.append(DOWN)
    desk = ground.desk("never")
    first, again = desk.answer("org/wanted").resolution, desk.answer("org/wanted").resolution
    assert (first.is_new, again.is_new, again.ended) == (True, False, None)
    tried = desk.resolver.failed(WANTED, SourceUnavailableError("The hub is down."))
    assert (tried.is_new, tried.ended.decision_id) == (True, first.standing.decision_id)


def test_attempts_have_an_end_in_time_too(ground):
    ground.hub.faults.append(DOWN)
    desk = ground.desk("never")
    first = desk.answer("org/wanted").resolution.standing
    desk.workspace.decisions.write(replace(first, failed_at=first.failed_at - 24 * 3600))
    assert desk.answer("org/wanted").resolution.decision.kind is FallbackKind.UNAVAILABLE


def test_nothing_is_remembered_of_a_model_that_nobody_keeps_and_nobody_has(ground):
    ground.desk("never").answer("org/unknown")
    assert [*ground.workspace().decisions.all()] == []


def test_without_runs_it_is_not_said_that_it_is_tried_again(ground):
    ground.hub.faults.append(DOWN)
    ground.runner.refuses = True
    answer = ground.desk("never").answer("org/wanted")
    assert (answer.download_id, answer.queue_reason) == (None, None)
    assert answer.resolution.standing.attempts == 0


def test_a_run_that_cannot_be_started_is_an_error_and_no_promise(ground):
    ground.runner.refuses = True
    answer = ground.desk("never").answer("org/wanted")
    assert isinstance(answer.error, NoRunsError)
    assert answer.resolution.decision.kind is FallbackKind.DOWNLOAD_AND_RETRY


# --- the last copy --------------------------------------------------------------------------------------


def test_a_model_that_has_vanished_upstream_is_protected_and_nobody_proposes_to_delete_it(ground):
    ground.ensure(TWIN, FAR)
    desk = ground.desk("never", storage__max_storage_gb=0.0008)
    resolution = desk.resolver.failed(TWIN, ModelNotFoundError(str(TWIN)))
    assert resolution.decision.recovery.kind == "vanished"
    assert desk.workspace.last_copies.is_protected(TWIN)
    advice = " ".join(desk.answer("org/wanted").error.advice)
    assert ("org/far" in advice, "org/twin" in advice) == (True, False)


# --- the hub is down for the whole time -----------------------------------------------------------------


def test_a_damaged_model_is_mended_and_its_stand_in_serves_until_it_is_back(ground):
    """Whoever mends it has the bytes from somewhere else than the hub, which is down to the end."""
    ground.ensure(WANTED, TWIN)
    blob = ground.damage(WANTED)
    ground.hub.faults.append(DOWN)
    desk = ground.desk("auto")
    answer = desk.answer("org/wanted")
    assert (answer.action_taken, answer.served) == (ActionTaken.MODEL_READY, TWIN)
    assert (answer.repair_id, answer.availability_status.value) == ("repair-org/wanted", "corrupted")
    assert answer.way_back
    assert desk.resolver.settle() == []

    ground.mend(WANTED, blob)
    (ended,) = desk.resolver.settle()
    assert (ended.model, ended.substitute) == (WANTED, "org/twin")
    assert (desk.answer("org/wanted").served, desk.answer("org/wanted").is_substituted) == (WANTED, False)
    assert ground.hub.bytes_sent("/resolve/") == 0


def test_who_waited_for_a_repair_that_did_not_help_gets_a_clear_decision(ground):
    ground.ensure(WANTED)
    ground.damage(WANTED)
    ground.hub.faults.append(DOWN)
    answer = ground.desk("never").look_again("org/wanted")
    assert (answer.action_taken, answer.availability_status.value) == (ActionTaken.ERROR, "corrupted")
    assert answer.resolution.decision.kind is FallbackKind.UNAVAILABLE
    assert "availability repair org/wanted" in " ".join(answer.error.advice)

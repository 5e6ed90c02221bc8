"""The law of schedules: one that is named like a setting follows it, and a run says where they no longer agree."""

import logging
from datetime import timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.flow_engine import run_flow_sync

from availability.settings import load_settings
from tasks.schedules import disagreements, is_switched_off, wanted_interval
from tasks.workspace import open_workspace
from tests.prefect_api import Api, wait_for

CHECK = "health-check-interval-hours"
HOURS = "ENHANCED_MODEL_HEALTH_CHECK_INTERVAL_HOURS"


def settings(**env):
    return load_settings(env={f"ENHANCED_MODEL_{name.upper()}": value for name, value in env.items()}, dotenv=None)


def schedule(*, slug=CHECK, hours=24.0, active=True):
    return DeploymentSchedule(schedule=IntervalSchedule(interval=timedelta(hours=hours)), slug=slug, active=active)


@pytest.mark.parametrize(
    ("slug", "hours"),
    [
        (CHECK, 36.5),
        ("schedules-ensure-interval-hours", 6),
        ("every-hour-quick", None),
        ("download-max-retries", None),
        (None, None),
    ],
)
def test_a_schedule_that_is_named_like_a_setting_in_hours_runs_as_often_as_it_says(slug, hours):
    given = settings(health_check_interval_hours="36.5")
    assert wanted_interval(slug, given) == (None if hours is None else timedelta(hours=hours))


@pytest.mark.parametrize(("said", "off"), [("none", False), ("other", False), ("a, check-health", True), ("*", True)])
def test_a_deployment_is_switched_off_by_its_name_or_with_all_others(said, off):
    assert is_switched_off("check-health", settings(schedules_switched_off=said)) is off


@pytest.mark.parametrize(
    ("known", "given", "told"),
    [
        (schedule(), {}, ""),
        (schedule(hours=12), {}, f"{CHECK} runs every 12 h, and {HOURS} says every 24 h."),
        (schedule(), {"health_check_interval_hours": "1.5"}, "says every 1.5 h."),
        (schedule(hours=12, active=False), {}, ""),
        (schedule(slug="my-own", hours=12), {}, ""),
        (
            DeploymentSchedule(schedule=CronSchedule(cron="0 0 * * *"), slug=CHECK, active=True),
            {},
            f"{CHECK} runs not at an interval",
        ),
        (schedule(), {"schedules_switched_off": "check-health"}, f"{CHECK} is active, and ENHANCED_MODEL_SCHEDULES"),
        (schedule(active=False), {"schedules_switched_off": "*"}, ""),
    ],
)  # fmt: skip
def test_what_the_server_does_otherwise_is_a_sentence(known, given, told):
    sentences = disagreements("check-health", [known], settings(**given))
    assert bool(sentences) is bool(told)
    assert told in "".join(sentences)


@flow
def look_around():
    """Open the installation, as every flow of ours does."""
    open_workspace({})


@pytest.mark.prefect
def test_a_run_says_which_of_its_schedules_no_longer_agrees(prefect_server, monkeypatch):
    api = Api(prefect_server)
    schedules = [DeploymentScheduleCreate(schedule=schedule().schedule, slug=slug) for slug in (CHECK, "my-own")]
    deployment = look_around.to_deployment("look-around", schedules=schedules).apply()

    def warnings():
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(deployment)
            run_flow_sync(look_around, client.read_flow_run(run.id), {}, return_type="state")
        wait_for(lambda: [log for log in api.logs(str(run.id)) if "Finished in state" in log["message"]])
        return [log["message"] for log in api.logs(str(run.id)) if log["level"] == logging.WARNING]

    try:
        assert warnings() == []
        monkeypatch.setenv(HOURS, "12")
        (warning,) = warnings()
        assert f"{CHECK} runs every 24 h" in warning
        assert warning.endswith("Mend it: make up, or make deploy")
    finally:
        api.delete(f"/deployments/{deployment}")

"""The law of prefect.yaml: what it names is there, and a server takes it."""

import re

import pytest
import yaml
from prefect.client.schemas.schedules import construct_schedule
from prefect.flows import load_flow_from_entrypoint

from analytics.sqlfiles import named_queries
from deployments.documents import ROOT
from deployments.local import POOL

TEXT = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
DEPLOYMENTS = yaml.safe_load(TEXT)["deployments"]
SCHEDULE_FIELDS = ("cron", "interval", "rrule", "timezone", "anchor_date")

deployments = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


def load(deployment):
    return load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)


def check_parameters(flow, parameters):
    """A server refuses bad values and lets unknown names pass; then the run fails."""
    assert parameters.keys() <= flow.parameters.properties.keys()
    # What a form or a trigger has to fill in.
    flow.validate_parameters(dict.fromkeys(flow.parameters.required, "org/name") | parameters)


@deployments
def test_its_flow_can_be_loaded_and_takes_its_parameters(deployment):
    flow = load(deployment)
    assert flow.name == deployment["name"]
    check_parameters(flow, deployment["parameters"])


@deployments
def test_its_schedules_are_schedules(deployment):
    for schedule in deployment["schedules"]:
        assert construct_schedule(**{name: schedule[name] for name in SCHEDULE_FIELDS if name in schedule})
        check_parameters(load(deployment), schedule.get("parameters", {}))
    slugs = [schedule["slug"] for schedule in deployment["schedules"]]
    assert len({*slugs}) == len(slugs)


@deployments
def test_a_person_learns_what_it_is_for_and_it_runs_in_our_pool(deployment):
    assert deployment["description"].strip().endswith(".")
    assert deployment["tags"]
    assert deployment["work_pool"]["name"] == POOL


def test_sweeps_come_often_enough_for_the_time_between_them_to_be_known():
    """A sweep that is late by a quarter of an hour still counts; one that does not come leaves its hour unknown."""
    (hourly,) = [
        schedule["cron"]
        for deployment in DEPLOYMENTS
        for schedule in deployment["schedules"]
        if schedule.get("parameters") == {"mode": "quick"}
    ]
    assert re.fullmatch(r"\d+ \* \* \* \*", hourly)
    (gap,) = [one for one in named_queries()["availability"].parameters if one.name == "max_gap_minutes"]
    assert 60 + 15 <= float(gap.default) < 2 * 60


def test_every_flow_is_deployed_once_in_alphabetical_order():
    names = [deployment["name"] for deployment in DEPLOYMENTS]
    assert names == sorted(names)
    modules = {deployment["entrypoint"].rpartition(".")[0] for deployment in DEPLOYMENTS}
    written = {f"flows.{path.stem}" for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__"}
    assert modules == written


def test_its_prefect_is_the_pinned_one():
    said = yaml.safe_load(TEXT)["prefect-version"]
    assert re.search(rf"^prefect=={re.escape(said)}\b", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

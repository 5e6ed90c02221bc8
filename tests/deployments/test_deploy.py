"""The law of deploying: what differs is made or mended, what is as it should be is left alone."""

from dataclasses import replace
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client

from availability.settings import load_settings
from deployments.deploy import put_deployments
from deployments.manifest import read_manifest
from deployments.work_pool import put_pool
from tests.prefect_api import Api

NAME = "check-health"
SLUG = "health-check-interval-hours"


@pytest.fixture
def client(prefect_server):
    with get_client(sync_client=True) as client:
        assert str(client.api_url).rstrip("/") == prefect_server.rstrip("/")
        yield client


@pytest.fixture
def manifest(client):
    """One deployment in a pool of its own, as the settings want it."""
    pool = f"pool-{uuid4()}"

    def read(**given):
        made = read_manifest(load_settings(given, env={}, dotenv=None))
        (entry,) = (entry for entry in made.deployments if entry["name"] == NAME)
        work_pool = {**entry["work_pool"], "name": pool}
        return replace(made, pool=replace(made.pool, name=pool), deployments=({**entry, "work_pool": work_pool},))

    put_pool(client, read().pool)
    yield read
    client.delete_deployment(client.read_deployment_by_name(f"{NAME}/{NAME}").id)
    client.delete_work_pool(pool)


def schedules(client):
    found = client.read_deployment_by_name(f"{NAME}/{NAME}")
    return found.id, {schedule.slug: schedule for schedule in found.schedules}


@pytest.mark.prefect
@pytest.mark.slow
def test_a_schedule_that_no_longer_agrees_is_mended_and_nothing_else_is_touched(client, manifest, prefect_server):
    assert put_deployments(client, manifest()) == [f"deployment {NAME} made"]
    made, before = schedules(client)
    assert put_deployments(client, manifest()) == []
    assert schedules(client) == (made, before)

    # Somebody has switched it off in the UI.
    Api(prefect_server).patch(f"/deployments/{made}/schedules/{before[SLUG].id}", active=False)
    assert put_deployments(client, manifest()) == [f"deployment {NAME} mended"]
    assert put_deployments(client, manifest()) == []
    assert schedules(client)[1][SLUG].active

    # And here somebody wants it more often.
    often = manifest(**{"health.check_interval_hours": 5})
    assert put_deployments(client, often) == [f"deployment {NAME} mended"]
    assert put_deployments(client, often) == []
    found, after = schedules(client)
    assert found == made
    assert after[SLUG].schedule.interval.total_seconds() == 5 * 3600
    assert after.keys() == before.keys()

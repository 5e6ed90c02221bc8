"""The canary for the pins of Prefect's own requirements: a server comes up, and a schedule fires.

Prefect's requirements let pip choose versions with which it does not work, and it says so nowhere: with fastapi 0.155
or newer the server dies at import, with sqlalchemy 2.1 it runs and never makes a scheduled run. So pyproject.toml holds
`fastapi<0.151` and `sqlalchemy[asyncio]<2.1`, and this test notices what no other would.

When it fails after a change of versions, look at the server's log, which it prints. A server that does not start is
fastapi's case; no SCHEDULED run in time, and `Can't evaluate bulk DML statement` in the log, is sqlalchemy's. Put that
bound back, `make pins`, and try again. When Prefect has moved on, take a bound away, `make pins`, and if this test
passes, leave it away.
"""

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.local import start_server
from tests.prefect_api import Api, wait_for

FIRES_WITHIN_SECONDS = 90.0


@flow
def sing():
    """Do nothing: it is scheduled, and never run."""


@pytest.mark.prefect
@pytest.mark.slow
def test_a_server_comes_up_and_a_schedule_fires(prefect_home):
    server, env = start_server(prefect_home)
    try:
        api = Api(env["PREFECT_API_URL"])
        with temporary_settings({PREFECT_API_URL: env["PREFECT_API_URL"]}):
            deployment = str(sing.to_deployment("canary", cron="0 * * * *").apply())
        wanted = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        scheduled = wait_for(lambda: api.post("/flow_runs/filter", **wanted), seconds=FIRES_WITHIN_SECONDS)
        assert all(run["auto_scheduled"] for run in scheduled)
    finally:
        server.stop()
        print(server.last_words(50))  # noqa: T201  pytest shows it when the canary has died

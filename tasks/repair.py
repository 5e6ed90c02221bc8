"""Mending as a Prefect task."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from availability import road
from availability.download import Download
from availability.integrity import Finding
from availability.plan import Plan
from tasks.attempts import attempt


@task(name="repair", task_run_name="repair {download}", cache_policy=NO_CACHE, persist_result=False)
def repair_model(download: Download, plan: Plan, findings: Sequence[Finding]) -> Plan:
    """Fetch what a check has found wrong, and no more; then look again."""
    with attempt(download):
        road.repair(download, plan, findings)
        road.confirm(download, plan)
        return plan

"""Judging what is there as a Prefect task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from availability import road
from availability.download import Download
from availability.integrity import Finding
from availability.plan import Plan


# Never cached: what it observes is the disk, and a result from before a repair would be a lie.
@task(name="integrity", task_run_name="integrity {download}", cache_policy=NO_CACHE, persist_result=False)
def check_integrity(download: Download, plan: Plan) -> tuple[Finding, ...]:
    """Judge every file that is not yet proven; return what is wrong."""
    return road.check(download, plan)

"""Planning, fetching and publishing as Prefect tasks."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from availability import road
from availability.download import Download
from availability.ensure import ready_outcome
from availability.outcome import EnsureOutcome
from availability.plan import Plan
from availability.road import Ready
from tasks.attempts import attempt


@task(name="observe", cache_policy=NO_CACHE, persist_result=False)
def observe_models(downloads: Sequence[Download]) -> list[EnsureOutcome | None]:
    """Look which models are ready: complete and proven, from the disk alone."""
    found = (road.find_ready(download) for download in downloads)
    return [ready_outcome(download, ready) if ready else None for download, ready in zip(downloads, found, strict=True)]


@task(name="plan", task_run_name="plan {download}", cache_policy=NO_CACHE, persist_result=False)
def plan_model(download: Download) -> Plan:
    """Find out what the model must be and what is missing, and make sure that it fits."""
    with attempt(download):
        made = road.plan(download)
        road.reserve(download, made)
        return made


@task(name="download", task_run_name="download {download}", cache_policy=NO_CACHE, persist_result=False)
def fetch_model(download: Download, plan: Plan) -> Plan:
    """Bring what is absent into staging, every byte proven as it arrives."""
    with attempt(download):
        road.fetch(download, plan)
        return plan


@task(name="publish", task_run_name="publish {download}", cache_policy=NO_CACHE, persist_result=False)
def publish_model(download: Download, plan: Plan) -> Ready:
    """Give everything its final name, and let the revision point to it."""
    return road.publish(download, plan)

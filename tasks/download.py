"""Looking at models and bringing them as Prefect tasks."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from availability import road
from availability.download import Download
from availability.ensure import find_ready
from availability.outcome import Ensured
from availability.road import Ready
from tasks.attempts import attempt


@task(name="observe", cache_policy=NO_CACHE, persist_result=False)
def observe_models(downloads: Sequence[Download]) -> list[Ensured | None]:
    """Look which models are ready: complete and proven, from the disk alone."""
    return find_ready(downloads)


# One task, not one a step: it is what the server does for a task that costs time, and a retry goes on where it stopped.
@task(name="download", task_run_name="download {download}", cache_policy=NO_CACHE, persist_result=False)
def bring_model(download: Download) -> Ready:
    """Take a model from wherever it is to verified and published: plan, fetch, check, repair, publish."""
    with attempt(download):
        return road.travel(download)

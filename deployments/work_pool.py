"""Makes the work pool and its queues on a server, and mends them; what is as it should be is left alone."""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from deployments.manifest import Pool


def put_pool(client: SyncPrefectClient, pool: Pool) -> list[str]:
    """Bring a pool and its queues to what they should be; return what was changed, a line each.

    Deployments name their queue, and the server would make a queue that it does not know with the least priority: so
    queues come before deployments, in the order of their priority.
    """
    changes = _put_pool(client, pool)
    known = {queue.name: queue for queue in client.read_work_queues(work_pool_name=pool.name)}
    for queue in sorted(pool.queues, key=lambda queue: queue.priority):
        found = known.get(queue.name)
        if found is None:
            client.create_work_queue(queue.name, queue.description, priority=queue.priority, work_pool_name=pool.name)
            changes.append(f"queue {queue.name} of {pool.name} made")
        elif (found.priority, found.description) != (queue.priority, queue.description):
            client.update_work_queue(found.id, priority=queue.priority, description=queue.description)
            changes.append(f"queue {queue.name} of {pool.name} mended")
    return changes


def _put_pool(client: SyncPrefectClient, pool: Pool) -> list[str]:
    try:
        found = client.read_work_pool(pool.name)
    except ObjectNotFound:
        template = pool.template or ProcessWorker.get_default_base_job_template()
        made = WorkPoolCreate(
            name=pool.name, type=pool.type, base_job_template=dict(template), concurrency_limit=pool.concurrency_limit
        )
        client.create_work_pool(made)
        return [f"work pool {pool.name} made, for workers of the kind {pool.type}"]
    # Without a template of ours, the one on the server is whatever people make of it.
    template = pool.template or found.base_job_template
    if (found.base_job_template, found.concurrency_limit) == (template, pool.concurrency_limit):
        return []
    client.update_work_pool(
        pool.name, WorkPoolUpdate(base_job_template=dict(template), concurrency_limit=pool.concurrency_limit)
    )
    return [f"work pool {pool.name} mended"]

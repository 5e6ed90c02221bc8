"""A Prefect flow of your own that needs a model: one task makes sure of it, the next ones use its folder.

    python examples/call_from_a_flow.py
    python examples/call_from_a_flow.py org/name

It runs on the server that PREFECT_API_URL names, or on a temporary one. To see a download's steps, its progress and
its retries in the Prefect UI, call the deployed flow instead:

    from prefect.deployments import run_deployment
    run_deployment("ensure-models/ensure-models", parameters={"models": ["org/name"]})
"""

import sys
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from availability import ensure


# No retries: `ensure` repeats by itself what can pass. No cache: what it observes is the disk.
@task(task_run_name="ensure {model}", cache_policy=NO_CACHE)
def ensure_model(model: str) -> Path:
    """Return the folder of a model that is complete and verified."""
    return ensure(model).path


@task(cache_policy=NO_CACHE)
def use_model(folder: Path) -> str:
    """Stand in for the work that needs the model."""
    names = sorted(path.name for path in folder.iterdir())
    return f"{len(names)} files to work with: {', '.join(names)}"


@flow(log_prints=True)
def nightly_evaluation(model: str) -> str:
    """Ensure a model, then use it."""
    result = use_model(ensure_model(model))
    print(result)
    return result


if __name__ == "__main__":
    print(nightly_evaluation(sys.argv[1] if len(sys.argv) > 1 else "HuggingFaceTB/SmolLM2-135M-Instruct"))

"""A Prefect flow of your own that asks for a model, and works with what it gets: the model, or its stand-in.

    python examples/request_from_a_flow.py
    python examples/request_from_a_flow.py org/name

It runs on the server that PREFECT_API_URL names, or on a temporary one. What is here is used at once; what is not is
begun by a run of the deployment ensure-models, where it is deployed, and can be followed by its id.
"""

import sys

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from availability.answer import ActionTaken, RequestAnswer
from flows.request_model import request_model


@task(cache_policy=NO_CACHE)
def evaluate(answer: RequestAnswer) -> str:
    """Stand in for the work that needs the model; what it was done with is part of the result."""
    names = sorted(path.name for path in answer.path.iterdir()) if answer.path else []
    note = f" instead of {answer.model}" if answer.is_substituted else ""
    return f"{answer.served}{note}: {len(names)} files to work with"


@flow(log_prints=True)
def nightly_evaluation(model: str) -> str:
    """Ask for a model; go on with whatever can be had now, and say so."""
    answer = request_model(model)
    if answer.action_taken is ActionTaken.MODEL_READY:
        result = evaluate(answer)
    else:
        decided = f", decided: {answer.resolution.decision.kind.value}" if answer.resolution else ""
        result = f"{answer.action_taken.value}: {answer.message} (download {answer.download_id}{decided})"
    print(result)
    return result


if __name__ == "__main__":
    nightly_evaluation(sys.argv[1] if len(sys.argv) > 1 else "HuggingFaceTB/SmolLM2-135M-Instruct")

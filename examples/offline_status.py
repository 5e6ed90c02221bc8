"""Ask at the start of a service whether its models are there, without the network and without reading them.

    python examples/offline_status.py
    python examples/offline_status.py org/one org/two

Ends with 0 when all can be used, else with 1 and what to type. It costs less than a millisecond a model, so it may be
asked at every start and every health check. Works with HF_HUB_OFFLINE=1 and with the cable pulled.
"""

import sys

from availability import EnhancedModelAvailabilityError, open_workspace, status


def main(models: list[str]) -> int:
    """Say how available models are, and return whether one is not."""
    here = open_workspace()  # once, where several are asked for
    ready = True
    for model in models:
        try:
            found = status(model, workspace=here)
        except EnhancedModelAvailabilityError as error:
            print(f"{model}: {error.message}")
            ready = False
            continue
        print(f"{found.model}: {found.availability_status}", found.path or "")
        for step in found.next_steps():
            print(f"  {step}")
        ready = ready and found.availability_status.is_available
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["HuggingFaceTB/SmolLM2-135M-Instruct"]))

"""Fetch several models and show how far each is, in your own words.

    python examples/wait_with_progress.py
    python examples/wait_with_progress.py org/one org/two

The listener is called some twenty times a second for each model, in the thread that is at work on it; what it does
should be short. One model's failure does not stop the others.
"""

import sys

from availability import ensure_models
from availability.model import ModelId
from availability.transfer.meter import Progress


class Lines:
    """Prints a line whenever a model is another ten percent further, or waits for something."""

    def __init__(self) -> None:
        self._last: dict[ModelId, str] = {}

    def __call__(self, model: ModelId, progress: Progress) -> None:
        """Take the figures of one model; `progress` has bytes, speed, time left, retries and the reason to wait."""
        told = progress.waiting or f"{progress.phase}, {progress.percent // 10 * 10:.0f} %"
        if self._last.get(model) != told:
            self._last[model] = told
            speed = f" at {progress.bytes_per_second / 1e6:.1f} MB/s" if progress.bytes_per_second else ""
            print(f"{model}: {told}{speed}", flush=True)


def main(models: list[str]) -> int:
    """Ensure models and return how many are not available."""
    outcomes = ensure_models(models, on_progress=Lines())
    for outcome in outcomes:
        print(f"{outcome.model_id}: {outcome.path or outcome.error}")
    return sum(not outcome.success for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["HuggingFaceTB/SmolLM2-135M-Instruct"]))

"""Make sure that a model is there, then read it from its folder.

    python examples/ensure_and_load.py
    python examples/ensure_and_load.py org/name

The folder is a snapshot of a plain Hugging Face cache, so `transformers.AutoModel.from_pretrained(folder)` takes it as
well. Here the standard library reads it: the configuration, and the header of each safetensors file.
"""

import json
import sys
from math import prod
from pathlib import Path

from availability import EnhancedModelAvailabilityError, ensure


def parameters_in(weights: Path) -> int:
    """Count the parameters in a safetensors file by its header: eight bytes of length, then JSON."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def main(model: str) -> None:
    """Ensure a model and say what it is."""
    try:
        outcome = ensure(model, exclude=["onnx/*"])
    except EnhancedModelAvailabilityError as error:
        sys.exit("\n".join([error.message, *error.tried, *error.advice]))
    folder = outcome.path
    config = json.loads((folder / "config.json").read_text())
    count = sum(parameters_in(weights) for weights in folder.glob("*.safetensors"))
    print(f"{model} is in {folder}; {outcome.bytes_fetched:,} bytes were fetched for it.")
    print(f"It is a {config['model_type']} model with {count:,} parameters.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "HuggingFaceTB/SmolLM2-135M-Instruct")

"""A hub for documents and examples: it serves the model they name, in the shape it has on the Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

from deployments.sample import write_model

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PATIENCE_SECONDS = 300


def publish(store: Path) -> Path:
    """Write the model that documents and examples name, and return the folder of its files."""
    files = {
        "README.md": b"# A stand-in\n",
        "config.json": json.dumps({"model_type": "llama"}).encode(),
        "model.safetensors": 100_256,
        "onnx/model.onnx": 5000,
        "tokenizer.json": b"{}\n",
    }
    commit = write_model(store, MODEL, files)
    return store / f"models--{MODEL.replace('/', '--')}" / "snapshots" / commit


def run_python(*arguments: object, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process and a working folder of its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **env},
        timeout=_PATIENCE_SECONDS,
    )

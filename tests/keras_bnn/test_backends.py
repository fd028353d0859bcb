"""The same tests on the other backends, each in a process of its own, since Keras chooses its backend once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
NAMES = (
    "applications_larq_weights",
    "binarize",
    "binary_weights",
    "callbacks",
    "constraints",
    "initializers",
    "layer_contract",
    "layer_gradients",
    "layer_quantizers",
    "layer_rprelu",
    "layer_shift_batch_normalization",
    "layers",
    "metrics",
    "models",
    "optimizer_split",
    "optimizer_steps",
    "optimizer_training",
    "power_of_two",
    "quantizers",
    "quantizers_in_models",
    "quantizers_values",
    "quantizers_with_state",
    "summary",
    "summary_macs",
)
FILES = [FOLDER / f"test_{name}.py" for name in NAMES]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backend(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=FOLDER.parents[1], check=False)
    assert run.returncode == 0, f"on the backend {backend}:\n{run.stdout[-6000:]}{run.stderr[-2000:]}"

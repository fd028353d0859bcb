"""Training on two devices gives the weights, and the optimizer's state, of training on one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "distributed_training.py"
OPTIMIZERS = ("shift_adamax", "split")


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_as_one(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, SCRIPT, tmp_path / "weights.npz"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-6000:]
    weights = np.load(tmp_path / "weights.npz")
    assert {name.rsplit("/", 1)[0] for name in weights} == {f"{name}/{n}" for name in OPTIMIZERS for n in (1, 2)}
    for name in weights:
        optimizer, devices, index = name.split("/")
        if devices == "2":
            one = weights[f"{optimizer}/1/{index}"]
            np.testing.assert_allclose(weights[name], one, rtol=1e-4, atol=1e-6, err_msg=name)

"""`keras-bnn demo`, as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    start = time.monotonic()
    command = [sys.executable, "-m", "keras_bnn.cli", "demo", "--output", "kept"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    seconds = time.monotonic() - start
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    assert seconds < 90
    accuracies = re.search(r"test accuracy +([\d.]+)% +([\d.]+)%", result.stdout)
    assert accuracies is not None
    assert min(float(accuracies[1]), float(accuracies[2])) > 96
    equal = re.search(r"equal predictions +(\d+) of 450", result.stdout)
    assert equal is not None
    assert int(equal[1]) >= 449  # a float rounding at a sign may tell one image apart
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "float.tflite",
        "model.keras",
        "packed.tflite",
    ]
    sizes = [(tmp_path / "kept" / name).stat().st_size for name in ("float.tflite", "packed.tflite")]
    assert sizes[0] / sizes[1] > 25

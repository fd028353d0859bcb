"""The examples on scikit-learn's digits run as they stand, and learn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.slow


def accuracies(script: str) -> list[float]:
    """Runs an example and returns the accuracies that it prints, in percent, first to last."""
    result = subprocess.run([sys.executable, str(EXAMPLES / script)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    training = result.stdout.partition("\n\n")[0]
    return [float(percent) for percent in re.findall(r": +([\d.]+)%", training)]


def test_two_step_training() -> None:
    first, second, single = accuracies("two_step_training.py")
    assert min(first, second, single) > 95


def test_distillation() -> None:
    teacher, untrained, distilled, alone = accuracies("distillation.py")
    assert untrained < 60  # signs in place of weights that were trained as numbers
    assert min(teacher, distilled, alone) > 93

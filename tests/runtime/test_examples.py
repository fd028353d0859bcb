"""The examples that need nothing but a runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from keras_bnn import runtime

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_own_interpreter(dense_file: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "own_interpreter.py"), str(dense_file)]
    result = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("tensor_2 [[")
    assert f"kernels: {runtime.cpu_info()['chosen_kernel_set']}" in result.stdout

"""The benchmark of networks: its check, and the script as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import models

    return models


def test_compare(models: Any) -> None:
    exact = np.array([[0.0, 1.0, 0.99995], [5.0, -2.0, 0.0], [0.0, 1.0, 0.0]])

    def scores(row: int, column: int, difference: float) -> np.ndarray:
        changed = exact.copy()
        changed[row, column] += difference
        return changed

    assert models.compare("Net", scores(1, 2, 2**-20), exact) == models.Agreement(2, 2**-20, 5.0)
    with pytest.raises(RuntimeError, match=r"^Net gives the best class .* for 2 of 3 images"):
        models.compare("Net", scores(0, 2, 1e-4), exact)
    for wrong in (0.25, np.nan):
        with pytest.raises(RuntimeError, match=f"for 3 of 3 images, and scores up to {wrong:.3g} away"):
            models.compare("Net", scores(1, 0, wrong), exact)


@pytest.mark.slow
def test_script(tmp_path: Path) -> None:
    figures = tmp_path / "models.json"
    arguments = ["--only", "BinaryNetCIFAR10", "--seconds", "0.01", "--isa", "scalar", "--threads", "2"]
    command = [sys.executable, str(BENCHMARKS / "models.py"), *arguments, "--json", str(figures)]
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BNN_LCE_PYTHON"}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    result = json.loads(figures.read_text())
    assert (result["kernel_set"], result["threads"]) == ("scalar", 2)
    (name, row), *others = result["networks"].items()
    assert (name, others) == ("BinaryNetCIFAR10", [])
    assert f"\n{name} " in printed
    assert row["classes"] > 1
    assert row["largest_difference"] <= 1e-4 * row["largest_score"]
    assert row["bytes"]["packed"] < row["bytes"]["float"] / 20
    latency = row["latency_us"]
    assert row["ratio"] == pytest.approx(latency["float"]["median"] / latency["packed"]["median"])

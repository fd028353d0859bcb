"""The benchmarks with Larq Compute Engine beside us; they check its outputs before they time it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peers
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
KERNELS = ["LCE default", "LCE indirect"]


def figures_of(script: str, only: str, python: str, folder: Path) -> dict:
    """What the script writes as JSON."""
    path = folder / "figures.json"
    command = [
        sys.executable,
        BENCHMARKS / script,
        "--only",
        only,
        "--seconds",
        "0.02",
        "--lce",
        python,
        "--json",
        path,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(path.read_text())


def test_layers(lce_python: str, tmp_path: Path) -> None:
    layers = figures_of("layers.py", "14x14", lce_python, tmp_path)["layers"]
    assert len(layers) == 5
    for name, forms in layers.items():
        peers = [form for form in forms if form.startswith("LCE")]
        if name.startswith(("depthwise", "transposed")):
            assert peers == []
            continue
        assert peers == (KERNELS[1:] if "groups" in name else KERNELS)
        fastest = min(forms[peer]["median"] for peer in peers)
        assert forms["float to float"]["times_lce"] == pytest.approx(fastest / forms["float to float"]["median"])


def test_networks(lce_python: str, tmp_path: Path) -> None:
    (network,) = figures_of("models.py", "BinaryNetCIFAR10", lce_python, tmp_path)["networks"].values()
    latencies = {kind: latency["median"] for kind, latency in network["latency_us"].items()}
    assert list(latencies) == ["float", "packed", *KERNELS, "LCE indirect, XNNPACK"]
    assert latencies[network["peer"]] == min(latencies[kind] for kind in latencies if kind.startswith("LCE"))
    assert network["ratio_to_peer"] == pytest.approx(latencies[network["peer"]] / latencies["packed"])
    assert network["classes"] > 1

"""Packed layers stay as fast, against the stock runtime's int8 ops, as benchmarks/layers_14x14x256.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keras_bnn.runtime import cpu_info

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STORED = BENCHMARKS / "layers_14x14x256.json"  # of the command `layers.py --only 14x14x256 --json`
BAND = (
    0.35  # other CPUs with the same kernels, and other loads: what is lost within it, the counts of instructions show
)
ATTEMPTS = 4
SECONDS = 0.15  # for each form of a layer


def times_as_fast(forms: Any) -> float:
    """How many times as fast as int8 the packed form is, by the fast tenths, which another load moves least."""
    return forms["stock int8"]["p10"] / forms["bits to bits"]["p10"]


@pytest.mark.parametrize("name", json.loads(STORED.read_text())["layers"])
def test_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = json.loads(STORED.read_text())
    if cpu_info()["chosen_kernel_set"] != stored["kernel_set"]:
        pytest.skip(f"the stored times are of {stored['kernel_set']}, not of {cpu_info()['chosen_kernel_set']}")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from layers import LAYERS, measure_layer

    expected = times_as_fast(stored["layers"][name])
    found = []
    for _ in range(ATTEMPTS):
        measured = measure_layer(LAYERS[name], SECONDS, threads=1, isa=None, lce=None)
        found.append(times_as_fast({form: latency._asdict() for form, latency in measured.items()}))
        if found[-1] >= (1 - BAND) * expected:
            return
    figures = ", ".join(f"{times:.2f}" for times in found)
    raise AssertionError(f"{name} is {figures} times as fast as int8; {STORED.name} says {expected:.2f} times.")

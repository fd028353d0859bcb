"""The benchmark of layers: what it expects, its check, and the script as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import sign_arithmetic

from keras_bnn.runtime import Interpreter

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SHAPES: dict[str, dict[str, Any]] = {
    "conv": {"op": "Conv2D", "shape": (5, 6, 64), "filters": 32},
    "stride 2": {"op": "Conv2D", "shape": (7, 6, 32), "filters": 64, "stride": 2},
    "1x1, stride 2": {"op": "Conv2D", "shape": (7, 6, 32), "filters": 64, "kernel": 1, "stride": 2},
    "depthwise": {"op": "DepthwiseConv2D", "shape": (6, 5, 32), "filters": 64, "stride": 2},
    "groups": {"op": "Conv2D", "shape": (7, 6, 64), "filters": 96, "stride": 2, "groups": 2},
    "transposed": {"op": "TransposeConv2D", "shape": (4, 5, 32), "filters": 64, "stride": 2},
    "transposed 4x4": {"op": "TransposeConv2D", "shape": (4, 5, 32), "filters": 32, "kernel": 4, "stride": 2},
    "transposed 1x1": {"op": "TransposeConv2D", "shape": (4, 5, 32), "filters": 32, "kernel": 1, "stride": 2},
    "dense": {"op": "FullyConnected", "shape": (96,), "filters": 32},
    "dense, batch 3": {"op": "FullyConnected", "shape": (64,), "filters": 32, "batch": 3},
    "first": {"op": "Conv2D", "shape": (6, 7, 3), "filters": 32, "is_first": True},
}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the files."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import _layer_files

    return _layer_files


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def layer(request: pytest.FixtureRequest, files: Any) -> Any:
    return files.Layer(**request.param)


def test_sums(layer: Any) -> None:
    x = layer.real_input if layer.is_first else sign_arithmetic.sign(layer.real_input)
    size, strides = (layer.kernel, layer.kernel), (layer.stride, layer.stride)
    if layer.op == "FullyConnected":
        sums = np.einsum("nc,oc->no", x, layer.signs)
    elif layer.op == "TransposeConv2D":
        _, height, width, _ = layer.output_shape
        before = max(0, layer.kernel - layer.stride) // 2
        whole = sign_arithmetic.conv2d_transpose(x, np.moveaxis(layer.signs, 0, 2), strides, (1, 1))
        whole = np.pad(whole, [(0, 0), (0, 1), (0, 1), (0, 0)])  # a 1x1 kernel does not reach the last pixels
        sums = whole[:, before : before + height, before : before + width]
    else:
        padded = sign_arithmetic.pad_same(x, size, strides, (1, 1), 0)
        if layer.op == "DepthwiseConv2D":
            kernel = layer.signs.reshape(*size, layer.channels, -1)
            sums = sign_arithmetic.depthwise_conv2d(padded, kernel, strides, (1, 1))
        else:
            sums = sign_arithmetic.conv2d(padded, np.moveaxis(layer.signs, 0, -1), strides, groups=layer.groups)
    np.testing.assert_array_equal(layer.sums, sums)
    assert 0.2 < np.mean(layer.outputs < 0) < 0.8


def test_every_form_gives_the_outputs_and_no_others(layer: Any, files: Any) -> None:
    forms = {**files.packed_forms(layer), **files.stock_forms(layer)}
    for form in forms.values():
        y = Interpreter(form.content).predict(form.x)
        form.check(y)
        wrong = y.copy()
        wrong.reshape(-1)[-1] += 1 if y.dtype != np.int8 else 3 if y.reshape(-1)[-1] < 100 else -3
        with pytest.raises(AssertionError):
            form.check(wrong)
    assert {"stock float32", "stock int8", "float to float"} < set(forms)


def without_lce() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "KERAS_BNN_LCE_PYTHON"}


def test_script(tmp_path: Path) -> None:
    figures, picture = tmp_path / "layers.json", tmp_path / "layers.png"
    arguments = ["--only", "14x14x256", "--seconds", "0.01", "--isa", "scalar", "--threads", "2"]
    command = [
        sys.executable,
        str(BENCHMARKS / "layers.py"),
        *arguments,
        "--json",
        str(figures),
        "--plot",
        str(picture),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=without_lce()).stdout
    assert "\nWithout Larq Compute Engine: neither --lce nor KERAS_BNN_LCE_PYTHON names a Python" in printed
    result = json.loads(figures.read_text())
    assert (result["kernel_set"], result["threads"]) == ("scalar", 2)
    shapes = ("3x3, 14x14x256", "1x1, 14x14x256", "3x3, 14x14x256, 4 groups", "depthwise 3x3, 14x14x256")
    assert set(result["layers"]) == set(shapes)
    for name, forms in result["layers"].items():
        assert list(forms) == ["bits to bits", "float to float", "stock float32", "stock int8"]
        assert printed.count(f"\n{name:<28}") == len(forms)
        for form in forms.values():
            assert form["times_int8"] == pytest.approx(forms["stock int8"]["median"] / form["median"])
            assert "times_lce" not in form
            assert form["times_float32"] == pytest.approx(forms["stock float32"]["median"] / form["median"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_unknown_layer() -> None:
    command = [sys.executable, str(BENCHMARKS / "layers.py"), "--only", "9x9"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--only is '9x9', but has to be a part of one of these names: 3x3, 56x56x64; " in result.stderr


def test_ratios_to_the_faster_kernel_of_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from layers import ratios_to_peers

    from keras_bnn.cli.latency import Latency

    medians = {
        "float to float": 2.0,
        "stock float32": 32.0,
        "stock int8": 8.0,
        "LCE default": 64.0,
        "LCE indirect": 16.0,
    }
    ratios = ratios_to_peers({form: Latency(median, 1.0, 99.0, 3) for form, median in medians.items()})
    assert ratios["float to float"] == {"times_float32": 16.0, "times_int8": 4.0, "times_lce": 8.0}
    assert ratios["LCE default"]["times_lce"] == 0.25


@pytest.mark.parametrize("python", [sys.executable, "no-such-python"])
def test_a_python_without_the_peer(python: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "layers.py"), "--only", "7x7", "--lce", python]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    expected = f"--lce is {python}, but has to be a Python that imports larq_zoo, larq_compute_engine: "
    assert expected in result.stderr

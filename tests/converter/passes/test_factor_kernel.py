"""A batch normalization that became part of the binary dense kernel behind it."""

from __future__ import annotations

import numpy as np
import pytest
from support.float_graphs import FloatGraph, kinds, only, random_input, rewrite, rewrite_and_compare, run_file

from keras_bnn import runtime
from keras_bnn.converter.graph import Tensor


def _layer(graph: FloatGraph, x: Tensor, inputs: np.ndarray, outputs: np.ndarray) -> Tensor:
    kernel = graph.kernel((len(outputs), len(inputs)), 1.0) * inputs.astype(np.float32)
    return graph.dense(x, kernel * outputs[:, None].astype(np.float32), graph.bias(len(outputs)))


def test_powers_of_two_are_exact() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (5, 40))
    inputs = 2.0 ** graph.rng.integers(-3, 3, 40) * graph.rng.choice([-1, 1], 40)
    inputs[3] = 0
    outputs = 2.0 ** graph.rng.integers(-3, 3, 9)
    outputs[5] = 0
    packed = rewrite_and_compare(graph.finish(_layer(graph, x, inputs, outputs)), random_input(x.dims))
    assert kinds(packed) == ["MUL", "BnnFullyConnected"]
    scale = only(packed, "MUL").input(1)
    assert scale is not None
    assert scale.values[3] == 0


def test_rounded_products() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (5, 40))
    y = _layer(graph, x, graph.rng.normal(size=40), graph.rng.normal(size=9))
    source = graph.finish(y)
    packed, rewritten = rewrite(source)
    assert kinds(rewritten) == ["MUL", "BnnFullyConnected"]
    values = random_input(x.dims)
    expected, actual = run_file(source, [values])[0], run_file(packed, [values], [runtime.load_delegate()])[0]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("case", ["one weight differs", "real", "of one sign", "small"])
def test_other_kernels_stay(case: str) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (5, 3 if case == "small" else 40))
    inputs, outputs = graph.rng.uniform(0.5, 2, x.dims[1]), graph.rng.uniform(0.5, 2, 9)
    kernel = (graph.kernel((9, x.dims[1]), 1.0) * inputs * outputs[:, None]).astype(np.float32)
    if case == "one weight differs":
        kernel[8, 39] *= 1.00001
    elif case == "real":
        kernel = graph.rng.normal(size=kernel.shape).astype(np.float32)
    elif case == "of one sign":
        kernel = np.abs(kernel)
    assert kinds(rewrite(graph.finish(graph.dense(x, kernel)))[1]) == ["FULLY_CONNECTED"]

"""What is computed from constants alone equals what the stock runtime computes, and is computed once."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import VALID, FloatGraph, kinds, only, random_input, rewrite_and_compare, run_file

from keras_bnn.converter.constants import constant, constant_bytes, uniform
from keras_bnn.converter.graph import Tensor
from keras_bnn.converter.patterns import binary_kernel

Build = Callable[[FloatGraph, Tensor], Tensor]


def _options(name: str, **fields: object) -> object:
    options = getattr(schema, name)()
    for field, value in fields.items():
        setattr(options, field, value)
    return options


def _larq(graph: FloatGraph, weights: Tensor) -> Tensor:
    """Larq's sign, sign(sign(w) + 0.1)."""
    return graph.sign(weights, "larq")


def _magnitude_aware(graph: FloatGraph, weights: Tensor) -> Tensor:
    """The sign times the mean of the absolute values."""
    sizes = graph.op("ABS", [weights], weights.dims)
    means = graph.op(
        "MEAN",
        [sizes, graph.integers([0, 1, 2])],
        (1, 1, 1, weights.dims[3]),
        _options("ReducerOptionsT", keepDims=True),
    )
    return graph.op("MUL", [_larq(graph, weights), means], weights.dims, schema.MulOptionsT())


def _cast(graph: FloatGraph, weights: Tensor) -> Tensor:
    return graph.sign(weights, "cast")


def _clipped(graph: FloatGraph, weights: Tensor) -> Tensor:
    clipped = graph.op("MINIMUM", [weights, graph.constant(1.0)], weights.dims)
    clipped = graph.op("MAXIMUM", [clipped, graph.constant(-1.0)], weights.dims)
    clipped = graph.op("RELU_N1_TO_1", [clipped], weights.dims)
    return graph.sign(graph.op("NEG", [clipped], weights.dims), "greater_equal")


def _broadcast(graph: FloatGraph, weights: Tensor) -> Tensor:
    """where(w >= 0, ones, -ones) with ones of the kernel's shape."""
    shape = graph.integers(weights.dims)
    ones = graph.op("FILL", [shape, graph.constant(1.0)], weights.dims)
    minus = graph.op("NEG", [ones], weights.dims)
    return graph.op(
        "SELECT_V2", [graph.compare("GREATER_EQUAL", weights, graph.constant(0.0)), ones, minus], weights.dims
    )


def _reshaped(graph: FloatGraph, weights: Tensor) -> Tensor:
    rows = graph.reshape(graph.sign(weights), (-1, weights.dims[3]))
    expanded = graph.op("EXPAND_DIMS", [rows, graph.integers(0)], (1, *rows.dims))
    squeezed = graph.op("SQUEEZE", [expanded], rows.dims, _options("SqueezeOptionsT", squeezeDims=[0]))
    return graph.reshape(squeezed, weights.dims)


BUILDS = (_larq, _magnitude_aware, _cast, _clipped, _broadcast, _reshaped)


@pytest.mark.parametrize("build", BUILDS)
def test_values_are_the_stock_runtime_s(build: Build) -> None:
    graph = FloatGraph()
    fed = graph.add_input("w", (2, 3, 2, 5))
    values = random_input(fed.dims)
    expected = run_file(graph.finish(build(graph, fed)), [values])[0]
    graph = FloatGraph()
    # The runtime multiplies a sum by 1 / count, which rounds once more than the mean does here.
    tolerance = 3e-7 if build is _magnitude_aware else 0
    np.testing.assert_allclose(constant(build(graph, graph.constant(values))), expected, rtol=tolerance)  # type: ignore[arg-type]


@pytest.mark.parametrize("build", BUILDS)
def test_kernels_that_were_left_are_packed(build: Build) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 2))
    latent = graph.constant(graph.rng.integers(1, 8, (3, 3, 2, 4)) * 2**-3 * graph.kernel((3, 3, 2, 4), 1.0))
    if build is _magnitude_aware:  # means that are powers of two, so that all sums are exact
        latent = graph.constant(np.broadcast_to(0.5, (3, 3, 2, 4)) * graph.kernel((3, 3, 2, 4), 1.0))
    built = build(graph, latent)
    weights = graph.op("TRANSPOSE", [built, graph.integers([3, 0, 1, 2])], (4, 3, 3, 2), schema.TransposeOptionsT())
    conv = _options("Conv2DOptionsT", padding=VALID, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    y = graph.op("CONV_2D", [graph.sign(x), weights, graph.constant(graph.bias(4))], (2, 3, 4, 4), conv)
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
    multiplier = only(packed, "BnnConv2D").input(2)
    assert multiplier is not None
    np.testing.assert_array_equal(multiplier.values, 0.5 if build is _magnitude_aware else 1)


def test_quantized_and_activated_arithmetic_is_left_alone() -> None:
    graph = FloatGraph()
    codes = graph.constant(np.array([1, -2], np.int8))
    assert constant(graph.op("ADD", [codes, codes], (2,), schema.AddOptionsT())) is None
    assert constant(graph.op("DEQUANTIZE", [codes], (2,))) is None
    ones = graph.constant(np.ones(2, np.float32))
    assert constant(graph.op("ADD", [ones, ones], (2,), _options("AddOptionsT", fusedActivationFunction=1))) is None


def test_quotients_of_integers_are_left_alone() -> None:
    graph = FloatGraph()
    halves = graph.add_tensor("halves", (2,), np.int32)
    graph.add_op("DIV", [graph.integers([7, -7]), graph.integers([2, 2])], [halves], schema.DivOptionsT())
    assert constant(halves) is None


def test_what_is_fed_is_no_constant() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2,))
    assert constant(graph.shift(x, 1.0)) is None
    assert uniform(graph.op("BROADCAST_TO", [graph.constant(3.0), x], (2,))) == 3.0


def test_shared_operands_are_evaluated_and_counted_once() -> None:
    """Without that, 60 doublings would take 2**60 evaluations."""
    graph = FloatGraph()
    y = graph.constant(np.ones(3, np.float32))
    for _ in range(60):
        y = graph.op("ADD", [y, y], (3,), schema.AddOptionsT())
    np.testing.assert_array_equal(constant(y), np.full(3, 2.0**60, np.float32))
    assert constant_bytes(graph.op("ABS", [y], (3,)).producer) == 12  # type: ignore[arg-type]


def test_a_long_chain_is_not_walked_for_each_of_its_tensors() -> None:
    """A residual network's shortcuts are a chain of ADD from its first to its last layer."""
    graph = FloatGraph()
    chain = [graph.add_input("x", (2,))]
    for _ in range(4000):
        chain.append(graph.op("ADD", [chain[-1], graph.constant(1.0)], (2,), schema.AddOptionsT()))
    start = time.process_time()
    assert all(constant(tensor) is None for tensor in chain)
    assert time.process_time() - start < 1.0


def test_large_kernel_is_found_fast() -> None:
    """XNOR-Net's 6 x 6 convolution: 37.7 million weights, whose sign and scale the stock converter leaves."""
    graph = FloatGraph()
    x = graph.add_input("x", (1, 6, 6, 256))
    columns = np.arange(4096, dtype=np.float32) % 5 - 2.5
    latent = graph.constant(np.broadcast_to(columns, (6, 6, 256, 4096)))
    scaled = _magnitude_aware(graph, latent)
    order = graph.integers([3, 0, 1, 2])
    weights = graph.op("TRANSPOSE", [scaled, order], (4096, 6, 6, 256), schema.TransposeOptionsT())
    y = graph.op("CONV_2D", [x, weights], (1, 1, 1, 4096), schema.Conv2DOptionsT())
    assert y.producer is not None
    start = time.process_time()
    kernels = [binary_kernel(y.producer) for _ in range(20)]
    assert time.process_time() - start < 2.0
    assert kernels[-1] is not None
    np.testing.assert_array_equal(kernels[-1].scale, np.abs(columns))

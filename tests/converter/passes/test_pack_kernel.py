"""Which kernels are binary, what their scale becomes, and which ops are refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    FloatGraph,
    kinds,
    only,
    random_input,
    refusals,
    rewrite,
    rewrite_and_compare,
)

from keras_bnn.converter.bits import pack_signs, unpack_signs


def test_weights_scale_and_bias() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 35))
    weights, bias = graph.kernel((4, 3, 2, 35), [0.5, 0.0, 2.0, 4.0]), graph.bias(4)
    weights[2] = -2.0
    y = graph.conv(graph.sign(x), weights, bias)
    op = only(rewrite_and_compare(graph.finish(y), random_input(x.dims)), "BnnConv2D")
    _, packed, multiplier, packed_bias = (tensor for tensor in op.inputs if tensor is not None)
    assert packed.dims == (4, 3, 2, 2)
    np.testing.assert_array_equal(unpack_signs(packed.values, 35), weights < 0)
    assert not unpack_signs(packed.values, 64)[..., 35:].any()
    np.testing.assert_array_equal(multiplier.values, [0.5, 0.0, 2.0, 4.0])
    np.testing.assert_array_equal(packed_bias.values, bias)


@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_convolution_options(padding: int, activation: int) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 9, 8, 12))
    weights = graph.kernel((8, 3, 2, 3))
    y = graph.conv(graph.sign(x), weights, graph.bias(8), stride=(2, 3), padding=padding, activation=activation)
    op = only(rewrite_and_compare(graph.finish(y), random_input(x.dims)), "BnnConv2D")
    expected = {
        "channels_in": 12,
        "groups": 4,
        "stride_h": 2,
        "stride_w": 3,
        "padding": padding,
        "activation": activation,
    }
    assert {key: op.options[key] for key in expected} == expected


def test_dilation_options() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 9, 8, 5))
    y = graph.conv(graph.sign(x), graph.kernel((8, 3, 2, 5)), dilation=(2, 3), padding=SAME)
    op = only(rewrite_and_compare(graph.finish(y), random_input(x.dims)), "BnnConv2D")
    assert (op.options["dilation_h"], op.options["dilation_w"]) == (2, 3)


def test_real_valued_input() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 3))
    y = graph.dense(graph.conv(x, graph.kernel((4, 3, 3, 3)), graph.bias(4), padding=SAME), graph.kernel((5, 120)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnConv2D", "BnnFullyConnected"]
    assert only(packed, "BnnConv2D").input(0) is packed.inputs[0]


@pytest.mark.parametrize("bias", [True, False])
def test_dense_flattens_its_input(bias: bool) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3, 4, 5))
    y = graph.dense(graph.sign(x), graph.kernel((6, 60)), graph.bias(6) if bias else None)
    op = only(rewrite_and_compare(graph.finish(y), random_input(x.dims)), "BnnFullyConnected")
    weights = op.input(1)
    assert weights is not None
    assert weights.dims == (6, 12)  # one word for the 5 channels of each of 12 pixels


@pytest.mark.parametrize("dims", [(4, 6), (2, 4, 6), (-1, 6)])
def test_dense_with_rows_of_parts_of_dimensions(dims: tuple[int, ...]) -> None:
    """FULLY_CONNECTED only asks that the number of values is a multiple of a row."""
    graph = FloatGraph()
    x = graph.add_input("x", dims)
    y = graph.dense(graph.sign(x), graph.kernel((5, 8)), graph.bias(5))
    packed = rewrite_and_compare(graph.finish(y), random_input(dims, batch=4), numpy_reference=False)
    assert "BnnFullyConnected" in kinds(packed)


def test_dense_on_rank_3_makes_rows() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3, 40))
    y = graph.dense(graph.sign(x), graph.kernel((6, 40)))
    assert y.dims == (6, 6)
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "RESHAPE", "BnnFullyConnected"]
    assert only(packed, "RESHAPE").output.dims == (6, 2)


def test_real_kernels_stay() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 3))
    real = graph.rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    averaging = np.full((4, 2, 2, 4), 0.25, np.float32)  # one absolute value, but nothing tells that it is a sign
    pointwise = np.diag([1.0, -2.0, 3.0, -4.0]).astype(np.float32)[:, None, None] * 0 + 1
    y = graph.conv(graph.conv(graph.conv(x, real), averaging), pointwise.reshape(4, 1, 1, 4))
    _, packed = rewrite(graph.finish(y))
    assert kinds(packed) == ["CONV_2D"] * 3
    assert not refusals(packed)


def test_scales_of_either_sign_and_zero() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 40))
    weights = graph.kernel((5, 40), [-0.5, 0.0, 2.0, -0.0, -4.0])
    y = graph.dense(graph.sign(x), weights, graph.bias(5))
    y = graph.dense(graph.sign(y), graph.kernel((3, 5), [-1.0, 0.0, 2.0]))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected", "BnnFullyConnected"]


def test_kernel_of_zeros_behind_a_sign() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 8))
    y = graph.dense(graph.sign(x), np.zeros((3, 8), np.float32), graph.bias(3))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected"]


@pytest.mark.parametrize("value", [0.0, 0.5, np.float32(1) + np.finfo(np.float32).eps])
def test_second_absolute_value_is_refused(value: float) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 70))
    weights = graph.kernel((3, 70), 1.0)
    weights[1, 69] = value
    packed = rewrite(graph.finish(graph.dense(graph.sign(x), weights)))[1]
    assert kinds(packed) == ["LESS", "SELECT_V2", "FULLY_CONNECTED"]
    reason = refusals(packed)["FULLY_CONNECTED"].reason
    assert "channel 1 of its weights has 2 absolute values" in reason
    assert ("0 among them" in reason) == (value == 0)


def test_infinite_scale_is_refused() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 7))
    y = graph.dense(graph.sign(x), np.where(graph.kernel((3, 7)) < 0, -np.inf, np.inf).astype(np.float32))
    assert "FULLY_CONNECTED" in kinds(rewrite(graph.finish(y))[1])


def test_computed_bias_is_refused() -> None:
    graph = FloatGraph()
    x, bias = graph.add_input("x", (2, 7)), graph.add_input("bias", (3,))
    options = schema.FullyConnectedOptionsT()
    y = graph.op("FULLY_CONNECTED", [graph.sign(x), graph.constant(graph.kernel((3, 7))), bias], (2, 3), options)
    packed = rewrite(graph.finish(y))[1]
    assert refusals(packed)["FULLY_CONNECTED"].reason == "its bias is computed at run time"


@pytest.mark.parametrize("activation", [schema.ActivationFunctionType.TANH, -1])
def test_unknown_activation_is_refused(activation: int) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 7))
    y = graph.dense(graph.sign(x), graph.kernel((3, 7)), activation=activation)
    assert "fused activation" in refusals(rewrite(graph.finish(y))[1])["FULLY_CONNECTED"].reason


def test_kernel_behind_computations_on_constants() -> None:
    """What the stock converter leaves of a kernel's sign that it does not fold, and of float16 weights."""
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 3))
    negative = graph.rng.random((3, 3, 3, 4)) < 0.4
    condition = graph.constant(negative)
    select = graph.op("SELECT_V2", [condition, graph.constant(-1.0), graph.constant(1.0)], negative.shape)
    weights = graph.op("TRANSPOSE", [select, graph.integers([3, 0, 1, 2])], (4, 3, 3, 3), schema.TransposeOptionsT())
    y = graph.conv(graph.sign(x), np.zeros((4, 3, 3, 3), np.float32))
    op = y.producer
    assert op is not None
    graph.set_input(op, 1, weights)
    bias = graph.add_constant("float16_bias", np.array([1, -2, 0.5, 0], np.float16))
    graph.set_input(op, 2, graph.op("DEQUANTIZE", [bias], (4,), schema.DequantizeOptionsT()))
    graph.ops.remove(op)
    graph.ops.append(op)
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
    weights_after = only(packed, "BnnConv2D").input(1)
    assert weights_after is not None
    np.testing.assert_array_equal(weights_after.values, pack_signs(negative.transpose(3, 0, 1, 2)))

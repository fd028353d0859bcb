"""Useless patterns are found, with what is in the way and what to do; what only looks like them is not."""

from __future__ import annotations

import numpy as np
import pytest
from support.float_graphs import NONE, RELU, RELU6, RELU_N1_TO_1, FloatGraph

from keras_bnn.converter import convert
from keras_bnn.converter.advice import find_advice, find_constant_channels, find_constant_signs, find_real_inputs
from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.converter.graph import Graph, Tensor

F = np.float32


def signed_convolution(graph: FloatGraph, *, activation: int) -> Tensor:
    """A real-valued convolution with an activation, and nothing behind it yet."""
    x = graph.add_input("x", (-1, 8, 8, 3))
    weights = graph.rng.normal(size=(16, 3, 3, 3)).astype(F)
    return graph.conv(x, weights, graph.bias(16), activation=activation)


@pytest.mark.parametrize(("activation", "culprit"), [(NONE, ""), (RELU_N1_TO_1, ""), (RELU, "ReLU"), (RELU6, "ReLU6")])
@pytest.mark.parametrize("form", ["less", "greater_equal", "larq", "cast"])
def test_activation_before_a_sign(activation: int, culprit: str, form: str) -> None:
    graph = FloatGraph()
    sign = graph.sign(graph.pool(signed_convolution(graph, activation=activation)), form)
    report = convert(graph.finish(graph.conv(sign, graph.kernel((4, 2, 2, 16)))), verify=False)
    if not culprit:
        assert report.advice == ()
        return
    (advice,) = report.advice
    assert advice.name == sign.name
    assert advice.sentence == (
        f"{advice.kind} {sign.name}: the {culprit} of CONV_2D conv_2d_0 before the sign makes the sign constant: "
        "nothing is below 0, and every bit is +1; remove it, or put the sign in front of it."
    )
    assert "makes the sign constant" in str(report)
    assert report.to_dict()["advice"][0]["remedy"] == advice.remedy
    (still,) = find_constant_signs(read_model(report.model).graphs[0])  # the packed file tells the same
    assert still[0].kind == "BnnQuantize"


def test_ops_that_are_never_negative() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 3))
    for kind in ("RELU", "LOGISTIC", "ABS"):
        padded = graph.pad(graph.op(kind, [x], x.dims), [(0, 0), (1, 1), (1, 1), (0, 0)])
        graph.sign(padded)
    graph.sign(graph.pad(graph.op("RELU", [x], x.dims), [(0, 0), (1, 1), (1, 1), (0, 0)], -1.0))
    graph.sign(graph.op("TANH", [x], x.dims))
    found = [refusal.reason.split(" before")[0] for _, refusal in find_constant_signs(graph)]
    assert found == ["the ReLU of RELU relu_0", "the sigmoid of LOGISTIC logistic_4", "the absolute value of ABS abs_8"]


@pytest.mark.parametrize(
    ("steps", "activation", "culprit"),
    [
        (0, RELU, "its own ReLU"),
        (0x5, NONE, "its own ReLU"),
        (0x85, NONE, "its own ReLU"),
        (0x185, NONE, ""),
        (0x15, RELU, ""),
        (0x7, NONE, "its own ReLU6"),
        (0, NONE, ""),
    ],
)
def test_packed_op_that_gives_bits(steps: int, activation: int, culprit: str) -> None:
    """Steps, the first digit last: 1 adds, 5 is ReLU, 7 ReLU6, and 8 is where the numbers leave."""
    graph = Graph()
    x = graph.add_input("x", (-1, 40))
    bits = graph.add_tensor("bits", (-1, 2), np.int32)
    graph.add_op("BnnQuantize", [x], [bits], {})
    constants = [np.zeros((8, 2), np.int32), np.ones(8, F), np.zeros(8, F), np.ones(8, F)]
    inputs = [bits, *(graph.add_constant(f"c{index}", values) for index, values in enumerate(constants))]
    outputs = [graph.add_tensor("y", (-1, 8)), graph.add_tensor("y/bits", (-1, 1), np.int32)]
    options = {"channels_in": 40, "steps": steps, "activation": activation}
    graph.add_op("BnnFullyConnected", inputs, outputs, options)
    found = [refusal.reason for _, refusal in find_constant_signs(graph)]
    assert [reason.split(" before")[0] for reason in found] == ([culprit] if culprit else [])


def test_constant_channels() -> None:
    """ReLU and sign inside a packed op become thresholds that no sum reaches."""
    graph = FloatGraph()
    x = graph.sign(graph.add_input("x", (-1, 8, 8, 40)))
    y = graph.conv(x, graph.kernel((16, 2, 2, 40)), graph.bias(16), activation=RELU)
    report = convert(graph.finish(graph.conv(graph.sign(y), graph.kernel((4, 2, 2, 16)))), verify=False)
    (advice,) = report.advice  # the sign's sentence alone, not also that of its thresholds
    assert "the ReLU of CONV_2D conv_2d_2" in advice.reason
    packed = read_model(report.model).graphs[0]
    ((op, refusal),) = find_constant_channels(packed)
    assert op.kind == "BnnConv2D"
    assert refusal.reason == "each of its 16 channels gives +1 for every input, whatever it reads"
    again = convert(report.model, verify=False)
    assert [one.reason for one in again.advice] == [refusal.reason]


def test_binary_weights_that_read_numbers() -> None:
    """A first layer may; one behind another kernel may be meant to."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 3))
    first = graph.conv(x, graph.kernel((16, 3, 3, 3)))
    second = graph.conv(graph.pool(first), graph.kernel((8, 2, 2, 16)))
    third = graph.conv(graph.sign(second), graph.kernel((8, 2, 2, 8)))
    graph.outputs = [third]
    ((op, refusal),) = find_real_inputs(graph)
    assert op is second.producer
    assert "its weights are binary and its input is float32" in refusal.reason
    assert "input_quantizer='ste_sign'" in refusal.remedy
    assert [op for op, _ in find_advice(graph)] == [second.producer]
    report = convert(graph.finish(third), verify=False)
    assert [(one.kind, one.remedy) for one in report.advice] == [("BnnConv2D", refusal.remedy)]

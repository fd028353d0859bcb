"""Shortcuts and other ops behind packed ops become steps."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import RELU, SAME, FloatGraph, kinds, only, random_input, rewrite_and_compare

from keras_bnn.converter.custom_ops import ADD, DIV, FIRST_OUTPUT, MUL, PRELU, STEP_RELU, STEP_RELU6, steps_of
from keras_bnn.converter.graph import Tensor


def prelu(graph: FloatGraph, x: Tensor, slope: np.ndarray) -> Tensor:
    """Adds PRELU with one slope per channel."""
    return graph.op("PRELU", [x, graph.constant(slope.reshape(*[1] * (len(x.dims) - 2), -1))], x.dims)


def add(graph: FloatGraph, one: Tensor, two: Tensor, activation: int = 0) -> Tensor:
    """Adds ADD of two computed tensors."""
    options = schema.AddOptionsT()
    options.fusedActivationFunction = activation
    return graph.op("ADD", [one, two], one.dims, options)


class TestResidualBlocks:
    """A convolution, its shortcut, and the sign of the sum are one op."""

    def test_a_chain_of_blocks_has_one_op_a_convolution(self) -> None:
        graph = FloatGraph()
        x = y = graph.add_input("x", (-1, 6, 5, 40))
        for _ in range(3):
            y = add(graph, graph.conv(graph.sign(y), graph.kernel((40, 3, 3, 40)), graph.bias(40), padding=SAME), y)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D", "BnnConv2D"]
        for op in packed.find("BnnConv2D"):
            assert steps_of(op.options) == (ADD,)
        assert [len(op.outputs) for op in packed.find("BnnConv2D")] == [2, 2, 1]

    def test_a_shortcut_that_is_computed_after_the_convolution(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 6, 5, 9))
        y = graph.conv(graph.sign(x), graph.kernel((9, 3, 3, 9)), padding=SAME)
        packed = rewrite_and_compare(graph.finish(add(graph, y, graph.scale(x, 0.5))), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "MUL", "BnnConv2D"]

    def test_two_convolutions_of_one_sum(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 6, 5, 9))
        branches = [graph.conv(graph.sign(x), graph.kernel((7, 3, 3, 9)), padding=SAME) for _ in range(2)]
        packed = rewrite_and_compare(graph.finish(add(graph, *branches, activation=RELU)), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]
        assert steps_of(packed.find("BnnConv2D")[1].options) == (ADD, STEP_RELU)

    def test_shifts_and_slopes_of_reactnet(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 6, 5, 9))
        y = graph.conv(
            graph.sign(graph.shift(x, graph.bias(9))), graph.kernel((9, 3, 3, 9)), graph.bias(9), padding=SAME
        )
        y = graph.shift(add(graph, y, x), graph.bias(9))
        y = graph.shift(prelu(graph, y, graph.bias(9)), graph.bias(9))
        z = graph.conv(graph.sign(graph.shift(y, graph.bias(9))), graph.kernel((9, 1, 1, 9)))
        packed = rewrite_and_compare(graph.finish(add(graph, z, y)), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]
        assert steps_of(packed.find("BnnConv2D")[0].options) == (ADD, ADD, PRELU, ADD, FIRST_OUTPUT, ADD)

    def test_a_gate_per_image_and_channel(self) -> None:
        graph = FloatGraph()
        x, gate = graph.add_input("x", (-1, 6, 5, 9)), graph.add_input("gate", (-1, 1, 1, 7))
        y = graph.conv(graph.sign(x), graph.kernel((7, 3, 3, 9)))
        y = graph.op("MUL", [y, gate], y.dims, schema.MulOptionsT())
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), random_input(gate.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
        assert steps_of(only(packed, "BnnConv2D").options) == (MUL,)

    def test_dense(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 33))
        y = add(graph, graph.dense(graph.sign(x), graph.kernel((33, 33)), graph.bias(33)), x)
        y = graph.dense(graph.sign(y), graph.kernel((5, 33)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected", "BnnFullyConnected"]
        assert packed.find("BnnFullyConnected")[0].output.type_name == "int32"

    def test_other_shapes_stay(self) -> None:
        graph = FloatGraph()
        x, row = graph.add_input("x", (2, 6, 5, 9)), graph.add_input("row", (2, 1, 5, 9))
        y = graph.conv(graph.sign(x), graph.kernel((9, 3, 3, 9)), padding=SAME)
        y = graph.op("ADD", [y, row], y.dims, schema.AddOptionsT())
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), random_input(row.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "ADD"]


class TestConstantSteps:
    """What comes behind a multiplier and bias that are not free any more."""

    @pytest.mark.parametrize("slopes", ["rising", "turning"])
    def test_prelu_before_batch_normalization(self, slopes: str) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 6, 9))
        slope = np.abs(graph.bias(40)) if slopes == "rising" else graph.bias(40)
        y = prelu(graph, graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 9)), graph.bias(40)), slope)
        y = graph.shift(graph.scale(y, graph.bias(40)), graph.bias(40))
        y = graph.conv(graph.sign(y), graph.kernel((3, 1, 1, 40)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]
        first = packed.find("BnnConv2D")[0]
        if slopes == "rising":
            assert (len(first.inputs), first.options["steps"]) == (3, 0)  # one threshold holds all of it
        else:
            assert steps_of(first.options) == (PRELU, MUL, ADD)

    def test_division_and_activations(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 9))
        y = graph.dense(graph.sign(x), graph.kernel((4, 9)), graph.bias(4), activation=RELU)
        y = graph.op("DIV", [y, graph.constant(np.array([3.0, -4, 0.5, 8], np.float32))], y.dims, schema.DivOptionsT())
        y = graph.op("RELU6", [y], y.dims)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected"]
        assert steps_of(only(packed, "BnnFullyConnected").options) == (DIV, STEP_RELU6)

    def test_the_longest_list_of_steps(self) -> None:
        graph = FloatGraph()
        x = y = graph.add_input("x", (2, 9))
        y = graph.dense(graph.sign(x), graph.kernel((4, 9)), graph.bias(4))
        for _ in range(16):
            y = graph.shift(y, graph.bias(4))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected", "ADD"]


class TestFoldShift:
    """MUL and ADD in front of a sign."""

    def test_a_dense_network_of_concatenations(self) -> None:
        graph = FloatGraph()
        x = y = graph.add_input("x", (2, 6, 5, 9))
        for _ in range(2):
            shifted = graph.shift(graph.scale(y, graph.bias(y.dims[3])), graph.bias(y.dims[3]))
            z = graph.conv(graph.sign(shifted), graph.kernel((5, 3, 3, y.dims[3])), padding=SAME)
            options = schema.ConcatenationOptionsT()
            options.axis = 3
            y = graph.op("CONCATENATION", [y, z], (*y.dims[:3], y.dims[3] + 5), options)
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "CONCATENATION"] * 2
        assert [len(op.inputs) for op in packed.find("BnnQuantize")] == [3, 3]

    def test_what_others_read_too(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 6, 5, 9))
        y = add(graph, graph.conv(graph.sign(x), graph.kernel((9, 3, 3, 9)), padding=SAME), x)
        z = graph.shift(graph.scale(y, graph.bias(9)), graph.bias(9))
        w = graph.conv(graph.sign(z), graph.kernel((9, 3, 3, 9)), padding=SAME)
        packed = rewrite_and_compare(graph.finish(add(graph, w, y), z), random_input(x.dims))
        assert sorted(kinds(packed)) == ["ADD", "BnnConv2D", "BnnConv2D", "BnnQuantize", "MUL"]

    @pytest.mark.parametrize("sign", [1, -1, 0])
    def test_max_pool_in_front(self, sign: int) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 7, 8, 9))
        multiplier = graph.bias(40) if sign == 0 else sign * np.abs(graph.bias(40))
        y = graph.pool(graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 9), 1.0)), (3, 2), stride=(2, 1), padding=SAME)
        y = graph.shift(graph.scale(y, multiplier), graph.bias(40))
        y = graph.conv(graph.sign(y), graph.kernel((3, 1, 1, 40)))
        packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
        assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnMaxPool2D", "BnnConv2D"]
        assert len(packed.find("BnnConv2D")[0].inputs) == 3
        assert len(only(packed, "BnnMaxPool2D").inputs) == (1 if sign == 1 else 2)

"""SUB, DIV and NEG of a batch normalization as MUL and ADD."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph, kinds, random_input, rewrite, rewrite_and_compare

from keras_bnn.converter.graph import Tensor

Step = Callable[[FloatGraph, Tensor], Tensor]


def _sub(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("SUB", [y, graph.constant(graph.bias(y.dims[-1]))], y.dims, schema.SubOptionsT())


def _sub_from(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("SUB", [graph.constant(graph.bias(y.dims[-1])), y], y.dims, schema.SubOptionsT())


def _neg(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("NEG", [y], y.dims)


def _div(graph: FloatGraph, y: Tensor) -> Tensor:
    powers = 2.0 ** graph.rng.integers(-3, 3, y.dims[-1]) * graph.rng.choice([-1, 1], y.dims[-1])
    return graph.op("DIV", [y, graph.constant(powers)], y.dims, schema.DivOptionsT())


STEPS = (_sub, _sub_from, _neg, _div)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("signed", [False, True])
def test_behind_a_packed_op(step: Step, signed: bool) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 9))
    y = step(graph, graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 9), 1.0)))
    if signed:
        y = graph.conv(graph.sign(y), graph.kernel((4, 1, 1, 40)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", *["BnnConv2D"] * (1 + signed)]


@pytest.mark.parametrize("step", STEPS)
def test_in_front_of_a_sign(step: Step) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 9))
    y = graph.conv(graph.sign(step(graph, x)), graph.kernel((4, 3, 3, 9)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert not {"DIV", "NEG", "SUB"} & set(kinds(packed))


def test_activation_stays() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 9))
    options = schema.SubOptionsT()
    options.fusedActivationFunction = 1
    y = graph.dense(graph.sign(x), graph.kernel((4, 9), 1.0))
    y = graph.op("SUB", [y, graph.constant(graph.bias(4))], y.dims, options)
    assert kinds(rewrite_and_compare(graph.finish(y), random_input(x.dims))) == ["BnnQuantize", "BnnFullyConnected"]


def test_elsewhere_everything_stays() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 9))
    y = graph.dense(graph.sign(_sub(graph, x)), graph.kernel((4, 9), 1.0))
    z = graph.dense(_neg(graph, x), graph.rng.normal(size=(4, 9)).astype(np.float32))
    found = kinds(rewrite(graph.finish(y, _div(graph, z)))[1])
    assert "NEG" in found
    assert "DIV" in found
    assert "SUB" not in found


def test_division_that_rounds_is_no_product() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (4, 9))
    thirds = graph.constant(np.array([3, 0.3, 7, 1e-40], np.float32))
    y = graph.dense(graph.sign(x), graph.kernel((4, 9), 1.0))
    y = graph.op("DIV", [y, thirds], y.dims, schema.DivOptionsT())
    rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)


def test_many_ways_to_no_sign_take_no_time() -> None:
    """Residual networks reach each tensor on twice as many ways as the one before."""
    graph = FloatGraph()
    x = graph.add_input("x", (2, 9))
    y = _neg(graph, x)
    for _ in range(60):
        y = graph.op("ADD", [y, graph.scale(y, 0.5)], y.dims, schema.AddOptionsT())
    z = graph.dense(graph.sign(x), graph.kernel((4, 9)))
    assert kinds(rewrite(graph.finish(y, z))[1])[0] == "NEG"

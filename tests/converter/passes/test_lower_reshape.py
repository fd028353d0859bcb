"""Activations and batch normalization behind a Conv1D."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph, kinds, random_input, rewrite_and_compare

from keras_bnn.converter.graph import Tensor

Step = Callable[[FloatGraph, Tensor], Tensor]


def _batch_normalization(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.shift(graph.scale(y, graph.bias(6)), graph.bias(6))


def _divided(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("DIV", [y, graph.constant(np.full((1, 6), 3, np.float32))], y.dims, schema.DivOptionsT())


def _subtracted_from(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("SUB", [graph.constant(graph.bias(6)), y], y.dims, schema.SubOptionsT())


def _prelu(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("PRELU", [y, graph.constant(graph.bias(6).reshape(1, 6))], y.dims)


def _relu(graph: FloatGraph, y: Tensor) -> Tensor:
    return graph.op("RELU", [y], y.dims)


STEPS = (_batch_normalization, _divided, _subtracted_from, _prelu, _relu)


def _conv_1d(graph: FloatGraph, x: Tensor) -> Tensor:
    image = graph.reshape(graph.sign(x), (x.dims[0], 1, *x.dims[1:]))
    y = graph.conv(image, graph.kernel((6, 1, 3, x.dims[-1]), 1.0))
    return graph.reshape(y, (x.dims[0], y.dims[2], 6))


@pytest.mark.parametrize("step", STEPS)
def test_steps_become_part_of_the_convolution(step: Step) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 12, 5))
    packed = rewrite_and_compare(graph.finish(step(graph, _conv_1d(graph, x))), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "RESHAPE", "BnnConv2D", "RESHAPE"]


@pytest.mark.parametrize("case", ["one value a position", "two users", "another shape"])
def test_what_concerns_more_than_channels_stays(case: str) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 12, 5))
    y = _conv_1d(graph, x)
    if case == "another shape":
        y = graph.reshape(y, (2, 60))
    values = graph.bias(60).reshape(10, 6) if case == "one value a position" else graph.bias(y.dims[-1])
    outputs = [graph.scale(y, values)] + ([y] if case == "two users" else [])
    packed = rewrite_and_compare(graph.finish(*outputs), random_input(x.dims))
    assert "MUL" in kinds(packed)

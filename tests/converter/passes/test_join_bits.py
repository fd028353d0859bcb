"""Concatenations of signs along channels."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import SAME, FloatGraph, kinds, only, random_input, refusals, rewrite_and_compare

from keras_bnn.converter.graph import Tensor


def _join(graph: FloatGraph, *sources: Tensor, axis: int = 3, activation: int = 0) -> Tensor:
    options = schema.ConcatenationOptionsT()
    options.axis, options.fusedActivationFunction = axis, activation
    dims = list(sources[0].dims)
    dims[axis] = sum(source.dims[axis] for source in sources)
    return graph.op("CONCATENATION", sources, dims, options)


@pytest.mark.parametrize("axis", [3, -1])
@pytest.mark.parametrize("sign_first", [False, True])
@pytest.mark.parametrize("channels", [(32, 9), (64, 32, 1)])
def test_words_are_joined(channels: tuple[int, ...], sign_first: bool, axis: int) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 5, 6, 9))
    sources = [graph.conv(graph.sign(x), graph.kernel((count, 3, 3, 9)), graph.bias(count)) for count in channels]
    sources = [graph.sign(source) for source in sources] if sign_first else sources
    joined = _join(graph, *sources, axis=axis)
    joined = joined if sign_first else graph.sign(joined)
    y = graph.conv(joined, graph.kernel((4, 2, 2, sum(channels))))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert kinds(packed) == ["BnnQuantize", *["BnnConv2D"] * len(channels), "CONCATENATION", "BnnConv2D"]
    assert only(packed, "CONCATENATION").output.type_name == "int32"


def test_with_a_signed_and_a_real_source() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 32))
    y = graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 32)), padding=SAME)
    y = graph.conv(graph.sign(_join(graph, x, y)), graph.kernel((4, 2, 2, 72)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "CONCATENATION", "BnnConv2D"]


def test_float_users_keep_the_values() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 32))
    joined = _join(graph, graph.sign(x), graph.sign(graph.scale(x, -1.0)))
    y = graph.conv(joined, graph.kernel((4, 2, 2, 64)))
    packed = rewrite_and_compare(graph.finish(y, joined), random_input(x.dims), numpy_reference=False)
    assert kinds(packed).count("CONCATENATION") == 1


@pytest.mark.parametrize("sign_first", [False, True])
def test_broken_words_are_refused(sign_first: bool) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 9))
    joined = _join(graph, graph.sign(x), graph.sign(x)) if sign_first else graph.sign(_join(graph, x, x))
    y = graph.conv(joined, graph.kernel((4, 2, 2, 18)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    refusal = refusals(packed)["CONCATENATION" if sign_first else "BnnQuantize"]
    assert "joins 9 and 9 channels" in refusal.reason
    assert "multiples of 32" in refusal.remedy


@pytest.mark.parametrize("case", ["rows", "activation"])
def test_other_concatenations_stay(case: str) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 32))
    joined = _join(graph, x, x, axis=1 if case == "rows" else 3, activation=case == "activation")
    y = graph.conv(graph.sign(joined), graph.kernel((4, 2, 2, joined.dims[3])))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert only(packed, "CONCATENATION").output.type_name == "float32"
    assert np.all([op.kind != "SELECT_V2" for op in packed.ops])

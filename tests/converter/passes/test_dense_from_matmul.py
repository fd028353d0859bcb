"""Dense layers that were written as BATCH_MATMUL."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph, kinds, random_input, refusals, rewrite, rewrite_and_compare

from keras_bnn.converter.graph import Tensor


def _matmul(graph: FloatGraph, x: Tensor, kernel: np.ndarray, *, adj_x: bool = False, adj_y: bool = False) -> Tensor:
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = adj_x, adj_y
    rows = x.dims[-1] if adj_x else x.dims[-2]
    units = kernel.shape[-2] if adj_y else kernel.shape[-1]
    return graph.op("BATCH_MATMUL", [x, graph.constant(kernel)], (*x.dims[:-2], rows, units), options)


@pytest.mark.parametrize("adj_y", [False, True])
@pytest.mark.parametrize("dims", [(3, 40), (-1, 7, 40), (2, 3, 4, 40)])
@pytest.mark.parametrize("stacked", [False, True])
def test_is_packed(dims: tuple[int, ...], adj_y: bool, stacked: bool) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", dims)
    kernel = graph.kernel((33, 40))
    kernel = kernel if adj_y else kernel.T
    y = _matmul(graph, graph.sign(x), kernel[None] if stacked and len(dims) > 2 else kernel, adj_y=adj_y)
    y = graph.shift(y, graph.bias(33))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected"]


def test_real_kernel_stays() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3, 5))
    y = _matmul(graph, graph.sign(x), graph.rng.normal(size=(5, 4)).astype(np.float32))
    packed = rewrite(graph.finish(y))[1]
    assert kinds(packed) == ["LESS", "SELECT_V2", "BATCH_MATMUL"]
    assert "5 absolute values" in refusals(packed)["BATCH_MATMUL"].reason


@pytest.mark.parametrize("case", ["adj_x", "several matrices"])
def test_refusals(case: str) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 5))
    if case == "adj_x":
        y, reason = _matmul(graph, graph.sign(x), graph.kernel((5, 4), 1.0), adj_x=True), "transposes its input"
    else:
        y, reason = _matmul(graph, graph.sign(x), graph.kernel((2, 5, 4), 1.0)), "2 matrices"
    packed = rewrite(graph.finish(y))[1]
    assert "BATCH_MATMUL" in kinds(packed)
    assert reason in refusals(packed)["BATCH_MATMUL"].reason

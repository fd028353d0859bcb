"""Multiply-accumulates of each op with a kernel, against sizes written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import SAME, VALID, FloatGraph
from support.lce_graphs import RandomLceGraph

from keras_bnn.converter.graph import Graph, Op
from keras_bnn.converter.multiply_accumulates import added_by_precision, multiply_accumulates, precision

F = np.float32


def stock(kind: str, dims: tuple[int, ...], weights: tuple[int, ...], output: tuple[int, ...], options: object) -> Op:
    """An op of three tensors; TRANSPOSE_CONV reads its output's shape first."""
    graph = Graph()
    x, y = graph.add_input("x", dims), graph.add_tensor("y", output)
    kernel = graph.add_constant("w", np.ones(weights, F))
    inputs = (
        [graph.add_constant("shape", np.array(output, np.int32)), kernel, x] if "TRANSPOSE" in kind else [x, kernel]
    )
    return graph.add_op(kind, inputs, [y], options)


def matmul(*, transposed: bool) -> schema.BatchMatMulOptionsT:
    options = schema.BatchMatMulOptionsT()
    options.adjY = transposed
    return options


@pytest.mark.parametrize(
    ("kind", "dims", "weights", "output", "options", "expected"),
    [
        ("CONV_2D", (-1, 9, 8, 6), (10, 3, 2, 6), (-1, 7, 7, 10), None, 7 * 7 * 10 * 3 * 2 * 6),
        ("CONV_2D", (-1, 9, 8, 6), (10, 3, 2, 2), (-1, 7, 7, 10), None, 7 * 7 * 10 * 3 * 2 * 2),
        ("CONV_2D", (4, 9, 8, 6), (10, 3, 2, 6), (4, 7, 7, 10), None, 4 * 7 * 7 * 10 * 3 * 2 * 6),
        ("CONV_2D", (-1, -1, -1, 6), (10, 3, 2, 6), (-1, -1, -1, 10), None, None),
        ("DEPTHWISE_CONV_2D", (-1, 9, 8, 6), (1, 3, 2, 12), (-1, 7, 7, 12), None, 7 * 7 * 12 * 3 * 2),
        ("TRANSPOSE_CONV", (-1, 4, 5, 6), (10, 3, 2, 6), (-1, 9, 11, 10), None, 4 * 5 * 6 * 3 * 2 * 10),
        ("CONV_3D", (-1, 4, 9, 8, 6), (2, 3, 2, 6, 10), (-1, 3, 7, 7, 10), None, 3 * 7 * 7 * 10 * 2 * 3 * 2 * 6),
        ("FULLY_CONNECTED", (-1, 40), (7, 40), (-1, 7), None, 40 * 7),
        ("FULLY_CONNECTED", (-1, 5, 40), (7, 40), (-1, 5, 7), None, 5 * 40 * 7),
        ("BATCH_MATMUL", (-1, 5, 40), (40, 7), (-1, 5, 7), matmul(transposed=False), 5 * 40 * 7),
        ("BATCH_MATMUL", (-1, 5, 40), (7, 40), (-1, 5, 7), matmul(transposed=True), 5 * 40 * 7),
    ],
)
def test_stock_ops(
    kind: str,
    dims: tuple[int, ...],
    weights: tuple[int, ...],
    output: tuple[int, ...],
    options: object,
    expected: int | None,
) -> None:
    op = stock(kind, dims, weights, output, options)
    assert multiply_accumulates(op) == expected
    assert precision(op) == "32x32"


def packed(kind: str, weights: tuple[int, ...], dims: tuple[int, ...], output: tuple[int, ...], **options: int) -> Op:
    """A packed op on bits of a float tensor with as many channels as `dims` has; 70 output channels."""
    graph = Graph()
    x = graph.add_input("x", dims)
    bits = graph.add_tensor("bits", (*dims[:-1], -(-dims[-1] // 32)), np.int32)
    graph.add_op("BnnQuantize", [x], [bits], {})
    constants = [graph.add_constant("w", np.zeros(weights, np.int32)), graph.add_constant("t", np.zeros(70, np.int32))]
    y = graph.add_tensor("y", output, np.int32)
    return graph.add_op(kind, [bits, *constants], [y], {"channels_in": dims[-1], **options})


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (packed("BnnConv2D", (70, 3, 2, 2), (-1, 9, 8, 40), (-1, 7, 7, 3), padding=1), 7 * 7 * 70 * 3 * 2 * 40),
        (
            packed("BnnConv2D", (70, 3, 2, 1), (-1, 9, 8, 40), (-1, 7, 7, 3), padding=1, groups=2),
            7 * 7 * 70 * 3 * 2 * 20,
        ),
        (packed("BnnDepthwiseConv2D", (3, 2, 3), (-1, 9, 8, 35), (-1, 7, 7, 3), padding=1), 7 * 7 * 70 * 3 * 2),
        (packed("BnnTransposeConv2D", (70, 3, 2, 2), (-1, 4, 5, 40), (-1, 9, 11, 3)), 4 * 5 * 40 * 3 * 2 * 70),
        (packed("BnnFullyConnected", (70, 2), (-1, 40), (-1, 3)), 40 * 70),
    ],
)
def test_packed_ops(op: Op, expected: int) -> None:
    assert multiply_accumulates(op) == expected
    assert precision(op) == "1x1"


def test_larq_ops() -> None:
    graph = RandomLceGraph()
    bits = graph.lce_quantize(graph.add_input("x", (-1, 9, 8, 70)))
    conv = graph.lce_conv(bits, 70, 5, (3, 2), padding=VALID).producer
    assert conv is not None
    assert multiply_accumulates(conv) == 7 * 7 * 5 * 3 * 2 * 70
    assert precision(conv) == "1x1"
    bits = graph.lce_quantize(graph.add_input("z", (-1, 9, 8, 64)))
    grouped = graph.lce_conv(bits, 64, 6, (3, 2), groups=2, padding=VALID).producer
    assert grouped is not None
    assert multiply_accumulates(grouped) == 7 * 7 * 6 * 3 * 2 * 32
    assert multiply_accumulates(graph.ops[0]) == 0


def test_ops_without_products_and_unknown_ones() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 4))
    graph.pool(graph.scale(x, np.ones(4, F)), padding=SAME)
    assert [multiply_accumulates(op) for op in graph.ops] == [0, 0]
    y = graph.op("SomebodysOp", [x], x.dims)
    assert y.producer is not None
    assert multiply_accumulates(y.producer) is None


def test_sums_by_precision() -> None:
    counts = [("32x32", 5), ("1x32", 7), ("1x1", 2), ("8x8", None), ("1x1", 3), ("8x8", 0), ("", 0)]
    assert list(added_by_precision(counts).items()) == [("1x1", 5), ("1x32", 7), ("32x32", 5)]

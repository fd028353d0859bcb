"""Signs in every form that converters write, and what looks like one."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph, kinds, only, random_input, refusals, rewrite, rewrite_and_compare

from keras_bnn.converter.patterns import sign_input

FORMS = ("less", "greater_equal", "zero_greater", "zero_less_equal", "broadcast", "cast", "larq")


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 4, 7))
    y = graph.conv(graph.sign(x, form), graph.kernel((6, 3, 2, 7)), graph.bias(6))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
    assert only(packed, "BnnQuantize").output.dims == (2, 5, 4, 1)


def test_values_are_the_formats() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 6))
    y = graph.dense(graph.sign(x), np.eye(6, dtype=np.float32) * 2 - 1)
    values = np.array([[0.0, -0.0, 1e-45, -1e-45, 3.0, -3.0]], np.float32)
    rewrite_and_compare(graph.finish(y), values)


def test_sign_that_no_binary_kernel_reads_stays() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 8))
    signs = graph.sign(x)
    y = graph.dense(signs, graph.rng.normal(size=(3, 8)).astype(np.float32))
    z = graph.dense(graph.sign(y), graph.kernel((4, 3)))
    _, packed = rewrite(graph.finish(z))
    assert kinds(packed) == ["LESS", "SELECT_V2", "FULLY_CONNECTED", "BnnQuantize", "BnnFullyConnected"]


def test_float_user_and_output_keep_the_values() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 8))
    signs = graph.sign(x)
    y = graph.dense(signs, graph.kernel((3, 8)))
    packed = rewrite_and_compare(graph.finish(y, graph.scale(signs, 3.0), signs), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnDequantize", "BnnFullyConnected", "MUL"]
    assert packed.outputs[2].name == signs.name


def test_several_users_share_the_bits() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 4, 4, 5))
    one = graph.conv(graph.sign(x), graph.kernel((3, 2, 2, 5)))
    two = graph.conv(graph.sign(x, "greater_equal"), graph.kernel((6, 1, 1, 5)))
    packed = rewrite_and_compare(graph.finish(one, two), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]


def test_sign_of_a_sign() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 4, 4, 5))
    y = graph.conv(graph.sign(graph.sign(x)), graph.kernel((3, 2, 2, 5)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]


def test_plain_sign_is_refused() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 8))
    y = graph.dense(graph.op("SIGN", [x], x.dims), graph.kernel((3, 8)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert kinds(packed) == ["SIGN", "BnnFullyConnected"]  # real-valued input: -1, 0 and +1
    assert "maps 0 to 0" in refusals(packed)["SIGN"].reason
    assert "ste_sign" in refusals(packed)["SIGN"].remedy


def _select(graph: FloatGraph, kind: str, if_true: float, if_false: float, zero: float = 0.0) -> bool:
    x = graph.add_input("x", (2, 8))
    condition = graph.add_tensor("condition", x.dims, np.bool_)
    graph.add_op(kind, [x, graph.constant(zero)], [condition])
    y = graph.op("SELECT_V2", [condition, graph.constant(if_true), graph.constant(if_false)], x.dims)
    return sign_input(y.producer) is x


@pytest.mark.parametrize(
    ("kind", "if_true", "if_false", "zero", "is_sign"),
    [
        ("GREATER_EQUAL", 1, -1, 0.0, True),
        ("GREATER_EQUAL", 1, -1, -0.0, True),
        ("GREATER_EQUAL", -1, 1, 0.0, False),  # the negative sign
        ("GREATER_EQUAL", 1, -1, 0.5, False),
        ("GREATER_EQUAL", 1, 0, 0.0, False),
        ("LESS", 1, -1, 0.0, False),
        ("GREATER", 1, -1, 0.0, False),  # 0 would be -1
        ("LESS_EQUAL", -1, 1, 0.0, False),
        ("EQUAL", 1, -1, 0.0, False),
    ],
)
def test_what_is_a_sign(kind: str, if_true: float, if_false: float, zero: float, is_sign: bool) -> None:
    assert _select(FloatGraph(), kind, if_true, if_false, zero) is is_sign


def test_select_that_broadcasts_is_no_sign() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 8))
    condition = graph.add_tensor("condition", x.dims, np.bool_)
    graph.add_op("LESS", [x, graph.constant(0.0)], [condition])
    ones = np.ones((4, 8), np.float32)
    y = graph.op("SELECT_V2", [condition, graph.constant(-ones), graph.constant(ones)], (4, 8))
    assert sign_input(y.producer) is None


def test_larq_shift_beyond_one_is_no_sign() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 8))
    for shift, is_sign in ((0.1, True), (0.999, True), (0.0, False), (-0.1, False), (1.0, False)):
        shifted = graph.op("ADD", [graph.op("SIGN", [x], x.dims), graph.constant(shift)], x.dims, schema.AddOptionsT())
        assert (sign_input(graph.op("SIGN", [shifted], x.dims).producer) is x) is is_sign

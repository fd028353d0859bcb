"""Signs in every form that converters write, and what looks like one."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph, kinds, only, random_input, refusals, rewrite, rewrite_and_compare

from keras_bnn.converter.graph import Tensor
from keras_bnn.converter.patterns import sign_input

FORMS = ("less", "greater_equal", "zero_greater", "zero_less_equal", "broadcast")
FORMS += ("cast", "cast from one", "larq", "mended", "not")


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


def _shifted_sign(
    graph: FloatGraph, x: Tensor, kind: str, thresholds: object, *, mirrored: bool, negated: bool
) -> Tensor:
    """where(x < thresholds, -1, 1), another comparison, its operands in the other order, the other values."""
    operands = (graph.constant(thresholds), x) if mirrored else (x, graph.constant(thresholds))
    values = [graph.constant(value) for value in ((-1.0, 1.0) if negated else (1.0, -1.0))]
    return graph.op("SELECT_V2", [graph.compare(kind, *operands), *values], x.dims)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("kind", ["GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_comparison_with_other_numbers(kind: str, negated: bool, mirrored: bool, per_channel: bool) -> None:
    """Strict or not decides where x equals a threshold; the floats next to it decide about rounding."""
    graph = FloatGraph()
    thresholds = np.array([0.1, -2.5, 1e-30, 7.0, -1e30, 3.0, 0.1], np.float32) if per_channel else np.float32(-0.75)
    x = graph.add_input("x", (5, 7))
    signs = _shifted_sign(graph, x, kind, thresholds, mirrored=mirrored, negated=negated)
    source = graph.finish(graph.dense(signs, np.where(np.eye(7), -1.0, 1.0).astype(np.float32)))
    near = np.broadcast_to(thresholds, 7)
    up, down = np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))
    packed = rewrite_and_compare(source, np.stack([near, up, down, -near, 2 * near]).astype(np.float32))
    assert "SELECT_V2" not in kinds(packed)
    assert kinds(packed)[-2:] == ["BnnQuantize", "BnnFullyConnected"]


@pytest.mark.parametrize(("kind", "negated"), [("GREATER", False), ("LESS_EQUAL", True)])
def test_sign_that_is_negative_at_0_is_refused(kind: str, negated: bool) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (5, 7))
    y = graph.dense(_shifted_sign(graph, x, kind, 0.0, mirrored=False, negated=negated), graph.kernel((3, 7)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert kinds(packed) == [kind, "SELECT_V2", "BnnFullyConnected"]
    assert "-1 at 0" in refusals(packed)["SELECT_V2"].reason


@pytest.mark.parametrize(("kind", "negated"), [("GREATER", True), ("LESS_EQUAL", False)])
def test_sign_of_the_negative(kind: str, negated: bool) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (5, 7))
    y = graph.dense(_shifted_sign(graph, x, kind, 0.0, mirrored=False, negated=negated), graph.kernel((3, 7)))
    assert "SELECT_V2" not in kinds(rewrite_and_compare(graph.finish(y), random_input(x.dims)))


def test_shifted_sign_behind_a_packed_op() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5, 6, 9))
    y = graph.conv(graph.sign(x), graph.kernel((40, 3, 3, 9), 1.0))
    signs = _shifted_sign(graph, y, "LESS", graph.bias(40) + 0.5, mirrored=False, negated=True)
    packed = rewrite_and_compare(graph.finish(graph.conv(signs, graph.kernel((4, 2, 2, 40)))), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D"]


@pytest.mark.parametrize(
    ("thresholds", "reason"),
    [
        (np.array([0.5, np.inf, 1, 2], np.float32), "not finite"),
        (np.array([0.5, 1e-34, 1, 2], np.float32), "round differences"),
        (np.array([0.5, 1e-45, 1, 2], np.float32), "-1 at 0"),
        (np.arange(8, dtype=np.float32).reshape(2, 4), "have the shape [2, 4]"),
    ],
)
def test_thresholds_that_are_refused(thresholds: np.ndarray, reason: str) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (3, 2, 4))
    signs = _shifted_sign(graph, x, "GREATER_EQUAL", thresholds, mirrored=False, negated=False)
    y = graph.dense(graph.reshape(signs, (3, 8)), graph.kernel((5, 8)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims), numpy_reference=False)
    assert reason in refusals(packed)["SELECT_V2"].reason


@pytest.mark.parametrize("thresholds", [0.0, 0.25, np.array([0, 1, -0.5, 2], np.float32)])
@pytest.mark.parametrize("form", ["SELECT_V2", "CAST"])
def test_reshape_inside_a_sign(thresholds: object, form: str) -> None:
    """What TensorFlow writes behind Conv1D, and PyTorch's exporter in other places."""
    graph = FloatGraph()
    x = graph.add_input("x", (2, 1, 6, 4))
    condition = graph.add_tensor("condition", (2, 6, 4), np.bool_)
    comparison = graph.compare("GREATER_EQUAL", x, graph.constant(thresholds))
    graph.add_op("RESHAPE", [comparison, graph.integers([2, 6, 4])], [condition])
    if form == "CAST":
        cast = graph.op("CAST", [condition], condition.dims, schema.CastOptionsT())
        signs = graph.shift(graph.scale(cast, 2.0), -1.0)
    else:
        signs = graph.op("SELECT_V2", [condition, graph.constant(1.0), graph.constant(-1.0)], condition.dims)
    y = graph.dense(graph.flatten(signs), graph.kernel((5, 24)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert set(kinds(packed)) <= {"ADD", "BnnQuantize", "RESHAPE", "BnnFullyConnected"}


def test_reshape_inside_a_sign_that_no_binary_kernel_reads_stays() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 1, 6, 4))
    condition = graph.add_tensor("condition", (2, 24), np.bool_)
    graph.add_op("RESHAPE", [graph.compare("LESS", x, graph.constant(0.0)), graph.integers([2, 24])], [condition])
    signs = graph.op("SELECT_V2", [condition, graph.constant(-1.0), graph.constant(1.0)], condition.dims)
    y = graph.dense(signs, graph.rng.normal(size=(3, 24)).astype(np.float32))
    assert kinds(rewrite(graph.finish(y))[1]) == ["LESS", "RESHAPE", "SELECT_V2", "FULLY_CONNECTED"]


def test_broadcast_to_the_own_shape() -> None:
    """What TensorFlow writes for a comparison of rank 5 with a number."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 2, 3, 2, 4))
    options = schema.ShapeOptionsT()
    options.outType = schema.TensorType.INT64
    shape, joint = (graph.add_tensor(name, [5], np.int64) for name in ("shape", "joint"))
    graph.add_op("SHAPE", [x], [shape], options)
    graph.add_op("BROADCAST_ARGS", [shape, graph.constant(np.zeros(0, np.int64))], [joint])
    operands = [graph.op("BROADCAST_TO", [value, joint], x.dims) for value in (x, graph.constant(0.0))]
    for op in graph.find("BROADCAST_TO"):
        op.version = 2  # the first one in the runtime
    condition = graph.add_tensor("condition", x.dims, np.bool_)
    graph.add_op("LESS", operands, [condition])
    signs = graph.op("SELECT_V2", [condition, graph.constant(-1.0), graph.constant(1.0)], x.dims)
    y = graph.dense(graph.reshape(signs, (-1, 48)), graph.kernel((5, 48)))
    packed = rewrite_and_compare(graph.finish(y), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnFullyConnected"]

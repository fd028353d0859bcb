"""The float32 twin of a quantized tensor: what a binary layer of an integer file reads, in a form that passes know.

    DEQUANTIZE(q)                                           of any int8 tensor
    SELECT_V2(LESS(twin of x, 0), -1, 1)                    of a sign: the integer one dequantizes to +-0.996
    MAX_POOL_2D, PAD, PADV2, RESHAPE, ... (twin of x)       of these ops on a sign, or in front of one
    CONCATENATION(twins of all inputs)                      of signs

A sign reads the float32 tensor in front of a QUANTIZE rather than the integers behind it, whose rounding takes small
negative numbers to 0.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from .graph import Graph, Op, Tensor
from .patterns import SIGN_MOVES
from .quantization import per_tensor, real_values
from .schema import schema
from .signs import COMPARISONS, RESHAPES


def int8_sign_input(op: Op | None) -> Tensor | None:
    """Returns x when `op` computes the sign of x, int8 or float32, in int8.

    The stock converter writes SELECT_V2(GREATER_EQUAL(x, 0), p, n) or the same with LESS: 0 is an int8 constant whose
    scale may be 0, p and n are int8 numbers next to +1 and -1, as far from the output's zero point as one another.
    ai-edge-quantizer leaves the comparison in float32.
    """
    if op is None or op.kind not in ("SELECT", "SELECT_V2") or op.output.type_name != "int8":
        return None
    condition, if_true, if_false = op.inputs[:3]
    comparison = condition.producer if condition is not None else None
    output = per_tensor(op.output)
    if comparison is None or output is None or if_true is None or if_false is None:
        return None
    for index, kind in ((0, comparison.kind), (1, COMPARISONS.get(comparison.kind))):
        x = comparison.input(index)
        if (
            x is None
            or kind not in ("LESS", "GREATER_EQUAL")
            or x.dims != op.output.dims
            or not _is_zero(comparison.input(1 - index))
        ):
            continue
        below, above = (if_true, if_false) if kind == "LESS" else (if_false, if_true)
        steps = [_distance(tensor, output[1]) for tensor in (below, above)]
        if x.type_name in ("float32", "int8") and _is_one(steps[1], output[0]) and steps[0] == -steps[1]:  # type: ignore[operator]
            return x
    return None


def is_int8_sign(tensor: Tensor | None) -> bool:
    """Returns whether an int8 tensor comes from a sign, perhaps through ops that compute the same on signs."""
    op = tensor.producer if tensor is not None else None
    if op is None:
        return False
    if op.kind == "CONCATENATION":
        return all(is_int8_sign(source) for source in op.inputs)
    return int8_sign_input(op) is not None or (op.kind in SIGN_MOVES and is_int8_sign(op.input(0)))


def float_twin(graph: Graph, tensor: Tensor, *, before: Op) -> Tensor:
    """Returns the float32 twin of a tensor, after adding the ops that compute it where there are none.

    Args:
        graph: The graph.
        tensor: A tensor; a float32 one is its own twin.
        before: The op that will read the twin.
    """
    op = tensor.producer
    if tensor.type_name == "float32" or op is None:
        return tensor if tensor.type_name == "float32" else _dequantize(graph, tensor, before)
    x = int8_sign_input(op)
    if x is not None:
        return _sign(graph, tensor, _in_front_of_sign(graph, x, before), before)
    if op.kind == "CONCATENATION" and is_int8_sign(tensor):
        twins = [float_twin(graph, source, before=before) for source in op.inputs if source is not None]
        return _copied(graph, op, twins, before)
    if op.kind in SIGN_MOVES and (is_int8_sign(tensor) or graph.only_user(tensor) is before):
        source = op.input(0)
        assert source is not None
        return _moved(graph, op, float_twin(graph, source, before=before), is_int8_sign(tensor), before)
    return _dequantize(graph, tensor, before)


def _in_front_of_sign(graph: Graph, x: Tensor, before: Op) -> Tensor:
    """The float32 tensor whose sign is that of x."""
    op = x.producer
    source = op.input(0) if op is not None else None
    if x.type_name == "float32":
        if op is None or op.kind != "DEQUANTIZE" or source is None:
            return x
        return _in_front_of_sign(graph, source, before)
    if op is None or source is None:
        return _dequantize(graph, x, before)
    if op.kind == "QUANTIZE" and source.type_name == "float32":
        return source
    if op.kind in (*RESHAPES, "MAX_POOL_2D") and graph.only_user(x) is not None:
        return _moved(graph, op, _in_front_of_sign(graph, source, before), False, before)
    return _dequantize(graph, x, before)


def _dequantize(graph: Graph, tensor: Tensor, before: Op) -> Tensor:
    for user in tensor.users:
        if user.kind == "DEQUANTIZE" and graph.ops.rank(user) < graph.ops.rank(before):
            return user.output
    twin = graph.add_tensor(f"{tensor.name}/float", tensor.dims)
    graph.add_op("DEQUANTIZE", [tensor], [twin], schema.DequantizeOptionsT(), before=before)
    return twin


def _sign(graph: Graph, tensor: Tensor, x: Tensor, before: Op) -> Tensor:
    name = tensor.name
    zero, plus, minus = (graph.add_constant(f"{name}/{value}", np.float32(value)) for value in (0, 1, -1))
    condition = graph.add_tensor(f"{name}/is_negative", tensor.dims, np.bool_)
    twin = graph.add_tensor(f"{name}/float", tensor.dims)
    graph.add_op("LESS", [x, zero], [condition], schema.LessOptionsT(), before=before)
    graph.add_op("SELECT_V2", [condition, minus, plus], [twin], schema.SelectV2OptionsT(), before=before)
    return twin


def _moved(graph: Graph, op: Op, x: Tensor, of_sign: bool, before: Op) -> Tensor:
    """The float32 copy of an op that moves, pools or pads values."""
    inputs = [x, *op.inputs[1:]]
    if op.kind == "PADV2":
        inputs[2] = _padding_value(graph, op, of_sign)
    return _copied(graph, op, inputs, before)


def _copied(graph: Graph, op: Op, inputs: Sequence[Tensor | None], before: Op) -> Tensor:
    twin = graph.add_tensor(f"{op.output.name}/float", op.output.dims)
    graph.add_op(op.kind, inputs, [twin], copy.copy(op.options), before=before)
    return twin


def _padding_value(graph: Graph, pad: Op, of_sign: bool) -> Tensor:
    values = real_values(pad.input(2))
    assert values is not None
    return graph.add_constant(f"{pad.output.name}/value", np.sign(values) if of_sign else values)


def _is_zero(tensor: Tensor | None) -> bool:
    """Whether an int8 or float32 constant of one element stands for 0."""
    if tensor is None or tensor.type_name not in ("float32", "int8") or not tensor.is_constant:
        return False
    if tensor.values.size != 1:
        return False
    values = real_values(tensor)
    return values is not None and not values.any()


def _is_one(steps: int | None, scale: np.float32) -> bool:
    """Whether so many steps of a scale are 1, as far as int8 tells: 127 steps of 2 / 255 are 0.996."""
    return steps is not None and steps > 0 and bool(abs(steps * float(scale) - 1) < 0.75 * float(scale))


def _distance(tensor: Tensor, zero_point: int) -> int | None:
    values = tensor.values if tensor.is_constant and tensor.type_name == "int8" else None
    if values is None or values.size == 0 or (values != values.flat[0]).any():
        return None
    return int(values.flat[0]) - zero_point

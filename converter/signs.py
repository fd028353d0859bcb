"""Signs in the forms that converters write, and comparisons with another number than 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .constants import constant, uniform
from .custom_ops import NO_ACTIVATION
from .graph import Array, Op, Tensor

RESHAPES = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")


@dataclass(frozen=True)
class Sign:
    """`-1 where x * multiplier + bias < 0, else +1`; the multiplier is 1 or -1, the bias a scalar or one a channel."""

    x: Tensor
    multiplier: int
    bias: Array

    @property
    def is_plain(self) -> bool:
        """Whether it is the sign of x itself."""
        return self.multiplier == 1 and not self.bias.any()


def sign_input(op: Op | None) -> Tensor | None:
    """Returns x when `op` computes +1 for x >= 0 and else -1, in one of the forms that converters write."""
    sign = find_sign(op)
    return sign.x if sign is not None and sign.is_plain else None


def find_sign(op: Op | None) -> Sign | None:
    """Returns the sign that `op` computes, in one of the forms that converters write."""
    if op is None or op.kind not in _FORMS:
        return None
    sign = _FORMS[op.kind](op)
    if sign is None or sign.x.type_name != op.output.type_name or sign.x.dims != op.output.dims:
        return None
    return sign


def sign_behind(condition: Tensor) -> Op | None:
    """Returns the op with which a sign's form ends that the comparison `condition` belongs to, or None.

    In between stand casts, products and sums with constants, reshapes of the condition.
    """
    if len(condition.users) != 1:
        return None
    op = condition.users[0]
    if op.kind in ("SELECT", "SELECT_V2"):
        return op if op.input(0) is condition else None
    if op.kind in ("LOGICAL_NOT", *RESHAPES):
        return sign_behind(op.output)
    if op.kind != "CAST":
        return None
    while len(op.output.users) == 1 and op.output.users[0].kind in ("ADD", "MUL", "SUB"):
        op = op.output.users[0]
    return op


def _plain(x: Tensor) -> Sign:
    return Sign(x, 1, np.zeros((), np.float32))


def _select_sign(op: Op) -> Sign | None:
    """where(x >= 0, 1, -1), where(x < 0, -1, 1), where(x == 0, 1, sign(x))."""
    condition, if_true, if_false = op.inputs[:3]
    values = (uniform(if_true), uniform(if_false))
    if values == (1.0, -1.0):
        return _comparison_sign(condition, negative_when=False)
    if values == (-1.0, 1.0):
        return _comparison_sign(condition, negative_when=True)
    return _mended_sign(condition, if_true, if_false)


def _mended_sign(condition: Tensor | None, if_true: Tensor | None, if_false: Tensor | None) -> Sign | None:
    """where(x == 0, 1, sign(x))."""
    test = condition.producer if condition is not None else None
    if test is None or test.kind not in ("EQUAL", "NOT_EQUAL"):
        return None
    one, sign = (if_true, if_false) if test.kind == "EQUAL" else (if_false, if_true)
    if uniform(one) != 1.0 or sign is None or sign.producer is None or sign.producer.kind != "SIGN":
        return None
    x = sign.producer.input(0)
    is_test_of_x = any(test.input(index) is x and uniform(test.input(1 - index)) == 0.0 for index in (0, 1))
    return _plain(x) if x is not None and is_test_of_x else None


def _affine_sign(op: Op) -> Sign | None:
    """cast(x >= 0) * 2 - 1 and what else scales and shifts a condition to +1 and -1."""
    scale, shift, y = 1.0, 0.0, op.output
    while y.producer is not None and y.producer.kind != "CAST":  # the output is y * scale + shift
        step = y.producer
        if step.kind not in ("ADD", "MUL", "SUB") or _is_activated(step):
            return None
        index = 0 if uniform(step.input(0)) is None else 1
        source, value = step.input(index), uniform(step.input(1 - index))
        if source is None or value is None:
            return None
        if step.kind == "MUL":
            scale *= value
        elif step.kind == "ADD":
            shift += scale * value
        elif index == 0:
            shift -= scale * value
        else:
            shift, scale = shift + scale * value, -scale
        y = source
    cast = y.producer
    if cast is None or (shift, scale + shift) not in ((-1.0, 1.0), (1.0, -1.0)):
        return None
    return _comparison_sign(cast.input(0), negative_when=shift > 0)


def _shifted_sign(op: Op) -> Sign | None:
    """sign(sign(x) + 0.1), larq's form."""
    shifted = op.input(0)
    if shifted is None or shifted.producer is None or shifted.producer.kind != "ADD":
        return None
    if _is_activated(shifted.producer):
        return None
    for index in (0, 1):
        sign, shift = shifted.producer.input(index), uniform(shifted.producer.input(1 - index))
        if sign is not None and sign.producer is not None and sign.producer.kind == "SIGN" and shift is not None:
            x = sign.producer.input(0)
            return _plain(x) if x is not None and 0.0 < shift < 1.0 else None
    return None


def _is_activated(op: Op) -> bool:
    return bool(getattr(op.options, "fusedActivationFunction", NO_ACTIVATION) != NO_ACTIVATION)


_FORMS: dict[str, Callable[[Op], Sign | None]] = {
    "ADD": _affine_sign,
    "MUL": _affine_sign,
    "SELECT": _select_sign,
    "SELECT_V2": _select_sign,
    "SIGN": _shifted_sign,
    "SUB": _affine_sign,
}

COMPARISONS = {
    "GREATER": "LESS",
    "GREATER_EQUAL": "LESS_EQUAL",
    "LESS": "GREATER",
    "LESS_EQUAL": "GREATER_EQUAL",
}
"""Each comparison with what it is when its operands change places."""

_OPPOSITE = {
    "GREATER": "LESS_EQUAL",
    "GREATER_EQUAL": "LESS",
    "LESS": "GREATER_EQUAL",
    "LESS_EQUAL": "GREATER",
}
"""True where the other is false, except for NaN."""


def _comparison_sign(condition: Tensor | None, *, negative_when: bool) -> Sign | None:
    """The sign that is -1 where a comparison of x with constants is `negative_when`.

    Between two neighbouring floats is no third, so that `x <= t` is `x < the float behind t`; and a float32 difference
    is 0 of equal numbers alone, so that `x < t` is `x - t < 0`.
    """
    op = condition.producer if condition is not None else None
    while op is not None and op.kind == "LOGICAL_NOT":
        negative_when = not negative_when
        condition = op.input(0)
        op = condition.producer if condition is not None else None
    if op is None or op.kind not in COMPARISONS:
        return None
    for index, kind in ((0, op.kind), (1, COMPARISONS[op.kind])):
        x, threshold = _without_broadcast(op.input(index)), _threshold(op.input(1 - index))
        if x is not None and threshold is not None and constant(x) is None:
            return _below(x, kind if negative_when else _OPPOSITE[kind], threshold)
    return None


def _below(x: Tensor, kind: str, threshold: Array) -> Sign | None:
    """The sign that is -1 where `x kind threshold`."""
    if x.type_name != "float32":
        return None
    multiplier = 1 if kind.startswith("LESS") else -1
    limit = threshold * np.float32(multiplier)  # -1 where x * multiplier < limit, or <= limit
    if kind.endswith("EQUAL"):
        limit = np.nextafter(limit, np.float32(np.inf))
    return Sign(x, multiplier, np.negative(limit))


def _threshold(tensor: Tensor | None) -> Array | None:
    value = uniform(tensor)
    if value is not None:
        return np.asarray(value, np.float32)
    values = constant(tensor)
    return values if values is not None and values.dtype == np.float32 else None


def _without_broadcast(x: Tensor | None) -> Tensor | None:
    """What is in front of a BROADCAST_TO to its own shape, which TensorFlow writes for tensors of rank 5 and more."""
    op = x.producer if x is not None else None
    if op is None or op.kind != "BROADCAST_TO":
        return x
    source, shape = op.inputs
    args = shape.producer if shape is not None else None
    if args is None or source is None or source.dims != op.output.dims:
        return x
    shapes = args.inputs if args.kind == "BROADCAST_ARGS" else (shape,)
    is_own = [other is not None and other.producer is not None and other.producer.kind == "SHAPE"
              and other.producer.input(0) is source for other in shapes]  # fmt: skip
    is_empty = [other is not None and other.dims == (0,) for other in shapes]
    return source if all(own or empty for own, empty in zip(is_own, is_empty, strict=True)) else x

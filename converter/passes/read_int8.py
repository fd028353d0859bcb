"""A DEQUANTIZE in front of a packed op is dropped: the op reads the integers.

    BnnQuantize                       q < zero_point where (q - zero_point) * scale < 0: the same bit
    x of a first layer                sums of q - zero_point are exact integers; the scale goes into the multiplier
    a step's operand                  the op dequantizes it itself, with the same rounding
    SHAPE                             reads no values

A QUANTIZE from uint8 to int8 of the same scale only shifts the numbers, and a first layer reads either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..bits import WORD_BITS
from ..custom_ops import MOST_INTEGER_INPUTS, NO_ACTIVATION, PACKED_KERNEL_OPS, RELU
from ..graph import Graph, Op, Tensor
from ..patterns import constant
from ..quantization import UINT8_OFFSET, per_tensor
from .base import Match, Pass

_MULTIPLIER, _FIRST_OPERAND = 2, 4


@dataclass(frozen=True)
class IntegerMatch(Match):
    """An op, the index of an input, the integer tensor that it can read there, and the factor of its multiplier."""

    index: int
    integers: Tensor
    factor: np.float32


class ReadInt8(Pass[IntegerMatch]):
    """Lets packed ops read int8, and first layers uint8 too."""

    name = "read int8"

    def match(self, graph: Graph, op: Op) -> IntegerMatch | None:
        for index, tensor in enumerate(op.inputs):
            integers = _before_dequantize(tensor)
            scale = per_tensor(integers)
            if integers is not None and scale is not None and _reads(op, index, integers.type_name):
                return IntegerMatch(op, index, integers, scale[0] if index == 0 else np.float32(1))
        x = op.input(0)
        shifted = _before_shift(x) if op.kind in PACKED_KERNEL_OPS else None
        return IntegerMatch(op, 0, shifted, np.float32(1)) if shifted is not None else None

    def rewrite(self, graph: Graph, match: IntegerMatch) -> None:
        op = match.op
        if op.kind in PACKED_KERNEL_OPS and match.factor != 1:
            multiplier = op.input(_MULTIPLIER)
            values = constant(multiplier)
            assert multiplier is not None
            assert values is not None
            graph.set_input(
                op, _MULTIPLIER, graph.add_constant(multiplier.name, (values * match.factor).astype(np.float32))
            )
        graph.set_input(op, match.index, match.integers)


def _before_dequantize(tensor: Tensor | None) -> Tensor | None:
    op = tensor.producer if tensor is not None else None
    source = op.input(0) if op is not None and op.kind == "DEQUANTIZE" else None
    return source if source is not None and not source.is_constant else None


def _before_shift(tensor: Tensor | None) -> Tensor | None:
    """The uint8 tensor of which an int8 one holds the same numbers."""
    op = tensor.producer if tensor is not None else None
    source = op.input(0) if op is not None and op.kind == "QUANTIZE" else None
    before, after = per_tensor(source), per_tensor(tensor)
    if source is None or source.type_name != "uint8" or before is None or after is None:
        return None
    return source if before == (after[0], after[1] + UINT8_OFFSET) else None


def _reads(op: Op, index: int, type_name: str) -> bool:
    if op.kind == "SHAPE":
        return True
    if op.kind == "BnnQuantize":
        return type_name == "int8" and len(op.inputs) == 1
    if op.kind not in PACKED_KERNEL_OPS:
        return False
    if index >= _FIRST_OPERAND:
        return type_name == "int8"
    # ReLU of a sum times a positive scale is the same before and behind the product; a limit of 1 or 6 is not.
    is_scalable = op.options["pre_activation"] in (NO_ACTIVATION, RELU)
    return (
        index == 0
        and op.kind in ("BnnConv2D", "BnnFullyConnected")
        and type_name in ("int8", "uint8")
        and op.options.get("pad_value", 0) == 0
        and is_scalable
        and _inputs_of_a_sum(op) <= MOST_INTEGER_INPUTS
    )


def _inputs_of_a_sum(op: Op) -> int:
    """Those of the last word of a tap that is partly used are counted whole, as the library counts them."""
    weights = op.input(1)
    assert weights is not None
    return math.prod(weights.dims[1:]) * WORD_BITS

"""How many multiply-accumulates an op of a .tflite file takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from .graph import Op, Tensor
from .kernel_shape import BITS_KERNEL_OPS, KERNEL_OPS, kernel_shape
from .larq_ops import LCE_DEQUANTIZE, LCE_MAX_POOL, LCE_QUANTIZE
from .patterns import data_input
from .schema import OP_CODES
from .tensor_bits import shape_in_channels, value_bits

_TRANSPOSED = ("BnnTransposeConv2D", "CONV_3D_TRANSPOSE", "TRANSPOSE_CONV")
_WITHOUT_RULE = {
    *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    *("LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_RNN"),
    *("STABLEHLO_COMPOSITE", "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL", "STABLEHLO_WHILE"),
    *("CALL", "DELEGATE", "IF", "WHILE"),
}
_LARQ_WITHOUT_PRODUCTS = {LCE_DEQUANTIZE, LCE_MAX_POOL, LCE_QUANTIZE}


def multiply_accumulates(op: Op) -> int | None:
    """Returns the multiply-accumulates of an op, with 1 for a first dimension that is free.

    Of a transposed convolution every input value meets each tap of each filter once. Pools, activations, biases and
    multiplications of single numbers have none.

    Returns:
        The count; None where it is not known, or depends on another size that is free.
    """
    if op.kind not in KERNEL_OPS:
        return None if op.kind in _WITHOUT_RULE or _is_foreign(op) else 0
    shape, x = kernel_shape(op), data_input(op)
    if shape is None or x is None:
        return None
    if op.kind in _TRANSPOSED:
        values = _values(x)
        return None if values is None else values * shape.filters * math.prod(shape.taps)
    values = _values(op.output)
    return None if values is None else values * shape.products


def precision(op: Op) -> str:
    """Returns what an op multiplies, bits of the weight x bits of the input: "1x1" is XNOR and popcount."""
    weight_bits = 1 if op.kind in BITS_KERNEL_OPS else value_bits(op.input(1))
    return f"{weight_bits or '?'}x{value_bits(data_input(op)) or '?'}"


def added_by_precision(counts: Iterable[tuple[str, int | None]]) -> dict[str, int]:
    """Returns known counts added up by precision, those of the fewest bits first."""
    total: Counter[str] = Counter()
    for pair, count in counts:
        if count:
            total[pair] += count
    return dict(sorted(total.items(), key=lambda item: tuple(bits.zfill(3) for bits in item[0].split("x"))))


def _values(tensor: Tensor) -> int | None:
    first, *others = shape_in_channels(tensor) or (1,)
    return None if any(size < 0 for size in others) else max(first, 1) * math.prod(others)


def _is_foreign(op: Op) -> bool:
    return op.kind not in OP_CODES and not op.is_packed and op.kind not in _LARQ_WITHOUT_PRODUCTS

"""What the schema's quantization parameters say of a tensor: `real = (q - zero_point) * scale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .graph import Array, Tensor
from .schema import schema

UINT8_OFFSET = 128
"""How much larger the uint8 number of a value is than the int8 one of the same scale."""

INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


@dataclass(frozen=True)
class Quantization:
    """Scale and zero point: one of each, or one per index of the dimension `axis`."""

    scale: Array
    zero_point: Array
    axis: int


def quantization_of(tensor: Tensor | None) -> Quantization | None:
    """Returns the quantization of an integer tensor, or None for any other."""
    record = tensor.record.quantization if tensor is not None and tensor.type_name in INTEGERS else None
    if record is None or record.scale is None or len(record.scale) == 0:
        return None
    scale = np.asarray(record.scale, np.float32)
    zero_point = np.zeros(len(scale), np.int64)
    if record.zeroPoint is not None and len(record.zeroPoint) > 0:
        zero_point = np.broadcast_to(np.asarray(record.zeroPoint, np.int64), scale.shape)
    return Quantization(scale, zero_point, int(record.quantizedDimension))


def per_tensor(tensor: Tensor | None) -> tuple[np.float32, int] | None:
    """Returns scale and zero point of a tensor that has one of each and a scale above 0, else None."""
    quantization = quantization_of(tensor)
    if quantization is None or len(quantization.scale) != 1 or not 0 < quantization.scale[0] < np.inf:
        return None
    return quantization.scale[0], int(quantization.zero_point[0])


def real_values(tensor: Tensor | None) -> Array | None:
    """Returns the float32 numbers that a constant stands for; those of float16 and float32 as they are.

    None for a tensor that is no constant, or an integer one without scale.
    """
    if tensor is None or not tensor.is_constant:
        return None
    if tensor.type_name in ("float16", "float32"):
        return tensor.values.astype(np.float32)
    quantization = quantization_of(tensor)
    return None if quantization is None else dequantized(tensor.values, quantization)


def dequantized(values: Array, quantization: Quantization) -> Array:
    """Returns the float32 numbers that integers stand for."""
    scale, zero_point = quantization.scale, quantization.zero_point
    if len(scale) > 1:
        shape = [1] * values.ndim
        shape[quantization.axis] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    return ((values.astype(np.int64) - zero_point).astype(np.float32) * scale).astype(np.float32)


def affine(scale: float, zero_point: int) -> Any:
    """Returns the schema's parameters of a tensor with one scale and one zero point."""
    record = schema.QuantizationParametersT()
    record.scale, record.zeroPoint = [float(scale)], [int(zero_point)]
    return record

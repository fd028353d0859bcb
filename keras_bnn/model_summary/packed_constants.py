"""The constants of a packed file as far as their bytes go: which are equal, and how weights become them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bnn.layers.rprelu import RPReLU
from keras_bnn.layers.shift_batch_normalization import ShiftBatchNormalization
from keras_bnn.power_of_two import ap2

Array = np.ndarray
NORMALIZATIONS = (layers.BatchNormalization, ShiftBatchNormalization)
SLOPES = (layers.PReLU, RPReLU)
WORD_BITS = 32
_NUMBER_BYTES = 4


@dataclass(frozen=True)
class Constant:
    """A constant of the file. Equal ones share their bytes there, so that a set of them is what the file holds.

    Attributes:
        nbytes: Its bytes in the file.
        digest: A digest of its values, or of all values that it is computed from.
    """

    nbytes: int
    digest: bytes


def numbers(values: Any, *sources: Any) -> Constant:
    """Returns the constant of a 32-bit number for each of values, and computed from sources too where there are any."""
    return Constant(_NUMBER_BYTES * math.prod(values.shape), _digest(*map(array, (values, *sources))))


def packed_bits(bits: Array, words: int) -> Constant:
    """Returns the constant that holds bits in a number of words."""
    return Constant(_NUMBER_BYTES * words, _digest(np.packbits(bits)))


def words_for(channels: int) -> int:
    """Returns how many words hold the bits of a number of channels."""
    return -(-channels // WORD_BITS)


def array(variable: Any) -> Array:
    """Returns a variable's values in float32."""
    return keras.ops.convert_to_numpy(variable).astype(np.float32)


def normalization_form(normalization: Any) -> tuple[Array, Array]:
    """Returns the factor and the term of each channel by which a normalization computes at inference."""
    mean = array(normalization.moving_mean)
    gamma = np.ones_like(mean) if normalization.gamma is None else array(normalization.gamma)
    beta = np.zeros_like(mean) if normalization.beta is None else array(normalization.beta)
    if isinstance(normalization, ShiftBatchNormalization):
        factor = array(ap2(normalization.moving_inverse_std)) * array(ap2(gamma))
    else:
        factor = gamma / np.sqrt(array(normalization.moving_variance) + np.float32(normalization.epsilon))
    return factor, beta - mean * factor


def operands(layer: Any) -> list[Array]:
    """Returns the constants of what a layer computes element by element; products by 1 and sums with 0 are no ops."""
    if isinstance(layer, NORMALIZATIONS):
        factor, term = normalization_form(layer)
        return [*([factor] if np.any(factor != 1) else []), *_not_zero(term)]
    if isinstance(layer, RPReLU):
        return [*_not_zero(array(layer.input_shift)), array(layer.alpha), *_not_zero(array(layer.output_shift))]
    return [array(layer.alpha)] if isinstance(layer, SLOPES) else []


def _not_zero(values: Array) -> list[Array]:
    return [values] if values.any() else []


def _digest(*sources: Array) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for source in sources:
        digest.update(np.ascontiguousarray(source).data)
    return digest.digest()

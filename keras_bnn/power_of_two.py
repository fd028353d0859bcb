"""The approximate power of two, by which multiplying is a shift."""

from __future__ import annotations

import keras
from keras import KerasTensor, ops

# A float32 is sign, 8 bits of exponent, 23 bits of mantissa. Adding this to its bits carries into the exponent exactly
# when the mantissa is at least that of the first float above sqrt(2), where log2 rounds up.
_ROUND_UP = 0x800000 - 0x3504F4
_SIGN_AND_EXPONENT = -0x800000  # 0xFF800000 as an int32


def ap2(x: KerasTensor) -> KerasTensor:
    """Returns the power of two that is nearest to x on the logarithmic scale.

    `ap2(x) = sign(x) * 2 ** round(log2(abs(x)))` (arXiv:1602.02830, section 1.4: "approximate power-of-2")

    Computed on the bits of float32, so that the result is an exact power of two on every backend, and at the cost of an
    addition. Zeros, infinities and NaN stay what they are; numbers below 2^-126 become 0 or 2^-126. There is no
    gradient.

    Args:
        x: Tensor of any shape and float dtype; float64 is rounded to float32.

    Returns:
        A tensor of the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(ap2(np.array([-3.0, 0.0, 0.3, 1.4, 1.5, 1024.0]))).tolist()
    [-4.0, 0.0, 0.25, 1.0, 2.0, 1024.0]
    """
    dtype = keras.backend.standardize_dtype(ops.convert_to_tensor(x).dtype)
    x = ops.cast(x, "float32")
    # With an axis of size 1 behind, since some versions of Keras view neither scalars nor axes of unknown size.
    bits = ops.add(ops.view(ops.expand_dims(x, -1), "int32"), _ROUND_UP)
    power = ops.squeeze(ops.view(ops.bitwise_and(bits, _SIGN_AND_EXPONENT), "float32"), -1)
    return ops.cast(ops.where(ops.isnan(x), x, power), dtype)

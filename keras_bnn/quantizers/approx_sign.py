"""The sign with the gradient of a piecewise parabola."""

from __future__ import annotations

import math

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.surrogate import sign


def approx_sign(x: KerasTensor) -> KerasTensor:
    """Sign of x, with the gradient of ApproxSign.

    Forward: `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (Bi-Real Net, arXiv:1808.00278, section 3.3): `dx = dy * (2 - 2 * abs(x)) if abs(x) <= 1 else 0`, the
    derivative of the parabolas `2x + x**2` below 0 and `2x - x**2` above, which are closer to the sign than a clip is.

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.

    Returns:
        A tensor of +1 and -1, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(approx_sign(np.array([-2.0, -0.5, -0.0, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0, 1.0]
    """

    def gradient(x: KerasTensor, dy: KerasTensor) -> KerasTensor:
        magnitude = ops.abs(x)
        return ops.where(magnitude <= 1, dy * (2 - 2 * magnitude), ops.zeros_like(dy))

    return sign(x, gradient)


@keras.saving.register_keras_serializable(package="keras_bnn")
class ApproxSign(Quantizer):
    """The quantizer "approx_sign": sign with the gradient of a piecewise parabola, for activations.

    Forward: `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (Bi-Real Net, arXiv:1808.00278, section 3.3): `dx = dy * (2 - 2 * abs(x)) if abs(x) <= 1 else 0`.

    Example:

    >>> keras.ops.convert_to_numpy(ApproxSign()(np.array([-2.0, -0.5, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """

    precision = 1
    gradient_reach = math.nextafter(1.0, 0.0)

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the sign of x, of the same shape and dtype."""
        return approx_sign(x)

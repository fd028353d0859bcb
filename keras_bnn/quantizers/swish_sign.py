"""The sign with the gradient of SignSwish."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.surrogate import sign

_TURN = 2.3993572805154674
"""The z > 0 at which the gradient changes its sign: z * tanh(z / 2) = 2."""

_FAR = 100.0
"""exp(-100) is 0 or a subnormal in float32 and shorter types."""


def swish_sign(x: KerasTensor, beta: float = 5.0) -> KerasTensor:
    """Sign of x, with the gradient of SignSwish.

    Forward: `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (BNN+, arXiv:1812.11800, section 3): with `z = beta * x`,
    `dx = dy * beta * (2 - z * tanh(z / 2)) / (1 + cosh(z))`, the derivative of
    `2 * sigmoid(z) * (1 + z * (1 - sigmoid(z))) - 1`. It is beta at 0 and slightly negative where abs(z) > 2.4.

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        beta: Positive float. The larger, the closer the gradient is to the derivative of the sign.

    Returns:
        A tensor of +1 and -1, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(swish_sign(np.array([-2.0, -0.5, -0.0, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0, 1.0]
    """

    def gradient(x: KerasTensor, dy: KerasTensor) -> KerasTensor:
        # The formula in terms of exp(-abs(z)): cosh would overflow, at 12 already in float16.
        z = ops.minimum(beta * ops.abs(x), _FAR)
        e = ops.exp(-z)
        return dy * (beta * (2 - z * (1 - e) / (1 + e)) * 2 * e / ops.square(1 + e))

    return sign(x, gradient)


@keras.saving.register_keras_serializable(package="keras_bnn")
class SwishSign(Quantizer):
    """The quantizer "swish_sign": sign with the gradient of SignSwish.

    Forward: `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (BNN+, arXiv:1812.11800, section 3): with `z = beta * x`,
    `dx = dy * beta * (2 - z * tanh(z / 2)) / (1 + cosh(z))`.

    Args:
        beta: Positive float. The larger, the closer the gradient is to the derivative of the sign.

    Raises:
        ValueError: when beta is not positive.

    Example:

    >>> keras.ops.convert_to_numpy(SwishSign(beta=10.0)(np.array([-2.0, -0.5, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """

    precision = 1

    def __init__(self, beta: float = 5.0) -> None:
        if not beta > 0:
            raise ValueError(f"SwishSign got beta={beta!r}: pass a number above 0, for example 5.0.")
        self.beta = float(beta)
        self.gradient_reach = _TURN / self.beta

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the sign of x, of the same shape and dtype."""
        return swish_sign(x, self.beta)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"beta": self.beta}

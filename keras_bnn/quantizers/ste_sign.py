"""The sign with a straight-through gradient."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.surrogate import checked_clip_value, sign, straight_through


def ste_sign(x: KerasTensor, clip_value: float = 1.0) -> KerasTensor:
    """Sign of x, with the straight-through estimator as its gradient.

    Forward (arXiv:1602.02830, eq. 1): `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (eq. 4): `dx = dy if abs(x) <= clip_value else 0`, the derivative of a clip to
    [-clip_value, clip_value].

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Returns:
        A tensor of +1 and -1, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(ste_sign(np.array([-2.0, -0.5, -0.0, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0, 1.0]
    """
    return sign(x, straight_through(clip_value))


@keras.saving.register_keras_serializable(package="keras_bnn")
class SteSign(Quantizer):
    """The quantizer "ste_sign": sign with a straight-through gradient.

    Forward (arXiv:1602.02830, eq. 1): `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (eq. 4): `dx = dy if abs(x) <= clip_value else 0`.

    Args:
        clip_value: Positive float, 1.0 as in the paper. The gradient is cancelled where abs(x) is larger. A kernel
            should have the same value in its `WeightClip` constraint.

    Raises:
        ValueError: when clip_value is not positive.

    Example:

    >>> keras.ops.convert_to_numpy(SteSign()(np.array([-2.0, -0.5, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """

    precision = 1

    def __init__(self, clip_value: float = 1.0) -> None:
        self.clip_value = self.gradient_reach = checked_clip_value("SteSign", clip_value)

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the sign of x, of the same shape and dtype."""
        return ste_sign(x, self.clip_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value}

"""The step from 0 to 1 with a straight-through gradient."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.surrogate import checked_clip_value, read, straight_through, with_gradient


def ste_heaviside(x: KerasTensor, clip_value: float = 1.0) -> KerasTensor:
    """Heaviside step of x, with the straight-through estimator as its gradient.

    Forward: `y = 1 if x > 0 else 0`. So 0.0, -0.0 and NaN give 0. Products of such values are ANDs of bits
    (DoReFa-Net, arXiv:1606.06160, eq. 1).

    Backward (arXiv:1602.02830, eq. 4): `dx = dy if abs(x) <= clip_value else 0`.

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Returns:
        A tensor of 1 and 0, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(ste_heaviside(np.array([-2.0, -0.5, 0.0, 0.5]))).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    x, one = read(x)
    return with_gradient(lambda x: ops.where(x > 0, one, 0.0 * one), straight_through(clip_value), x)


@keras.saving.register_keras_serializable(package="keras_bnn")
class SteHeaviside(Quantizer):
    """The quantizer "ste_heaviside": a step from 0 to 1 with a straight-through gradient.

    Forward: `y = 1 if x > 0 else 0`. So 0.0, -0.0 and NaN give 0.

    Backward (arXiv:1602.02830, eq. 4): `dx = dy if abs(x) <= clip_value else 0`.

    Args:
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Raises:
        ValueError: when clip_value is not positive.

    Example:

    >>> keras.ops.convert_to_numpy(SteHeaviside()(np.array([-2.0, -0.5, 0.0, 0.5]))).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """

    precision = 1

    def __init__(self, clip_value: float = 1.0) -> None:
        self.clip_value = self.gradient_reach = checked_clip_value("SteHeaviside", clip_value)

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the step of x, of the same shape and dtype."""
        return ste_heaviside(x, self.clip_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value}

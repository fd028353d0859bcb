"""Ternary values with a straight-through gradient."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.surrogate import checked_clip_value, read, straight_through, with_gradient


def ste_tern(x: KerasTensor, threshold_value: float | None = 0.05, clip_value: float = 1.0) -> KerasTensor:
    """Ternary value of x, with the straight-through estimator as its gradient.

    Forward (Ternary Weight Networks, arXiv:1605.04711, section 2): `y = +1 if x > threshold else -1 if x < -threshold
    else 0`. So a value on the threshold and NaN give 0.

    Backward (arXiv:1602.02830, eq. 4): `dx = dy if abs(x) <= clip_value else 0`; none goes through the threshold.

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        threshold_value: Non-negative float, or None for the paper's `0.7 * mean(abs(x))` over all elements, which
            makes sense for kernels.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Returns:
        A tensor of +1, 0 and -1, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(ste_tern(np.array([-2.0, -0.01, 0.0, 0.1]))).tolist()
    [-1.0, 0.0, 0.0, 1.0]
    """
    x, one = read(x)
    if threshold_value is None:
        # In float32 at least: float16 cannot add up the elements of a kernel.
        magnitude = ops.abs(ops.cast(x, keras.backend.result_type(x.dtype, "float32")))
        threshold = ops.cast(0.7 * ops.mean(magnitude), x.dtype)
    else:
        threshold = ops.cast(threshold_value, x.dtype)

    def ternary(x: KerasTensor, threshold: KerasTensor) -> KerasTensor:
        return ops.where(x > threshold, one, ops.where(x < -threshold, -one, 0.0 * one))

    return with_gradient(ternary, straight_through(clip_value), x, ops.stop_gradient(threshold))


@keras.saving.register_keras_serializable(package="keras_bnn")
class SteTern(Quantizer):
    """The quantizer "ste_tern": ternary values with a straight-through gradient.

    Forward (Ternary Weight Networks, arXiv:1605.04711, section 2): `y = +1 if x > threshold else -1 if x < -threshold
    else 0`. So a value on the threshold and NaN give 0.

    Backward (arXiv:1602.02830, eq. 4): `dx = dy if abs(x) <= clip_value else 0`; none goes through the threshold.

    Args:
        threshold_value: Non-negative float, or None for the paper's `0.7 * mean(abs(x))` over all elements, which
            makes sense for kernels.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Raises:
        ValueError: when threshold_value is negative, or clip_value is not positive.

    Example:

    >>> keras.ops.convert_to_numpy(SteTern(threshold_value=None)(np.array([-2.0, -0.4, 0.0, 0.6]))).tolist()
    [-1.0, 0.0, 0.0, 1.0]
    """

    precision = 2

    def __init__(self, threshold_value: float | None = 0.05, clip_value: float = 1.0) -> None:
        if threshold_value is not None and not threshold_value >= 0:
            raise ValueError(
                f"SteTern got threshold_value={threshold_value!r}: pass a number from 0 up, for example 0.05, or None "
                "for 0.7 * mean(abs(x))."
            )
        self.threshold_value = None if threshold_value is None else float(threshold_value)
        self.clip_value = self.gradient_reach = checked_clip_value("SteTern", clip_value)

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the ternary values of x, of the same shape and dtype."""
        return ste_tern(x, self.threshold_value, self.clip_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"threshold_value": self.threshold_value, "clip_value": self.clip_value}

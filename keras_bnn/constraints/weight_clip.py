"""The constraint that keeps latent weights within reach of the sign's gradient."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops


@keras.saving.register_keras_serializable(package="keras_bnn")
class WeightClip(keras.constraints.Constraint):
    """The constraint "weight_clip": clips latent weights after every update.

    `w = min(max(w, -clip_value), clip_value)`

    Without it latent weights grow where no gradient reaches them (`ste_sign` cancels the gradient beyond its
    clip_value), although only their sign counts (arXiv:1602.02830, section 1.3 and algorithm 1).

    Args:
        clip_value: Positive float, 1.0 as in the paper. Should equal the clip_value of the kernel's quantizer.

    Raises:
        ValueError: when clip_value is not positive.

    Example:

    >>> keras.ops.convert_to_numpy(WeightClip()(np.array([-3.0, -1.0, 0.25, 1.5]))).tolist()
    [-1.0, -1.0, 0.25, 1.0]
    """

    def __init__(self, clip_value: float = 1.0) -> None:
        if not clip_value > 0:
            raise ValueError(f"WeightClip got clip_value={clip_value!r}: pass a number above 0, for example 1.0.")
        self.clip_value = float(clip_value)

    def __call__(self, w: KerasTensor) -> KerasTensor:
        """Returns the clipped w."""
        return ops.clip(w, -self.clip_value, self.clip_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value}

"""The initializer that matches the weight clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import KerasTensor

from keras_bnn.constraints.weight_clip import checked_clip_value, glorot_clip_value


@keras.saving.register_keras_serializable(package="keras_bnn")
class WeightClipUniform(keras.initializers.RandomUniform):
    """Draws latent weights uniformly from where `keras_bnn.constraints.WeightClip` keeps them.

    `w ~ uniform(-clip_value, clip_value)`, the start of the experiments of arXiv:1602.02830. With clip_value="glorot"
    the bound is `c = sqrt(1.5 / (fan_in + fan_out))`, half the limit of Keras's "glorot_uniform": the same as
    `keras.initializers.VarianceScaling(scale=0.25, mode="fan_avg", distribution="uniform")`. Give the kernel's
    constraint the same clip_value; `WeightClip` tells how that scales its learning rate.

    Args:
        clip_value: Positive float, or "glorot".
        seed: None, an int or a `keras.random.SeedGenerator`, as in Keras's initializers.

    Raises:
        ValueError: when clip_value is neither positive nor "glorot", or "glorot" meets a shape of fewer than two axes.

    Example:

    >>> from keras_bnn.constraints import WeightClip
    >>> from keras_bnn.layers import BinaryDense
    >>> layer = BinaryDense(
    ...     4, kernel_initializer=WeightClipUniform("glorot"), kernel_constraint=WeightClip("glorot")
    ... )
    >>> layer.build((None, 2))
    >>> bool(np.all(np.abs(keras.ops.convert_to_numpy(layer.kernel)) <= 0.5))
    True
    """

    def __init__(self, clip_value: float | Literal["glorot"] = 1.0, seed: Any = None) -> None:
        self.clip_value = checked_clip_value(clip_value, type(self).__name__)
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> KerasTensor:
        """Returns new weights of this shape."""
        bound = glorot_clip_value(shape) if self.clip_value == "glorot" else self.clip_value
        return keras.random.uniform(shape, -bound, bound, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value, "seed": super().get_config()["seed"]}

"""The random sign, and the layer that draws it while training."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.ste_sign import ste_sign
from keras_bnn.quantizers.surrogate import checked_clip_value, straight_through, with_gradient


def stochastic_sign(x: KerasTensor, seed: Any = None, clip_value: float = 1.0) -> KerasTensor:
    """Random sign of x, with the straight-through estimator as its gradient.

    Forward (arXiv:1602.02830, eq. 2): `y = +1 with probability p, else -1`, where `p = clip((x + 1) / 2, 0, 1)` is the
    paper's hard sigmoid (not Keras's, which is `clip(x / 6 + 0.5, 0, 1)`). So the mean of y is `clip(x, -1, 1)`; from
    1 up it is surely +1, from -1 down surely -1. NaN gives +1.

    Backward (eq. 4): `dx = dy if abs(x) <= clip_value else 0`.

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        seed: A `keras.random.SeedGenerator`, which gives other signs at each call; an int, which gives the same; or
            None for Keras's global generator.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Returns:
        A tensor of +1 and -1, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(stochastic_sign(np.array([-2.0, -1.0, 1.0, 2.0], "float32"))).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """
    x = ops.cast(x, x.dtype)  # a custom gradient takes tensors only
    # In float32: bfloat16 has so few values in [0, 1) that the signs would be biased.
    uniform = keras.random.uniform(ops.shape(x), dtype="float32", seed=seed)

    def draw(x: KerasTensor, uniform: KerasTensor) -> KerasTensor:
        # No clip: uniform is in [0, 1), so it is below every p from 1 up and not below any p from 0 down.
        return ops.where(uniform >= (ops.cast(x, "float32") + 1) / 2, -1.0, 1.0)

    return with_gradient(draw, straight_through(clip_value), x, uniform)


@keras.saving.register_keras_serializable(package="keras_bnn")
class StochasticSign(keras.layers.Layer):
    """The quantizer "stochastic_sign": a random sign while training, the sign otherwise.

    Forward, training (arXiv:1602.02830, eq. 2): `y = +1 with probability p, else -1`, where `p = clip((x + 1) / 2, 0,
    1)`. Otherwise (eq. 1): `y = -1 if x < 0 else +1`.

    Backward (eq. 4): `dx = dy if abs(x) <= clip_value else 0`.

    It is a Keras layer, since it has state: a seed generator. Signs differ from call to call, and repeat with the same
    seed, or with `keras.utils.set_random_seed`.

    Args:
        seed: An int, or None for a seed that Keras draws.
        clip_value: Positive float, 1.0 as in the paper. The gradient is cancelled where abs(x) is larger.
        **kwargs: Arguments of `keras.layers.Layer`, for example `name`.

    Call arguments:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        training: Whether to draw. By default what the model or the layer around it is doing.

    Raises:
        ValueError: when clip_value is not positive.

    Example:

    >>> quantizer = StochasticSign(seed=3)
    >>> keras.ops.convert_to_numpy(quantizer(np.array([-0.1, 0.0, 0.1], "float32"))).tolist()
    [-1.0, 1.0, 1.0]
    >>> x = np.full(10_000, 0.5, "float32")
    >>> round(float(keras.ops.mean(quantizer(x, training=True))), 1)
    0.5
    """

    precision = 1

    def __init__(self, seed: int | None = None, clip_value: float = 1.0, **kwargs: Any) -> None:
        # Without autocast, so that the cast to float16, which rounds -1e-9 to -0.0, comes after the sign.
        super().__init__(autocast=False, **kwargs)
        self.clip_value = self.gradient_reach = checked_clip_value("StochasticSign", clip_value)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, x: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Returns signs of the shape of x, in the compute dtype."""
        signs = stochastic_sign(x, self.seed_generator, self.clip_value) if training else ste_sign(x, self.clip_value)
        return ops.cast(signs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "seed": self.seed, "clip_value": self.clip_value}

"""Batch normalization that multiplies by powers of two alone."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.layers.shift_normalize import shift_normalize, straight_through_ap2
from keras_bnn.power_of_two import ap2


def _axis(value: Any) -> int:
    if not isinstance(value, Integral):
        raise ValueError(f"ShiftBatchNormalization got axis={value!r}: pass the number of an axis, for example -1.")
    return int(value)


def _number(name: str, value: Any, most: float = float("inf")) -> float:
    if not isinstance(value, Real) or not 0 <= float(value) <= most:
        limits = "0 up" if most == float("inf") else f"0 to {most}"
        raise ValueError(f"ShiftBatchNormalization got {name}={value!r}: pass a number from {limits}.")
    return float(value)


@keras.saving.register_keras_serializable(package="keras_bnn")
class ShiftBatchNormalization(keras.layers.Layer):
    """A `keras.layers.BatchNormalization` whose factors are powers of two, so that multiplying is shifting.

    Training (arXiv:1602.02830, algorithm 3), with means over all axes but `axis` and `AP2(z) = sign(z) *
    2^round(log2(abs(z)))`, see `keras_bnn.power_of_two.ap2`:

    - `centered = x - mean(x)`
    - `inverse_std = 1 / sqrt(mean(centered * AP2(centered)) + epsilon)`
    - `normalized = centered * AP2(inverse_std)`
    - `y = AP2(gamma) * normalized + beta`

    Two moving averages follow it, of the mean and of inverse_std itself, not of its power of two: `moving = momentum *
    moving + (1 - momentum) * new`.

    Inference: `y = x * scale + offset` with

    - `scale = AP2(gamma) * AP2(moving_inverse_std)`, a power of two, so that the product is exact
    - `offset = beta - moving_mean * scale`

    Behind a binary layer x is an integer, and the only rounding is that of the sum. So a converter may fold scale and
    offset into the layer in front without changing a bit.

    Backward, as the paper's authors compute it, by shifts as well: the gradient of batch normalization, with each
    factor rounded to a power of two. With `s = AP2(inverse_std)`, `c = AP2(centered)` and `g = AP2(gamma)`:

    - `dx = g * s * (dy - mean(dy) - c * s^2 * mean(c * dy))`
    - `dgamma = sum(AP2(normalized) * dy)`, so AP2(gamma) itself is passed straight through
    - `dbeta = sum(dy)`

    At inference, and in a layer with `trainable=False`, it is the gradient of the inference formula, where only
    AP2(gamma) is passed straight through.

    The arguments are those of `keras.layers.BatchNormalization` that have a meaning here; momentum and epsilon default
    to the authors' values. There is no synchronization: each replica of `tf.distribute` uses its own batch's means.

    Args:
        axis: Int, the axis of the channels.
        momentum: Share of the old value in a new moving average.
        epsilon: Small float added to the variance.
        center: Whether there is a beta.
        scale: Whether there is a gamma.
        beta_initializer: Initializer of beta.
        gamma_initializer: Initializer of gamma.
        moving_mean_initializer: Initializer of the moving mean.
        moving_inverse_std_initializer: Initializer of the moving average of 1 / standard deviation.
        beta_regularizer: Regularizer of beta.
        gamma_regularizer: Regularizer of gamma.
        beta_constraint: Constraint of beta.
        gamma_constraint: Constraint of gamma.
        **kwargs: Arguments of `keras.layers.Layer`, for example `name` and `dtype`.

    Call arguments:
        inputs: Tensor of float dtype.
        training: Whether to use the means of this batch. By default what the model is doing.
        mask: Bool tensor of the inputs' shape without the channels, with axis=-1: elements that are False do not count
            in the means.

    Input shape:
        Any, with a known size of `axis`.

    Output shape:
        The input's.

    Raises:
        ValueError: when an argument has no meaning, or the size of `axis` is not known.

    Example:

    >>> layer = ShiftBatchNormalization()
    >>> keras.ops.convert_to_numpy(layer(np.array([[1.0], [2.0], [6.0]]), training=True))[:, 0].tolist()
    [-1.0, -0.5, 1.5]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.875,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_inverse_std_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.axis = _axis(axis)
        self.momentum = _number("momentum", momentum, most=1)
        self.epsilon = _number("epsilon", epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_inverse_std_initializer = keras.initializers.get(moving_inverse_std_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates beta, gamma and the moving averages, one value per channel."""
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"ShiftBatchNormalization '{self.name}' got axis={self.axis} and an input of shape "
                f"{tuple(input_shape)}: pass an axis from {-rank} to {rank - 1}."
            )
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"ShiftBatchNormalization '{self.name}' got an input of shape {tuple(input_shape)}: the size of axis "
                f"{self.axis}, the channels, must be known, so give the model's Input that size."
            )
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self.gamma = self._add("gamma", channels, trainable=True) if self.scale else None
        self.beta = self._add("beta", channels, trainable=True) if self.center else None
        self.moving_mean = self._add("moving_mean", channels, trainable=False)
        self.moving_inverse_std = self._add("moving_inverse_std", channels, trainable=False)

    def _add(self, name: str, channels: int, trainable: bool) -> Any:
        return self.add_weight(
            name=name,
            shape=(channels,),
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer", None),
            constraint=getattr(self, f"{name}_constraint", None),
            trainable=trainable,
            autocast=False,
        )

    def call(self, inputs: KerasTensor, training: bool | None = None, mask: KerasTensor | None = None) -> KerasTensor:
        """Returns the normalized inputs, computed in float32 at least."""
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        if training and self.trainable:
            outputs = self._normalize_by_batch(x, mask)
        else:
            scale, offset = self._inference_form()
            outputs = x * self._per_channel(scale, x) + self._per_channel(offset, x)
        return ops.cast(outputs, self.compute_dtype)

    def _normalize_by_batch(self, x: KerasTensor, mask: KerasTensor | None) -> KerasTensor:
        axes = [axis for axis in range(len(x.shape)) if axis != self.axis % len(x.shape)]
        constant = ops.stop_gradient(x)  # what the batch's means add to the gradient is in that of shift_normalize
        if mask is None:
            mean = ops.mean(constant, axes, keepdims=True)
            share = ops.cast(ops.size(mean) / ops.size(x), x.dtype)
            centered = constant - mean
            variance = ops.mean(centered * ap2(centered), axes, keepdims=True)
        else:
            counted = ops.cast(ops.expand_dims(mask, -1), x.dtype)
            share = counted / ops.maximum(ops.sum(counted), 1)
            mean = ops.sum(share * constant, axes, keepdims=True)
            centered = constant - mean
            variance = ops.sum(share * centered * ap2(centered), axes, keepdims=True)
        inverse_std = ops.rsqrt(variance + self.epsilon)
        for moving, new in ((self.moving_mean, mean), (self.moving_inverse_std, inverse_std)):
            moving.assign(moving * self.momentum + ops.reshape(new, (-1,)) * (1 - self.momentum))
        gamma = ops.ones_like(mean) if self.gamma is None else self._per_channel(self.gamma, x)
        outputs = shift_normalize(x, gamma, mean, ap2(inverse_std), share, axes)
        return outputs if self.beta is None else outputs + self._per_channel(self.beta, x)

    def _inference_form(self) -> tuple[KerasTensor, KerasTensor]:
        """Returns (scale, offset), one value per channel."""
        scale = ap2(self.moving_inverse_std)
        if self.gamma is not None:
            scale = scale * straight_through_ap2(self.gamma)
        offset = -self.moving_mean * scale
        return scale, offset if self.beta is None else self.beta + offset

    def _per_channel(self, values: Any, x: KerasTensor) -> KerasTensor:
        shape = [1] * len(x.shape)
        shape[self.axis] = -1
        return ops.cast(ops.reshape(values, shape), x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
            "moving_inverse_std_initializer": keras.initializers.serialize(self.moving_inverse_std_initializer),
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": keras.constraints.serialize(self.beta_constraint),
            "gamma_constraint": keras.constraints.serialize(self.gamma_constraint),
        }

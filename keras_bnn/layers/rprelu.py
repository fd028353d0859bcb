"""The PReLU that each channel shifts: ReActNet's RPReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops


@keras.saving.register_keras_serializable(package="keras_bnn")
class RPReLU(keras.layers.Layer):
    """A PReLU between two trainable shifts, all per channel: the activation of ReActNet (arXiv:2003.03488, eq. 5).

    With `r = x - input_shift`: `y = (r if r > 0 else alpha * r) + output_shift`.

    Gradient: `dx = dy if r > 0, alpha * dy if r < 0, 0 if r = 0`, `dalpha = sum(r * dy if r < 0)`, `dinput_shift =
    -sum(dx)`, `doutput_shift = sum(dy)`, the sums over all axes but the last.

    Args:
        alpha_initializer: Initializer of the slope below 0, 0.25 by default as in the authors' programs.
        alpha_regularizer: Regularizer of the slope.
        alpha_constraint: Constraint of the slope.
        shift_initializer: Initializer of both shifts.
        **kwargs: Arguments of `keras.layers.Layer`, for example `name` and `dtype`.

    Input shape:
        `(batch_size, ..., channels)`

    Output shape:
        The input's.

    Raises:
        ValueError: when the number of channels is not known.

    Example:

    >>> keras.ops.convert_to_numpy(RPReLU()(np.array([[-4.0], [0.0], [2.0]])))[:, 0].tolist()
    [-1.0, 0.0, 2.0]
    """

    def __init__(
        self,
        alpha_initializer: Any = 0.25,
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shift_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(alpha_initializer, int | float):
            alpha_initializer = keras.initializers.Constant(alpha_initializer)
        self.alpha_initializer = keras.initializers.get(alpha_initializer)
        self.alpha_regularizer = keras.regularizers.get(alpha_regularizer)
        self.alpha_constraint = keras.constraints.get(alpha_constraint)
        self.shift_initializer = keras.initializers.get(shift_initializer)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the slope and the shifts, one value per channel."""
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"RPReLU '{self.name}' got an input of shape {tuple(input_shape)}: the size of the last axis, the "
                "channels, must be known, so give the model's Input that size."
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: channels})
        shape = (channels,)
        self.input_shift = self.add_weight(name="input_shift", shape=shape, initializer=self.shift_initializer)
        self.alpha = self.add_weight(
            name="alpha",
            shape=shape,
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.output_shift = self.add_weight(name="output_shift", shape=shape, initializer=self.shift_initializer)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the activated inputs."""
        shifted = ops.subtract(inputs, self.input_shift)
        # Keras's own way to write a PReLU, alpha of the rank of one sample: the TFLite converter makes one op of it.
        alpha = ops.reshape(self.alpha, [1] * (len(inputs.shape) - 2) + [-1])
        activated = ops.add(ops.relu(shifted), ops.multiply(ops.negative(alpha), ops.relu(ops.negative(shifted))))
        return ops.add(activated, self.output_shift)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "alpha_initializer": keras.initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": keras.regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": keras.constraints.serialize(self.alpha_constraint),
            "shift_initializer": keras.initializers.serialize(self.shift_initializer),
        }

"""The sign relative to a threshold that each channel learns: ReActNet's RSign."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.approx_sign import approx_sign


def learned_threshold_sign(x: KerasTensor, threshold: Any) -> KerasTensor:
    """Sign of x relative to a threshold, both of which get the gradient of ApproxSign.

    Forward (RSign in ReActNet, arXiv:2003.03488, section 4.2): `y = -1 if x < threshold else +1`. So x on the threshold
    and NaN give +1, as everywhere in this package; the paper gives -1 on the threshold.

    Backward: with `r = x - threshold`, `dx = dy * (2 - 2 * abs(r)) if abs(r) <= 1 else 0` and `dthreshold = -sum(dx)`
    over all but the channels, which is what the authors' programs compute.

    Args:
        x: Tensor of shape `(..., channels)` and float dtype.
        threshold: Tensor or variable of shape `(channels,)`.

    Returns:
        A tensor of +1 and -1, with the shape and the dtype of x.

    Example:

    >>> x = np.array([[0.0, 1.0], [1.0, 3.0]])
    >>> keras.ops.convert_to_numpy(learned_threshold_sign(x, np.array([0.5, 2.0]))).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    # As the sign of a sum, not as a comparison with the threshold: the converters know signs, and take what is added in
    # front of a sign into the bias of a convolution.
    return ops.cast(approx_sign(ops.add(x, ops.negative(threshold))), x.dtype)


@keras.saving.register_keras_serializable(package="keras_bnn")
class LearnedThresholdSign(keras.layers.Layer):
    """The quantizer "learned_threshold_sign": sign relative to a trainable threshold per channel, for activations.

    ReActNet's RSign (arXiv:2003.03488, section 4.2).

    Forward: `y = -1 if x < threshold else +1`. So x on the threshold and NaN give +1, as everywhere in this package;
    the paper gives -1 on the threshold.

    Backward: with `r = x - threshold`, `dx = dy * (2 - 2 * abs(r)) if abs(r) <= 1 else 0` and `dthreshold = -sum(dx)`
    over all but the channels, which is what the authors' programs compute. (They add a bias, the negative threshold.)

    Args:
        threshold_initializer: Initializer of the thresholds.
        threshold_regularizer: Regularizer of the thresholds.
        threshold_constraint: Constraint of the thresholds.
        **kwargs: Arguments of `keras.layers.Layer`, for example `name`.

    Input shape:
        `(..., channels)`

    Output shape:
        The input's.

    Raises:
        ValueError: when the number of channels is not known.

    Example:

    >>> quantizer = LearnedThresholdSign(threshold_initializer=keras.initializers.Constant(0.5))
    >>> keras.ops.convert_to_numpy(quantizer(np.array([[0.0, 0.5, 1.0]], "float32"))).tolist()
    [[-1.0, 1.0, 1.0]]
    """

    precision = 1
    gradient_reach = math.nextafter(1.0, 0.0)  # with thresholds of 0

    def __init__(
        self,
        threshold_initializer: Any = "zeros",
        threshold_regularizer: Any = None,
        threshold_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # the cast to float16 comes after the sign
        self.threshold_initializer = keras.initializers.get(threshold_initializer)
        self.threshold_regularizer = keras.regularizers.get(threshold_regularizer)
        self.threshold_constraint = keras.constraints.get(threshold_constraint)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates one threshold per channel."""
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"LearnedThresholdSign '{self.name}' got an input of shape {tuple(input_shape)}: the last axis, the "
                "channels, must be known, so give the model's Input that size."
            )
        self.threshold = self.add_weight(
            name="threshold",
            shape=(channels,),
            initializer=self.threshold_initializer,
            regularizer=self.threshold_regularizer,
            constraint=self.threshold_constraint,
            autocast=False,  # float16 inputs are compared with float32 thresholds
        )
        self.input_spec = keras.layers.InputSpec(min_ndim=1, axes={-1: channels})

    def call(self, x: KerasTensor) -> KerasTensor:
        """Returns signs of the shape of x, in the compute dtype."""
        return ops.cast(learned_threshold_sign(x, self.threshold), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "threshold_initializer": keras.initializers.serialize(self.threshold_initializer),
            "threshold_regularizer": keras.regularizers.serialize(self.threshold_regularizer),
            "threshold_constraint": keras.constraints.serialize(self.threshold_constraint),
        }

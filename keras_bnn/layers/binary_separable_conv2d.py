"""The image convolution on signs in two steps: within channels, then across them."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from keras_bnn.layers.padding import PaddedLayer


@keras.saving.register_keras_serializable(package="keras_bnn")
class BinarySeparableConv2D(PaddedLayer, keras.layers.SeparableConv2D):
    """A `keras.layers.SeparableConv2D` with binary inputs and two binary kernels.

    `hidden = depthwise_conv2d(input_quantizer(inputs), depthwise_quantizer(depthwise_kernel))`

    `outputs = activation(conv2d(hidden, pointwise_quantizer(pointwise_kernel)) + bias)`

    With the default quantizers (arXiv:1602.02830, eq. 1) all three are +1 or -1, and hidden and outputs are exact
    integers. hidden is not quantized, as in Larq: a sum of a few signs is often 0 and never normalized, so that its
    sign would say little. For two XNOR-popcount steps put a `BinaryDepthwiseConv2D`, a batch normalization and a
    `BinaryConv2D` with kernel_size=1 one after another. The gradients of the signs are straight-through estimates, see
    `keras_bnn.quantizers.SteSign`.

    Args:
        filters: Positive int, number of output channels.
        kernel_size: One int or two (height, width), in pixels, of the depthwise step.
        strides: One int or two equal ones, in pixels, of the depthwise step.
        padding: "valid" (none) or "same".
        data_format: None or "channels_last".
        dilation_rate: One int or two, distance of neighbouring taps in pixels.
        depth_multiplier: Positive int, number of hidden channels per input channel.
        activation: Activation of the outputs. None by default.
        use_bias: Whether to add a bias. False by default, since a batch normalization has one.
        depthwise_initializer: Initializer of the latent depthwise kernel.
        pointwise_initializer: Initializer of the latent pointwise kernel.
        bias_initializer: Initializer of the bias.
        depthwise_regularizer: Regularizer of the latent depthwise kernel.
        pointwise_regularizer: Regularizer of the latent pointwise kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the outputs.
        depthwise_constraint: Constraint of the latent depthwise kernel, "weight_clip" by default: clip to [-1, 1] after
            each update.
        pointwise_constraint: Constraint of the latent pointwise kernel, likewise.
        bias_constraint: Constraint of the bias.
        input_quantizer: Quantizer of the inputs: a name, an instance, a function of one tensor, or None for
            real-valued inputs. An instance with weights, such as `RSign()`, serves one layer.
        depthwise_quantizer: Quantizer of the depthwise kernel, likewise; None for a real-valued kernel.
        pointwise_quantizer: Quantizer of the pointwise kernel, likewise.
        pad_value: 0, 1 or -1: the value outside the image when padding="same".
        **kwargs: Further arguments of `keras.layers.SeparableConv2D` and `keras.layers.Layer`, for example `name`.

    Input shape:
        `(batch_size, height, width, channels)`

    Output shape:
        `(batch_size, new_height, new_width, filters)`

    Raises:
        ValueError: when an argument has no meaning, or data_format is "channels_first"; the message names it.

    Example:

    >>> layer = BinarySeparableConv2D(1, (1, 2), depthwise_initializer="ones", pointwise_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[[[5, -1], [0, -3], [2, 7]]]])))[0, 0].tolist()
    [[0.0], [2.0]]
    """

    KERNELS: ClassVar[dict[str, str]] = {"depthwise": "depthwise_kernel", "pointwise": "pointwise_kernel"}
    OUTPUT_AXES: ClassVar[dict[str, int | tuple[int, ...]]] = {"depthwise": (-2, -1), "pointwise": -1}

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, int] = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = False,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = "weight_clip",
        pointwise_constraint: Any = "weight_clip",
        bias_constraint: Any = None,
        *,
        input_quantizer: Any = "ste_sign",
        depthwise_quantizer: Any = "ste_sign",
        pointwise_quantizer: Any = "ste_sign",
        pad_value: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            depth_multiplier=depth_multiplier,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
            input_quantizer=input_quantizer,
            depthwise_quantizer=depthwise_quantizer,
            pointwise_quantizer=pointwise_quantizer,
            pad_value=pad_value,
            **kwargs,
        )

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Returns the outputs. Quantizers that behave differently while training see `training`."""
        hidden = ops.depthwise_conv(
            self.padded(self.quantized_inputs(inputs)),
            self.quantized_kernel("depthwise"),
            strides=self.strides,
            padding=self.remaining_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        outputs = ops.conv(hidden, self.quantized_kernel("pointwise"), data_format=self.data_format)
        return self.biased_and_activated(outputs)

"""The image convolution on signs that makes images larger."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from keras_bnn.layers.binary_layer import BinaryLayer


@keras.saving.register_keras_serializable(package="keras_bnn")
class BinaryConv2DTranspose(BinaryLayer, keras.layers.Conv2DTranspose):
    """A `keras.layers.Conv2DTranspose` with binary inputs and a binary kernel.

    `outputs = activation(conv2d_transpose(input_quantizer(inputs), kernel_quantizer(kernel)) + bias)`

    Each input pixel adds the kernel times its value to the output around it: with the default quantizers
    (arXiv:1602.02830, eq. 1) all factors are +1 or -1, so that each output is an exact integer in float32. The
    gradients of the signs are straight-through estimates, see `keras_bnn.quantizers.SteSign`.

    There is no pad_value: a transposed convolution reads nothing outside the image. Its padding crops the output.

    Args:
        filters: Positive int, number of output channels.
        kernel_size: One int or two (height, width), in pixels.
        strides: One int or two: distance of the outputs of neighbouring input pixels.
        padding: "valid" (the whole output) or "same" (cropped to the input's size times strides).
        output_padding: None, one int or two, below strides: pixels added to one side of the output.
        data_format: None or "channels_last".
        dilation_rate: One int or two, distance of neighbouring taps in pixels.
        activation: Activation of the outputs. None by default.
        use_bias: Whether to add a bias. False by default, since a batch normalization has one.
        kernel_initializer: Initializer of the latent kernel, of shape (height, width, filters, channels).
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of the latent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the outputs.
        kernel_constraint: Constraint of the latent kernel, "weight_clip" by default: clip to [-1, 1] after each
            update.
        bias_constraint: Constraint of the bias.
        input_quantizer: Quantizer of the inputs: a name, an instance, a function of one tensor, or None for
            real-valued inputs. An instance with weights, such as `RSign()`, serves one layer.
        kernel_quantizer: Quantizer of the kernel, likewise; None for a real-valued kernel.
        **kwargs: Further arguments of `keras.layers.Conv2DTranspose` and `keras.layers.Layer`, for example `name`.

    Input shape:
        `(batch_size, height, width, channels)`

    Output shape:
        `(batch_size, new_height, new_width, filters)`

    Raises:
        ValueError: when an argument has no meaning, or data_format is "channels_first"; the message names it.

    Example:

    >>> layer = BinaryConv2DTranspose(1, (1, 3), strides=2, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[[[0.5], [-3.0]]]])))[0, 0, :, 0].tolist()
    [1.0, 1.0, 0.0, -1.0, -1.0]
    """

    OUTPUT_AXES: ClassVar[dict[str, int | tuple[int, ...]]] = {"kernel": -2}

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: str = "valid",
        output_padding: int | tuple[int, int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | tuple[int, int] = (1, 1),
        activation: Any = None,
        use_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = "weight_clip",
        bias_constraint: Any = None,
        *,
        input_quantizer: Any = "ste_sign",
        kernel_quantizer: Any = "ste_sign",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            output_padding=output_padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            input_quantizer=input_quantizer,
            kernel_quantizer=kernel_quantizer,
            **kwargs,
        )

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Returns the outputs. Quantizers that behave differently while training see `training`."""
        outputs = ops.conv_transpose(
            self.quantized_inputs(inputs),
            self.quantized_kernel(),
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.biased_and_activated(outputs)

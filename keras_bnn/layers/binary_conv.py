"""What BinaryConv1D, BinaryConv2D and BinaryConv3D share: the constructor and the computation."""

from __future__ import annotations

from typing import Any

from keras import KerasTensor, ops

from keras_bnn.layers.padding import PaddedLayer


class BinaryConv(PaddedLayer):
    """Mixin for a Keras convolution of any rank; `BinaryConv2D` describes the arguments."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        groups: int = 1,
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
            groups=groups,
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
            pad_value=pad_value,
            **kwargs,
        )

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Returns the outputs. Quantizers that behave differently while training see `training`."""
        outputs = ops.conv(
            self.padded(self.quantized_inputs(inputs)),
            self.quantized_kernel(),
            strides=list(self.strides),
            padding=self.remaining_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.biased_and_activated(outputs)

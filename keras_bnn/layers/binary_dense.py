"""The fully connected layer on signs."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.layers.binary_layer import BinaryLayer


@keras.saving.register_keras_serializable(package="keras_bnn")
class BinaryDense(BinaryLayer, keras.layers.Dense):
    """A `keras.layers.Dense` with binary inputs and a binary kernel.

    `outputs = activation(matmul(input_quantizer(inputs), kernel_quantizer(kernel)) + bias)`

    With the default quantizers (arXiv:1602.02830, eq. 1 and algorithm 1) all factors are +1 or -1, so that each output
    is an exact integer in float32, from -input_dim to +input_dim. The kernel itself stays a real-valued latent weight
    for the optimizer. The gradients of the signs are straight-through estimates, see `keras_bnn.quantizers.SteSign`.

    A batch normalization usually follows; the next binary layer takes the sign of its output.

    Args:
        units: Positive int, number of output channels.
        activation: Activation of the outputs. None by default.
        use_bias: Whether to add a bias. False by default, since a batch normalization has one.
        kernel_initializer: Initializer of the latent kernel.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of the latent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the outputs.
        kernel_constraint: Constraint of the latent kernel, "weight_clip" by default: clip to [-1, 1] after each
            update.
        bias_constraint: Constraint of the bias.
        input_quantizer: Quantizer of the inputs: a name, an instance, a function of one tensor, or None for
            real-valued inputs (the first layer of a network). An instance with weights, such as `RSign()`, serves one
            layer.
        kernel_quantizer: Quantizer of the kernel, likewise; None for a real-valued kernel.
        **kwargs: Further arguments of `keras.layers.Dense` and `keras.layers.Layer`, for example `name` and `dtype`.

    Input shape:
        `(batch_size, ..., input_dim)`

    Output shape:
        `(batch_size, ..., units)`

    Raises:
        ValueError: when an argument has no meaning; the message names it.

    Example:

    >>> layer = BinaryDense(3, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.array([[-0.5, 0.0, 2.0, 3.0]]))).tolist()
    [[2.0, 2.0, 2.0]]
    """

    def __init__(
        self,
        units: int,
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
            units=units,
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
        return self.biased_and_activated(ops.matmul(self.quantized_inputs(inputs), self.quantized_kernel()))

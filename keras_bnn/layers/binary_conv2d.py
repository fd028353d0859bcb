"""The image convolution on signs."""

from __future__ import annotations

import keras

from keras_bnn.layers.binary_conv import BinaryConv


@keras.saving.register_keras_serializable(package="keras_bnn")
class BinaryConv2D(BinaryConv, keras.layers.Conv2D):
    """A `keras.layers.Conv2D` with binary inputs and a binary kernel.

    `outputs = activation(conv2d(input_quantizer(inputs), kernel_quantizer(kernel)) + bias)`

    With the default quantizers (arXiv:1602.02830, eq. 1 and algorithm 1) all factors are +1 or -1, so that each output
    is an exact integer in float32. The kernel itself stays a real-valued latent weight for the optimizer. The gradients
    of the signs are straight-through estimates, see `keras_bnn.quantizers.SteSign`.

    A batch normalization usually follows; the next binary layer takes the sign of its output. A max-pool goes after
    the batch normalization: there it can be computed on bits, since it commutes with the sign.

    Args:
        filters: Positive int, number of output channels.
        kernel_size: One int or two (height, width), in pixels.
        strides: One int or two, in pixels. Keras allows strides > 1 only without dilation.
        padding: "valid" (none) or "same".
        data_format: None or "channels_last".
        dilation_rate: One int or two, distance of neighbouring taps in pixels.
        groups: Positive int that divides the input channels and filters.
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
        pad_value: 0, 1 or -1: the value outside the image unless padding="valid". A 0 is neither +1 nor -1, yet packed
            kernels skip it at no cost; 1 and -1 keep the whole computation binary.
        **kwargs: Further arguments of `keras.layers.Conv2D` and `keras.layers.Layer`, for example `name` and `dtype`.

    Input shape:
        `(batch_size, height, width, channels)`

    Output shape:
        `(batch_size, new_height, new_width, filters)`

    Raises:
        ValueError: when an argument has no meaning, or data_format is "channels_first"; the message names it.

    Example:

    >>> layer = BinaryConv2D(2, 3, padding="same", kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.ones((1, 3, 3, 5))))[0, :, :, 0].tolist()
    [[20.0, 30.0, 20.0], [30.0, 45.0, 30.0], [20.0, 30.0, 20.0]]
    """

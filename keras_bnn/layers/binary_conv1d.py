"""The sequence convolution on signs."""

from __future__ import annotations

import keras

from keras_bnn.layers.binary_conv import BinaryConv


@keras.saving.register_keras_serializable(package="keras_bnn")
class BinaryConv1D(BinaryConv, keras.layers.Conv1D):
    """A `keras.layers.Conv1D` with binary inputs and a binary kernel.

    `outputs = activation(conv1d(input_quantizer(inputs), kernel_quantizer(kernel)) + bias)`

    Values, gradients and sources are those of `BinaryConv2D`, along one axis.

    Args:
        filters: Positive int, number of output channels.
        kernel_size: One int, in steps.
        strides: One int, in steps. Keras allows strides > 1 only without dilation.
        padding: "valid" (none), "same", or "causal": all padding before the first step, so that no output sees a
            later input.
        data_format: None or "channels_last".
        dilation_rate: One int, distance of neighbouring taps in steps.
        groups: As in `BinaryConv2D`, and so are all arguments from here to bias_constraint: activation, use_bias (False
            by default), the initializers, the regularizers, and the constraints ("weight_clip" for the kernel).
        input_quantizer: As in `BinaryConv2D`.
        kernel_quantizer: As in `BinaryConv2D`.
        pad_value: 0, 1 or -1: the value outside the sequence unless padding="valid".
        **kwargs: Further arguments of `keras.layers.Conv1D` and `keras.layers.Layer`, for example `name` and `dtype`.

    Input shape:
        `(batch_size, steps, channels)`

    Output shape:
        `(batch_size, new_steps, filters)`

    Raises:
        ValueError: when an argument has no meaning, or data_format is "channels_first"; the message names it.

    Example:

    >>> layer = BinaryConv1D(2, 3, padding="causal", pad_value=1, kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(-np.ones((1, 4, 5))))[0, :, 0].tolist()
    [5.0, -5.0, -15.0, -15.0]
    """

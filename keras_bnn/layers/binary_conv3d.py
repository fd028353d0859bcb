"""The volume convolution on signs."""

from __future__ import annotations

import keras

from keras_bnn.layers.binary_conv import BinaryConv


@keras.saving.register_keras_serializable(package="keras_bnn")
class BinaryConv3D(BinaryConv, keras.layers.Conv3D):
    """A `keras.layers.Conv3D` with binary inputs and a binary kernel.

    `outputs = activation(conv3d(input_quantizer(inputs), kernel_quantizer(kernel)) + bias)`

    Values, gradients and sources are those of `BinaryConv2D`, along three axes.

    Args:
        filters: Positive int, number of output channels.
        kernel_size: One int or three (depth, height, width), in voxels.
        strides: One int or three, in voxels. Keras allows strides > 1 only without dilation.
        padding: "valid" (none) or "same".
        data_format: None or "channels_last".
        dilation_rate: One int or three, distance of neighbouring taps in voxels.
        groups: As in `BinaryConv2D`, and so are all arguments from here to bias_constraint: activation, use_bias (False
            by default), the initializers, the regularizers, and the constraints ("weight_clip" for the kernel).
        input_quantizer: As in `BinaryConv2D`.
        kernel_quantizer: As in `BinaryConv2D`.
        pad_value: 0, 1 or -1: the value outside the volume unless padding="valid".
        **kwargs: Further arguments of `keras.layers.Conv3D` and `keras.layers.Layer`, for example `name` and `dtype`.

    Input shape:
        `(batch_size, depth, height, width, channels)`

    Output shape:
        `(batch_size, new_depth, new_height, new_width, filters)`

    Raises:
        ValueError: when an argument has no meaning, or data_format is "channels_first"; the message names it.

    Example:

    >>> layer = BinaryConv3D(2, (1, 1, 2), kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(np.ones((1, 1, 1, 3, 5))))[0, 0, 0, :, 0].tolist()
    [10.0, 10.0]
    """

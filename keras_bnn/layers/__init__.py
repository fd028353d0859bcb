"""Binary layers: Keras layers that quantize their inputs and their kernels.

>>> model = keras.Sequential([
...     keras.Input((28, 28, 1)),
...     BinaryConv2D(32, 3, input_quantizer=None),
...     keras.layers.BatchNormalization(),
...     keras.layers.Flatten(),
...     BinaryDense(10),
...     keras.layers.BatchNormalization(),
... ])
>>> model.output_shape
(None, 10)
"""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.layers.binary_conv1d import BinaryConv1D
from keras_bnn.layers.binary_conv2d import BinaryConv2D
from keras_bnn.layers.binary_conv2d_transpose import BinaryConv2DTranspose
from keras_bnn.layers.binary_conv3d import BinaryConv3D
from keras_bnn.layers.binary_dense import BinaryDense
from keras_bnn.layers.binary_depthwise_conv2d import BinaryDepthwiseConv2D
from keras_bnn.layers.binary_separable_conv2d import BinarySeparableConv2D
from keras_bnn.layers.quantize import Quantize
from keras_bnn.layers.rprelu import RPReLU
from keras_bnn.layers.shift_batch_normalization import ShiftBatchNormalization
from keras_bnn.quantizers import LearnedThresholdSign as RSign

__all__ = [
    "BinaryConv1D",
    "BinaryConv2D",
    "BinaryConv2DTranspose",
    "BinaryConv3D",
    "BinaryDense",
    "BinaryDepthwiseConv2D",
    "BinarySeparableConv2D",
    "Quantize",
    "RPReLU",
    "RSign",
    "ShiftBatchNormalization",
]

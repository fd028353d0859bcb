"""BinaryAlexNet: AlexNet with binary weights in every layer."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import finish, image_input, scores
from keras_bnn.layers import BinaryConv2D, BinaryDense


def _normalized(x: KerasTensor) -> KerasTensor:
    return keras.layers.BatchNormalization(scale=False, momentum=0.9)(x)


def _convolution(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    pool: bool = False,
    input_quantizer: Any = "ste_sign",
) -> KerasTensor:
    x = BinaryConv2D(filters, kernel_size, strides=strides, padding="same", input_quantizer=input_quantizer)(x)
    if pool:
        x = keras.layers.MaxPooling2D(3, strides=2)(x)
    return _normalized(x)


def BinaryAlexNet(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "binary_alexnet",
) -> keras.Model:
    """AlexNet as a binarized neural network (Hubara et al., NIPS 2016; arXiv:1602.02830).

    Five convolutions and three dense layers, all with binary weights, the first one on the real-valued image.
    Max-pools come before batch normalization, which has no scale.

    Published: 36.3 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 61 859 192 parameters, of which 61 827 776 are binary weights;
    769 M binary and 72.9 M real-valued multiply-accumulates.

    Args:
        include_top: Whether to end in the three dense layers; False ends in the feature maps.
        weights: None (random), or a local file: `model.save_weights`' .weights.h5, or a Larq Zoo .h5.
        input_shape: (height, width, channels) with at least 63 x 63 pixels, or None for the default; height and width
            may be None without top.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None gives logits.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> BinaryAlexNet(input_shape=(64, 64, 3), include_top=False).output_shape
    (None, 1, 1, 256)
    """
    inputs = image_input(input_shape, fixed_size=include_top)
    x = _convolution(inputs, 64, 11, strides=4, pool=True, input_quantizer=None)
    x = _convolution(x, 192, 5, pool=True)
    x = _convolution(x, 384, 3)
    x = _convolution(x, 384, 3)
    x = _convolution(x, 256, 3, pool=True)
    if include_top:
        x = keras.layers.Flatten()(x)
        for units in (4096, 4096, classes):
            x = _normalized(BinaryDense(units)(x))
        x = scores(x, classifier_activation)
    return finish(inputs, x, name, weights)

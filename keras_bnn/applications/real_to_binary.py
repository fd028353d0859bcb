"""Real-to-Binary Net: outputs of binary convolutions are scaled by what comes in."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import classifier, finish, image_input
from keras_bnn.layers import BinaryConv2D

_REDUCTION = 8


def _input_dependent_scale(x: KerasTensor, channels: int) -> KerasTensor:
    """One factor from 0 to 1 per output channel, from the real-valued inputs of the convolution."""
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(
        x.shape[-1] // _REDUCTION, activation="relu", kernel_initializer="he_normal", use_bias=False
    )(x)
    x = keras.layers.Dense(channels, activation="sigmoid", kernel_initializer="he_normal", use_bias=False)(x)
    return keras.layers.Reshape((1, 1, channels))(x)


def _residual(x: KerasTensor, filters: int) -> KerasTensor:
    shortcut, halves = x, x.shape[-1] != filters
    if halves:
        shortcut = keras.layers.AveragePooling2D(2, padding="same")(x)
        shortcut = keras.layers.Conv2D(filters, 1, kernel_initializer="glorot_normal", use_bias=False)(shortcut)
        shortcut = keras.layers.BatchNormalization()(shortcut)
    normalized = keras.layers.BatchNormalization()(x)
    y = BinaryConv2D(filters, 3, strides=2 if halves else 1, padding="same", kernel_initializer="glorot_normal")(
        normalized
    )
    y = keras.layers.Multiply()([y, _input_dependent_scale(normalized, filters)])
    y = keras.layers.PReLU(shared_axes=[1, 2])(y)
    return keras.layers.Add()([y, shortcut])


def RealToBinaryNet(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "real_to_binary_net",
) -> keras.Model:
    """The binary network of "Training binary neural networks with real-to-binary convolutions" (arXiv:2003.11535).

    16 binary 3x3 convolutions, each computing `x + PReLU(scale(z) * conv3x3(sign(z), sign(w)))` with `z = BN(x)` and a
    scale per channel and image from two small dense layers on the mean of z.

    Published: 65.0 % ImageNet top-1 (65.4 % in the paper).
    At 224x224 pixels and 1000 classes: 11 995 624 parameters, of which 10 985 472 are binary weights;
    1676 M binary and 138.1 M real-valued multiply-accumulates.

    Args:
        include_top: Whether to end in the classifier; False ends in the feature maps.
        weights: None (random), or a local file: `model.save_weights`' .weights.h5, or a Larq Zoo .h5.
        input_shape: (height, width, channels), or None for the default; height and width may be None.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None gives logits.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> RealToBinaryNet(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    inputs = image_input(input_shape)
    x = keras.layers.Conv2D(64, 7, strides=2, padding="same", kernel_initializer="glorot_normal", use_bias=False)(
        inputs
    )
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.PReLU(shared_axes=[1, 2])(x)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for filters in (64, 128, 256, 512):
        for _ in range(4):
            x = _residual(x, filters)
    if include_top:
        x = classifier(x, classes, classifier_activation)
    return finish(inputs, x, name, weights)

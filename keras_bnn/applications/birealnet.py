"""Bi-Real Net: real-valued shortcuts around every binary convolution."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import classifier, finish, image_input
from keras_bnn.layers import BinaryConv2D


def _normalized(x: KerasTensor) -> KerasTensor:
    return keras.layers.BatchNormalization(momentum=0.8)(x)


def _residual(x: KerasTensor, filters: int) -> KerasTensor:
    shortcut, halves = x, x.shape[-1] != filters
    if halves:
        shortcut = keras.layers.AveragePooling2D(2, padding="same")(x)
        shortcut = keras.layers.Conv2D(filters, 1, kernel_initializer="glorot_normal", use_bias=False)(shortcut)
        shortcut = _normalized(shortcut)
    y = BinaryConv2D(
        filters,
        3,
        strides=2 if halves else 1,
        padding="same",
        input_quantizer="approx_sign",
        kernel_quantizer="magnitude_aware_sign",
        kernel_initializer="glorot_normal",
    )(x)
    return keras.layers.Add()([_normalized(y), shortcut])


def BiRealNet18(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "birealnet18",
) -> keras.Model:
    """Bi-Real Net with 18 layers (arXiv:1808.00278).

    16 binary 3x3 convolutions, each with a real-valued shortcut; their inputs have the gradient of "approx_sign", their
    kernels a scale per filter ("magnitude_aware_sign").

    Published: 57.5 % ImageNet top-1 (56.4 % in the paper).
    At 224x224 pixels and 1000 classes: 11 699 112 parameters, of which 10 985 472 are binary weights;
    1676 M binary and 137.8 M real-valued multiply-accumulates.

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

    >>> BiRealNet18(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    inputs = image_input(input_shape)
    x = keras.layers.Conv2D(64, 7, strides=2, padding="same", kernel_initializer="glorot_normal", use_bias=False)(
        inputs
    )
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(_normalized(x))
    for filters in (64, 128, 256, 512):
        for _ in range(4):
            x = _residual(x, filters)
    if include_top:
        x = classifier(x, classes, classifier_activation)
    return finish(inputs, x, name, weights)

"""BinaryResNetE: a residual network without extra tricks."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import classifier, finish, image_input, small_or_large_stem
from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryConv2D
from keras_bnn.quantizers import SteSign

_CLIP_VALUE = 1.25


def _residual(x: KerasTensor, filters: int) -> KerasTensor:
    shortcut, halves = x, x.shape[-1] != filters
    if halves:
        shortcut = keras.layers.AveragePooling2D(2, padding="same")(x)
        shortcut = keras.layers.Conv2D(filters, 1, kernel_initializer="glorot_normal", use_bias=False)(shortcut)
        shortcut = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(shortcut)
    y = BinaryConv2D(
        filters,
        3,
        strides=2 if halves else 1,
        padding="same",
        input_quantizer=SteSign(_CLIP_VALUE),
        kernel_quantizer=SteSign(_CLIP_VALUE),
        kernel_constraint=WeightClip(_CLIP_VALUE),
        kernel_initializer="glorot_normal",
    )(x)
    y = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(y)
    return keras.layers.Add()([y, shortcut])


def BinaryResNetE18(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "binary_resnet_e18",
) -> keras.Model:
    """ResNetE-18 of "Back to Simplicity: How to Train Accurate BNNs from Scratch?" (arXiv:1906.08637).

    Every one of the 16 binary 3x3 convolutions has a shortcut of its own; where the image halves, the shortcut is a
    real-valued 1x1 convolution. Images whose height is below 50 pixels get a 3x3 stem without pooling.

    Published: 58.3 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 11 699 368 parameters, of which 10 985 472 are binary weights;
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

    >>> BinaryResNetE18(input_shape=(32, 32, 3), classes=10).output_shape
    (None, 10)
    """
    inputs = image_input(input_shape)
    x = small_or_large_stem(inputs)
    if x.shape[1] != inputs.shape[1]:
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    for filters in (64, 128, 256, 512):
        for _ in range(4):
            x = _residual(x, filters)
    x = keras.layers.ReLU()(x)
    if include_top:
        x = classifier(x, classes, classifier_activation, kernel_initializer="glorot_normal")
    return finish(inputs, x, name, weights)

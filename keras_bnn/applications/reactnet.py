"""ReActNet: a binary MobileNet whose activations learn their own shifts."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import classifier, finish, image_input
from keras_bnn.layers import BinaryConv2D, RPReLU, RSign

_FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


def _normalized(x: KerasTensor) -> KerasTensor:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _convolution(x: KerasTensor, filters: int, kernel_size: int, strides: int = 1) -> KerasTensor:
    y = BinaryConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        input_quantizer=RSign(),
        kernel_quantizer="magnitude_aware_sign",
    )(x)
    return _normalized(y)


def _block(x: KerasTensor, filters: int, halves: bool) -> KerasTensor:
    channels = x.shape[-1]
    y = _convolution(x, channels, 3, strides=2 if halves else 1)
    shortcut = keras.layers.AveragePooling2D(2, padding="same")(x) if halves else x
    x = RPReLU()(keras.layers.Add()([y, shortcut]))
    # The paper's two 1x1 convolutions side by side are one with twice the filters.
    y = _convolution(x, filters, 1)
    shortcut = keras.layers.Concatenate()([x, x]) if filters != channels else x
    return RPReLU()(keras.layers.Add()([y, shortcut]))


def ReActNetA(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "reactnet_a",
) -> keras.Model:
    """ReActNet-A (arXiv:2003.03488): MobileNetV1 with full 3x3 and 1x1 binary convolutions.

    13 blocks; each is a 3x3 and a 1x1 convolution with real-valued shortcuts, where the shortcut is doubled instead of
    convolved when the channels double. Signs and PReLUs have trainable shifts per channel (`keras_bnn.layers.RSign`,
    `keras_bnn.layers.RPReLU`), kernels a scale per filter. Images are padded as TensorFlow does; the authors' programs
    pad one pixel on each side in convolutions with stride 2 too.

    Published: 69.4 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 29 365 480 parameters, of which 28 253 184 are binary weights;
    4817 M binary and 11.9 M real-valued multiply-accumulates.

    Args:
        include_top: Whether to end in the classifier; False ends in the feature maps.
        weights: None (random), or a local file that `model.save_weights` wrote, named *.weights.h5.
        input_shape: (height, width, channels), or None for the default; height and width may be None.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None gives logits.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> ReActNetA(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    inputs = image_input(input_shape)
    x = _normalized(keras.layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(inputs))
    for filters in _FILTERS:
        x = _block(x, filters, halves=filters > 64 and filters != x.shape[-1])
    if include_top:
        x = classifier(x, classes, classifier_activation)
    return finish(inputs, x, name, weights)

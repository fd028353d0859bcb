"""XNOR-Net: AlexNet with binary inner layers and a scale per filter."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import finish, image_input, scores
from keras_bnn.layers import BinaryConv2D


def _normalized(x: KerasTensor, epsilon: float) -> KerasTensor:
    return keras.layers.BatchNormalization(momentum=0.9, scale=False, epsilon=epsilon)(x)


def _convolution(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    padding: str = "same",
    pool: bool = False,
    epsilon: float = 1e-4,
) -> KerasTensor:
    x = BinaryConv2D(filters, kernel_size, padding=padding, kernel_quantizer="magnitude_aware_sign")(x)
    if pool:
        x = keras.layers.MaxPooling2D(3, strides=2)(x)
    return _normalized(x, epsilon)


def XNORNet(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xnornet",
) -> keras.Model:
    """XNOR-Net (arXiv:1603.05279) on AlexNet: real-valued first and last layer, binary layers with a scale between.

    A filter's scale is the mean of its absolute latent weights, which "weight_clip" keeps in [-1, 1].

    Published: 45.0 % ImageNet top-1 (44.2 % in the paper).
    At 224x224 pixels and 1000 classes: 62 396 768 parameters, of which 58 236 928 are binary weights;
    1026 M binary and 113.4 M real-valued multiply-accumulates.

    Args:
        include_top: Whether to end in the last two dense layers; False ends in the feature maps.
        weights: None (random), or a local file: `model.save_weights`' .weights.h5, or a Larq Zoo .h5.
        input_shape: (height, width, channels) with at least 207 x 207 pixels, of which the 6x6 convolution makes one,
            or None for the default; height and width may be None without top.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None gives logits.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> XNORNet(include_top=False).output_shape
    (None, 1, 1, 4096)
    """
    inputs = image_input(input_shape, fixed_size=include_top)
    x = keras.layers.Conv2D(96, 11, strides=4, padding="same", use_bias=False)(inputs)
    x = keras.layers.ReLU()(_normalized(x, 1e-5))
    x = _normalized(keras.layers.MaxPooling2D(3, strides=2)(x), 1e-4)
    x = _convolution(x, 256, 5, pool=True)
    x = _convolution(x, 384, 3)
    x = _convolution(x, 384, 3)
    x = _convolution(x, 256, 3, pool=True)
    x = _convolution(x, 4096, 6, padding="valid")
    if include_top:
        x = keras.layers.ReLU()(_convolution(x, 4096, 1, epsilon=1e-3))
        x = keras.layers.Flatten()(x)
        x = keras.layers.Dense(classes, use_bias=False)(x)
        x = scores(x, classifier_activation)
    return finish(inputs, x, name, weights)

"""QuickNet: fast binary residual networks by the authors of Larq."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from keras_bnn.applications.common import classifier, finish, image_input
from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryConv2D
from keras_bnn.quantizers import SteSign

_CLIP_VALUE = 1.25


def _blur_kernel() -> np.ndarray:
    """The binomial 3x3 filter that removes what a stride of 2 would alias (arXiv:1904.11486)."""
    row = np.array([1, 2, 1]) / 4
    return np.outer(row, row).astype("float32")[:, :, np.newaxis, np.newaxis]


def _stem(x: KerasTensor, filters: int) -> KerasTensor:
    x = keras.layers.Conv2D(filters // 4, 3, strides=2, padding="same", kernel_initializer="he_normal", use_bias=False)(
        x
    )
    x = keras.layers.BatchNormalization(epsilon=1e-3)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(scale=False, center=False, epsilon=1e-3)(x)
    x = keras.layers.Conv2D(filters, 1, kernel_initializer="he_normal", use_bias=False)(x)
    return keras.layers.BatchNormalization(epsilon=1e-3)(x)


def _transition(x: KerasTensor, filters: int) -> KerasTensor:
    x = keras.layers.ReLU()(x)
    x = keras.layers.MaxPooling2D(2, strides=1)(x)
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=2,
        padding="same",
        depthwise_initializer=keras.initializers.Constant(_blur_kernel()),
        trainable=False,
        use_bias=False,
    )(x)
    x = keras.layers.Conv2D(filters, 1, kernel_initializer="glorot_normal", use_bias=False)(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _residual(x: KerasTensor) -> KerasTensor:
    y = BinaryConv2D(
        x.shape[-1],
        3,
        padding="same",
        pad_value=1,
        activation="relu",
        input_quantizer=SteSign(_CLIP_VALUE),
        kernel_quantizer=SteSign(_CLIP_VALUE),
        kernel_constraint=WeightClip(_CLIP_VALUE),
        kernel_initializer="glorot_normal",
    )(x)
    y = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(y)
    return keras.layers.Add()([y, x])


def _quicknet(
    blocks: Sequence[int],
    filters: Sequence[int],
    include_top: bool,
    weights: str | os.PathLike[str] | None,
    input_shape: tuple[int | None, int | None, int] | None,
    classes: int,
    classifier_activation: Any,
    name: str,
) -> keras.Model:
    inputs = image_input(input_shape)
    x = _stem(inputs, filters[0])
    for section, (num_blocks, num_filters) in enumerate(zip(blocks, filters, strict=True)):
        if section > 0:
            x = _transition(x, num_filters)
        for _ in range(num_blocks):
            x = _residual(x)
    if include_top:
        x = classifier(keras.layers.ReLU()(x), classes, classifier_activation, kernel_initializer="glorot_normal")
    return finish(inputs, x, name, weights)


def QuickNet(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "quicknet",
) -> keras.Model:
    """QuickNet (arXiv:2011.09398): four sections of binary residual blocks, 16 binary convolutions in all.

    A block computes `x + BN(relu(conv3x3(sign(x), sign(w))))` with +1 outside the image. Between sections a max-pool, a
    fixed blur with stride 2 and a real-valued 1x1 convolution halve the image.

    Published: 63.3 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 13 243 720 parameters, of which 12 533 760 are binary weights;
    1850 M binary and 29.7 M real-valued multiply-accumulates.

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

    >>> QuickNet(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    return _quicknet(
        (4, 4, 4, 4),
        (64, 128, 256, 512),
        include_top,
        weights,
        input_shape,
        classes,
        classifier_activation,
        name,
    )


def QuickNetSmall(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "quicknet_small",
) -> keras.Model:
    """QuickNetSmall (arXiv:2011.09398): `QuickNet` with 32, 64, 256 and 512 filters.

    Published: 59.4 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 12 664 344 parameters, of which 11 980 800 are binary weights;
    1156 M binary and 15.9 M real-valued multiply-accumulates.

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

    >>> QuickNetSmall(input_shape=(64, 64, 3), include_top=False).output_shape
    (None, 2, 2, 512)
    """
    return _quicknet(
        (4, 4, 4, 4),
        (32, 64, 256, 512),
        include_top,
        weights,
        input_shape,
        classes,
        classifier_activation,
        name,
    )


def QuickNetLarge(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "quicknet_large",
) -> keras.Model:
    """QuickNetLarge (arXiv:2011.09398): `QuickNet` with 6, 8, 12 and 6 blocks.

    Published: 66.9 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 23 359 304 parameters, of which 22 634 496 are binary weights;
    3699 M binary and 29.7 M real-valued multiply-accumulates.

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

    >>> QuickNetLarge(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    return _quicknet(
        (6, 8, 12, 6),
        (64, 128, 256, 512),
        include_top,
        weights,
        input_shape,
        classes,
        classifier_activation,
        name,
    )

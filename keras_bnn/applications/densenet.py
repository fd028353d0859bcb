"""BinaryDenseNet: features are concatenated, never replaced."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import classifier, finish, image_input, small_or_large_stem
from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryConv2D
from keras_bnn.quantizers import SteSign

_CLIP_VALUE = 1.3
_GROWTH_RATE = 64


def _normalized(x: KerasTensor) -> KerasTensor:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _dense_block(x: KerasTensor) -> KerasTensor:
    new = BinaryConv2D(
        _GROWTH_RATE,
        3,
        padding="same",
        input_quantizer=SteSign(_CLIP_VALUE),
        kernel_quantizer=SteSign(_CLIP_VALUE),
        kernel_constraint=WeightClip(_CLIP_VALUE),
        kernel_initializer="glorot_normal",
    )(_normalized(x))
    return keras.layers.Concatenate()([x, new])


def _transition(x: KerasTensor, reduction: float) -> KerasTensor:
    x = keras.layers.MaxPooling2D(2)(_normalized(x))
    x = keras.layers.ReLU()(x)
    filters = round(x.shape[-1] // reduction / 32) * 32
    return keras.layers.Conv2D(filters, 1, kernel_initializer="he_normal", use_bias=False)(x)


def _densenet(
    blocks: Sequence[int],
    reductions: Sequence[float],
    include_top: bool,
    weights: str | os.PathLike[str] | None,
    input_shape: tuple[int | None, int | None, int] | None,
    classes: int,
    classifier_activation: Any,
    name: str,
) -> keras.Model:
    inputs = image_input(input_shape)
    x = small_or_large_stem(inputs)
    for section, num_blocks in enumerate(blocks):
        if section > 0:
            x = _transition(x, reductions[section - 1])
        for _ in range(num_blocks):
            x = _dense_block(x)
    x = keras.layers.ReLU()(_normalized(x))
    if include_top:
        x = classifier(x, classes, classifier_activation, kernel_initializer="he_normal")
    return finish(inputs, x, name, weights)


def BinaryDenseNet28(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "binary_densenet28",
) -> keras.Model:
    """BinaryDenseNet-28 of "Back to Simplicity: How to Train Accurate BNNs from Scratch?" (arXiv:1906.08637).

    Sections of 6, 6, 6 and 5 blocks; each block computes 64 new channels, `conv3x3(sign(BN(x)), sign(w))`, and
    concatenates them to its input. Between sections a max-pool and a real-valued 1x1 convolution make the features
    smaller. Images whose height is below 50 pixels get a 3x3 stem without pooling.

    Published: 60.9 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 5 150 504 parameters, of which 4 202 496 are binary weights;
    3587 M binary and 202.5 M real-valued multiply-accumulates.

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

    >>> BinaryDenseNet28(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    return _densenet(
        (6, 6, 6, 5),
        (2.7, 2.7, 2.2),
        include_top,
        weights,
        input_shape,
        classes,
        classifier_activation,
        name,
    )


def BinaryDenseNet37(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "binary_densenet37",
) -> keras.Model:
    """BinaryDenseNet-37 (arXiv:1906.08637): `BinaryDenseNet28` with 6, 8, 12 and 6 blocks.

    Published: 62.9 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 8 734 120 parameters, of which 7 593 984 are binary weights;
    4507 M binary and 199.7 M real-valued multiply-accumulates.

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

    >>> BinaryDenseNet37(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    return _densenet(
        (6, 8, 12, 6),
        (3.3, 3.3, 4),
        include_top,
        weights,
        input_shape,
        classes,
        classifier_activation,
        name,
    )


def BinaryDenseNet45(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (224, 224, 3),
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "binary_densenet45",
) -> keras.Model:
    """BinaryDenseNet-45 (arXiv:1906.08637): `BinaryDenseNet28` with 6, 12, 14 and 8 blocks.

    Published: 64.6 % ImageNet top-1.
    At 224x224 pixels and 1000 classes: 13 939 240 parameters, of which 12 349 440 are binary weights;
    6431 M binary and 244.1 M real-valued multiply-accumulates.

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

    >>> BinaryDenseNet45(input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)
    """
    return _densenet(
        (6, 12, 14, 8),
        (2.7, 3.3, 4),
        include_top,
        weights,
        input_shape,
        classes,
        classifier_activation,
        name,
    )

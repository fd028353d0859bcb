"""The networks of the paper: an MLP for MNIST, convolutional networks for CIFAR-10 and SVHN."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.applications.common import finish, image_input, scores
from keras_bnn.constraints import WeightClip
from keras_bnn.initializers import WeightClipUniform
from keras_bnn.layers import BinaryConv2D, BinaryDense, Quantize


def _dense(x: KerasTensor, units: int, input_quantizer: Any = "ste_sign") -> KerasTensor:
    return BinaryDense(
        units,
        input_quantizer=input_quantizer,
        kernel_initializer=WeightClipUniform("glorot"),
        kernel_constraint=WeightClip("glorot"),
    )(x)


def _convolution(x: KerasTensor, filters: int, input_quantizer: Any) -> KerasTensor:
    return BinaryConv2D(
        filters,
        3,
        padding="same",
        input_quantizer=input_quantizer,
        kernel_initializer=WeightClipUniform("glorot"),
        kernel_constraint=WeightClip("glorot"),
    )(x)


def _normalized(x: KerasTensor) -> KerasTensor:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-4)(x)


def BinaryNetMNIST(
    *,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int, int, int] | None = (28, 28, 1),
    classes: int = 10,
    classifier_activation: Any = None,
    units: int = 4096,
    input_dropout: float = 0.2,
    hidden_dropout: float = 0.5,
    name: str = "binarynet_mnist",
) -> keras.Model:
    """The MNIST MLP of "Binarized Neural Networks" (arXiv:1602.02830, section 2.1).

    Three hidden binary layers with batch normalization and sign, then a binary layer with batch normalization whose
    outputs are the scores for a squared hinge loss. The first layer has a real-valued input, scaled to [-1, 1]. Latent
    weights start and stay within the Glorot bound, see `keras_bnn.constraints.WeightClip`.

    Published: 0.96 % MNIST test error (units=4096, with dropout); 1.40 % (units=2048, stochastic activations, no
    dropout).
    With 4096 units: 36 855 848 parameters, of which 36 806 656 are binary weights; 33.6 M binary multiply-accumulates
    and 3.2 M on the real-valued input.

    Args:
        weights: None (random), or a local file: `model.save_weights`' .weights.h5, or Larq's .h5.
        input_shape: (height, width, channels) of the images, or None for the default; the network sees them as rows.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None as in the paper.
        units: Units of each hidden layer.
        input_dropout: Share of pixels that training drops, from 0 to 1.
        hidden_dropout: Share of signs that training drops after each hidden layer, from 0 to 1.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> BinaryNetMNIST(units=64).output_shape
    (None, 10)
    """
    inputs = image_input(input_shape, fixed_size=True, default=(28, 28, 1))
    x = keras.layers.Dropout(input_dropout)(keras.layers.Flatten()(inputs))
    for _ in range(3):
        x = _normalized(_dense(x, units, input_quantizer=None))
        # Dropped signs are 0: the next layer must not take their sign.
        x = keras.layers.Dropout(hidden_dropout)(Quantize()(x))
    x = _normalized(_dense(x, classes, input_quantizer=None))
    return finish(inputs, scores(x, classifier_activation), name, weights)


def _convnet(
    filters: int,
    include_top: bool,
    weights: str | os.PathLike[str] | None,
    input_shape: tuple[int | None, int | None, int] | None,
    classes: int,
    classifier_activation: Any,
    name: str,
) -> keras.Model:
    inputs = x = image_input(input_shape, fixed_size=include_top, default=(32, 32, 3))
    for section in range(3):
        for is_last in (False, True):
            x = _convolution(x, filters * 2**section, input_quantizer=None if x is inputs else "ste_sign")
            x = _normalized(keras.layers.MaxPooling2D(2)(x) if is_last else x)
    if include_top:
        x = keras.layers.Flatten()(x)
        for units in (1024, 1024, classes):
            x = _normalized(_dense(x, units))
        x = scores(x, classifier_activation)
    return finish(inputs, x, name, weights)


def BinaryNetCIFAR10(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (32, 32, 3),
    classes: int = 10,
    classifier_activation: Any = None,
    name: str = "binarynet_cifar10",
) -> keras.Model:
    """The CIFAR-10 ConvNet of "Binarized Neural Networks" (arXiv:1602.02830, section 2.2).

    (2x128C3)-MP2-(2x256C3)-MP2-(2x512C3)-MP2-(2x1024FC)-10, all with binary weights and zero padding. Max-pools come
    before batch normalization; the scores, for a squared hinge loss, come out of one. Inputs are scaled to [-1, 1].
    Latent weights start and stay within the Glorot bound, see `keras_bnn.constraints.WeightClip`.

    Published: 11.40 % CIFAR-10 test error (10.15 % with the Torch7 recipe).
    14 037 416 parameters, of which 14 022 016 are binary weights; 613 M binary multiply-accumulates and 3.5 M on the
    real-valued image.

    Args:
        include_top: Whether to end in the three dense layers; False ends in the feature maps.
        weights: None (random), or a local file: `model.save_weights`' .weights.h5, or Larq's .h5.
        input_shape: (height, width, channels), or None for the default; height and width may be None without top.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None as in the paper.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> BinaryNetCIFAR10(include_top=False).output_shape
    (None, 4, 4, 512)
    """
    return _convnet(128, include_top, weights, input_shape, classes, classifier_activation, name)


def BinaryNetSVHN(
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_shape: tuple[int | None, int | None, int] | None = (32, 32, 3),
    classes: int = 10,
    classifier_activation: Any = None,
    name: str = "binarynet_svhn",
) -> keras.Model:
    """The SVHN ConvNet of "Binarized Neural Networks" (arXiv:1602.02830, section 2.3).

    `BinaryNetCIFAR10` with half the filters; the dense layers keep their 1024 units.

    Published: 2.80 % SVHN test error (2.53 % with the Torch7 recipe).
    6 409 448 parameters, of which 6 397 632 are binary weights; 156 M binary multiply-accumulates and 1.8 M on the
    real-valued image.

    Args:
        include_top: Whether to end in the three dense layers; False ends in the feature maps.
        weights: None (random), or a local file: `model.save_weights`' .weights.h5, or Larq's .h5.
        input_shape: (height, width, channels), or None for the default; height and width may be None without top.
        classes: Number of classes.
        classifier_activation: Activation of the scores; None as in the paper.
        name: The model's name.

    Returns:
        A `keras.Model`.

    Example:

    >>> BinaryNetSVHN().output_shape
    (None, 10)
    """
    return _convnet(64, include_top, weights, input_shape, classes, classifier_activation, name)

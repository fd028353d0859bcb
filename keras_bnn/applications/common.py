"""What all applications begin and end with."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import KerasTensor

from keras_bnn.larq_weights import load_larq_weights


def image_input(
    input_shape: tuple[int | None, int | None, int] | None,
    fixed_size: bool = False,
    default: tuple[int, int, int] = (224, 224, 3),
) -> KerasTensor:
    """Returns the input of a network.

    Args:
        input_shape: (height, width, channels) in pixels and channels, where None is any height or width; or None for
            the default.
        fixed_size: Whether the network needs to know height and width, since it flattens its feature maps.
        default: The network's own shape.

    Raises:
        ValueError: when this is no such shape, or Keras is set to channels_first.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Keras's image_data_format is 'channels_first', but packed kernels read channels_last: call "
            "keras.config.set_image_data_format('channels_last') before making the model."
        )
    input_shape = default if input_shape is None else input_shape
    if len(input_shape) != 3 or not input_shape[2]:
        raise ValueError(f"Got input_shape={input_shape}: pass (height, width, channels), for example (224, 224, 3).")
    if fixed_size and None in input_shape:
        raise ValueError(
            f"Got input_shape={input_shape}, but with include_top=True the network flattens its feature maps: pass a "
            "height and a width, for example (224, 224, 3), or include_top=False."
        )
    return keras.Input(tuple(input_shape))


def small_or_large_stem(x: KerasTensor, filters: int = 64) -> KerasTensor:
    """Returns the first features of "Back to Simplicity" (arXiv:1906.08637).

    A 7x7 convolution with stride 2 and a max-pool for large images; a 3x3 convolution alone for images whose height is
    known to be below 50 pixels, such as CIFAR-10's.
    """
    height = x.shape[1]
    is_small = height is not None and height < 50
    x = keras.layers.Conv2D(
        filters,
        3 if is_small else 7,
        strides=1 if is_small else 2,
        padding="same",
        kernel_initializer="he_normal",
        use_bias=False,
    )(x)
    if is_small:
        return x
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.ReLU()(x)
    return keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)


def classifier(
    x: KerasTensor, classes: int, activation: Any, kernel_initializer: Any = "glorot_uniform"
) -> KerasTensor:
    """Returns the classes' scores: global average pooling, a real-valued dense layer, the activation."""
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(classes, kernel_initializer=kernel_initializer)(x)
    return scores(x, activation)


def scores(x: KerasTensor, activation: Any) -> KerasTensor:
    """Returns the activation of the logits, in float32 under every dtype policy; None gives the logits."""
    return x if activation is None else keras.layers.Activation(activation, dtype="float32")(x)


def finish(inputs: KerasTensor, outputs: KerasTensor, name: str, weights: str | os.PathLike[str] | None) -> keras.Model:
    """Returns the model, with the weights of a local file where one is given.

    Args:
        inputs: What `image_input` returned.
        outputs: The network's outputs.
        name: The model's name.
        weights: None, a file that `model.save_weights` wrote (its name ends in .weights.h5), or a Larq Zoo .h5 file.
    """
    model = keras.Model(inputs, outputs, name=name)
    if weights is None:
        return model
    path = os.fspath(weights)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no weights file {path}: pass the path of a local file, or None for random weights."
        )
    if path.endswith(".weights.h5"):
        model.load_weights(path)
    else:
        load_larq_weights(model, path)
    return model

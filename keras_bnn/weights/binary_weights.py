"""Reads and writes the +1 and -1 of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bnn.weights.binary_kernels import binary_kernels, quantized_values


def binary_weights(model: keras.layers.Layer) -> dict[str, np.ndarray]:
    """Returns the weights that a model computes with: +1 and -1. The model stays as it is.

    A variable such as `layer.kernel` holds real-valued latent weights, which the optimizer needs; each use takes their
    quantized values `kernel_quantizer(kernel)`, which are returned here.

    Args:
        model: A built model or layer.

    Returns:
        A dict from the kernel's path to an int8 array of the kernel's shape, one byte a weight; a float32 array where
        the quantizer scales, so that there are values besides -1, 0 and +1. Kernels without a quantizer are not among
        them. `numpy.savez` writes such a dict, and `set_binary_weights` takes what `numpy.load` reads.

    Raises:
        ValueError: when the model is not built.

    Example:

    >>> layer = layers.BinaryDense(2, name="hidden")
    >>> layer.build((None, 3))
    >>> layer.set_weights([np.array([[0.5, -0.2], [0.0, 0.9], [-0.1, -1.0]])])
    >>> binary_weights(layer)["hidden/kernel"].tolist()
    [[1, -1], [1, 1], [-1, -1]]
    """
    return {path: _smallest(quantized_values(*kernel)) for path, kernel in binary_kernels(model).items()}


def set_binary_weights(model: keras.layers.Layer, weights: Mapping[str, np.ndarray]) -> None:
    """Sets a model's binary kernels, so that it computes with `weights`; the counterpart of `binary_weights`.

    The latent weights become the given ones, within their constraint: +c and -c for `WeightClip(c)`. That is as far
    from 0 as they may be, so a training that goes on from there flips its first weights later than the one that made
    them would have. Biases, batch normalizations and real-valued kernels are not among the weights: a whole model is
    kept by `model.save`.

    Args:
        model: A built model or layer.
        weights: A dict from a path to an array, as `binary_weights` returns and `numpy.load` reads.

    Raises:
        ValueError: when names or shapes differ from the model's, or a quantizer cannot make these values. Then no
            kernel is changed.

    Example:

    >>> model, copy = (keras.Sequential([keras.Input((3,)), layers.BinaryDense(2, name="hidden")], name=name)
    ...                for name in ("model", "model"))
    >>> set_binary_weights(copy, binary_weights(model))
    >>> all(np.array_equal(binary_weights(copy)[path], signs) for path, signs in binary_weights(model).items())
    True
    """
    kernels = binary_kernels(model)
    if set(kernels) != set(weights):
        raise ValueError(
            f"set_binary_weights got weights named {_some(set(weights) - set(kernels))} where the model has kernels "
            f"named {_some(set(kernels) - set(weights))}: give the layers the same names, or pass "
            "dict(zip(binary_weights(model), weights.values())) to go by their order."
        )
    latent = {path: _latent(path, *kernel, np.asarray(weights[path])) for path, kernel in kernels.items()}
    for path, (variable, _) in kernels.items():
        variable.assign(latent[path])


def _latent(path: str, variable: keras.Variable, quantizer: Any, values: np.ndarray) -> np.ndarray:
    """Returns latent weights whose quantized values are `values`."""
    if values.shape != tuple(variable.shape):
        raise ValueError(
            f"The weights named '{path}' have the shape {values.shape} where the model's kernel has "
            f"{tuple(variable.shape)}: load them into a model of the same layers."
        )
    latent = ops.convert_to_tensor(values, dtype=variable.dtype)
    if variable.constraint is not None:
        latent = variable.constraint(latent)
    if not reproduces(quantizer, latent, values):
        raise ValueError(
            f"The weights named '{path}' hold values that the quantizer of this kernel cannot make of them: load them "
            "into a model with the quantizer that they come from, or keep latent weights with model.save_weights."
        )
    return ops.convert_to_numpy(latent)


def reproduces(quantizer: Any, latent: Any, values: np.ndarray) -> bool:
    """Tells whether the quantizer makes `values` of `latent`, up to the rounding of a scale."""
    return np.allclose(quantized_values(latent, quantizer), values, rtol=1e-5, atol=0)


def _smallest(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int8 if np.isin(values, (-1, 0, 1)).all() else np.float32)


def _some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(repr(name) for name in shown) + (", ..." if len(names) > len(shown) else "") or "nothing"

"""Finds the binary kernels of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

_REAL_PRECISION = 32


def binary_kernels(model: keras.layers.Layer) -> dict[str, tuple[keras.Variable, Callable[[Any], Any]]]:
    """Returns the latent kernels of a built model, or of one layer, with the quantizers that make them binary.

    A kernel whose quantizer keeps real values ("no_op") is left out.

    Args:
        model: A built model or layer.

    Returns:
        A dict from the variable's path to (variable, quantizer), in the order of the layers. Where two variables have
        one path, as in nested models with layers of the same name, the later ones get "_1", "_2" and so on behind it.

    Raises:
        ValueError: when the model is not built.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), layers.BinaryDense(2, name="hidden"), keras.layers.Dense(1)])
    >>> [path.split("/")[-2:] for path in binary_kernels(model)]
    [['hidden', 'kernel']]
    """
    if not model.built:
        raise ValueError(f"'{model.name}' has no weights yet: call it on data, or give a model an Input.")
    # In the middle of an epoch on JAX, fit holds the values and the variables are empty.
    getattr(model, "jax_state_sync", lambda: None)()
    kernels: dict[str, tuple[keras.Variable, Callable[[Any], Any]]] = {}
    for variable in model.weights:
        quantizer = getattr(variable, "quantizer", None)  # binary layers mark their kernels
        if quantizer is None or getattr(quantizer, "precision", 1) >= _REAL_PRECISION:
            continue
        path, number = variable.path, 0
        while path in kernels:
            number += 1
            path = f"{variable.path}_{number}"
        kernels[path] = variable, quantizer
    return kernels


def quantized_values(variable: Any, quantizer: Callable[[Any], Any]) -> Any:
    """Returns the values that a layer computes with, as a numpy array of its own memory."""
    return keras.ops.convert_to_numpy(quantizer(variable)).copy()

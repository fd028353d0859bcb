"""Reads the weights of Larq models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def load_larq_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Loads a Larq model's HDF5 weights into a model of the same architecture.

    Layers that have weights are matched in the model's order, their weights in the layer's order; kinds (kernel,
    gamma, ...) and shapes must be equal. A 1x1 convolution's kernel also fits a dense layer. Kernels come as the latent
    weights that Larq trained; where the file was written in Larq's `quantized_scope`, as +1 and -1.

    Args:
        model: A built model of the same architecture, for example out of `keras_bnn.applications`.
        path: A file that `save_weights("name.h5")` or `save("name.h5")` of Larq on Keras 2 or tf_keras wrote, for
            example one of the Larq Zoo.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is no such HDF5 file or does not fit the model; the model is not changed then.

    Example:

    >>> model = keras_bnn.applications.QuickNet()  # doctest: +SKIP
    >>> load_larq_weights(model, "quicknet_weights.h5")  # doctest: +SKIP
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no weights file {path}: pass the path of an HDF5 file that Larq wrote.")
    if not model.built:
        raise ValueError(
            f"The model '{model.name}' has no weights yet: call model.build(input_shape), or call it on a batch."
        )
    found = _read_layers(path)
    layers = list(_layers_with_weights(model))
    for position, ((layer, variables), (name, values)) in enumerate(zip(layers, found, strict=False), start=1):
        problem = _difference(variables, values)
        if problem:
            raise ValueError(
                f"Layer {position} of {path}, '{name}', does not fit the model's layer '{layer.name}': {problem}; make "
                "a model of the same architecture, input shape and classes."
            )
    if len(found) != len(layers):
        names = [name for name, _ in found] if len(found) > len(layers) else [layer.name for layer, _ in layers]
        raise ValueError(
            f"{path} holds {len(found)} layers with weights, but the model '{model.name}' has {len(layers)}; the first "
            f"without a counterpart is '{names[min(len(found), len(layers))]}'; make a model of the same architecture."
        )
    for (_, variables), (_, values) in zip(layers, found, strict=True):
        for variable, (_, value) in zip(variables, values, strict=True):
            variable.assign(value.reshape(variable.shape))


def _layers_with_weights(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, list[Any]]]:
    for layer in model.layers:
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        if variables:
            yield layer, variables


def _read_layers(path: str) -> list[tuple[str, list[tuple[str, np.ndarray]]]]:
    """Returns the name of each layer that has weights, with the kinds of its weights and their values."""
    import h5py

    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file: pass a file that save_weights('name.h5') of a Larq model wrote.")
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        if not any(key.startswith("layer_names") for key in root.attrs):
            raise ValueError(
                f"{path} has no attribute 'layer_names': pass a file that save_weights('name.h5') or save('name.h5') "
                "of a Larq model wrote; a name that ends in .weights.h5 makes Keras write another layout."
            )
        layers = [(name, _read_weights(root[name])) for name in _names(root, "layer_names")]
    return [(name, values) for name, values in layers if values]


def _read_weights(group: Any) -> list[tuple[str, np.ndarray]]:
    # "quant_conv2d/kernel:0" is of the kind "kernel".
    return [(name.split("/")[-1].split(":")[0], np.asarray(group[name])) for name in _names(group, "weight_names")]


def _names(group: Any, attribute: str) -> list[str]:
    """Reads a list of names, which Keras cuts into attributes `name0`, `name1`, ... where it exceeds 64 KiB."""
    chunks = [attribute]
    if attribute not in group.attrs:
        numbers = sorted(int(key[len(attribute) :]) for key in group.attrs if key.startswith(attribute))
        chunks = [f"{attribute}{number}" for number in numbers]
    names = [name for chunk in chunks for name in group.attrs[chunk]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _difference(variables: list[Any], values: list[tuple[str, np.ndarray]]) -> str:
    """Tells in half a sentence why the values do not fit the variables, or returns ""."""
    kinds = [kind for kind, _ in values]
    expected_kinds = [variable.name for variable in variables]
    if not (len(kinds) == len(expected_kinds) and all(map(_is_same_kind, kinds, expected_kinds))):
        return f"the file has the weights {_listed(kinds)}, the model expects {_listed(expected_kinds)}"
    for (kind, value), variable in zip(values, variables, strict=True):
        if not _is_same_shape(value.shape, tuple(variable.shape)):
            return f"its {kind} has the shape {value.shape}, the model expects {tuple(variable.shape)}"
    return ""


def _is_same_kind(kind: str, expected: str) -> bool:
    # Keras 2 calls the kernel of a depthwise convolution depthwise_kernel, Keras 3 kernel.
    return kind == expected or {kind, expected} == {"depthwise_kernel", "kernel"}


def _is_same_shape(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return shape == expected or (shape[:2] == (1, 1) and shape[2:] == expected)


def _listed(kinds: list[str]) -> str:
    return ", ".join(kinds)

"""The samples that a model is calibrated with, in the forms in which users have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .graph import Array, Graph

RepresentativeData = Callable[[], Iterable[Any]] | Iterable[Any] | Mapping[str, Any]


def representative_samples(
    data: RepresentativeData, graph: Graph, names: Mapping[str, str]
) -> Iterator[dict[str, Array]]:
    """Yields one dict of arrays for each sample, with a batch of 1 where the file's batch is free.

    Args:
        data: A function without arguments that returns an iterable, as for tf.lite.TFLiteConverter, or the iterable:
            each element is a list of one array per input of the file, in its order, a dict of arrays, or for one input
            an array. These have a batch dimension. Or an array `[samples, ...]` for a model with one input, or a dict
            of such arrays.
        graph: The file's graph.
        names: The name that users know each input by, for each name of an input tensor.

    Raises:
        ValueError: for arrays that do not fit the inputs.
    """
    for element in _elements(data):
        yield _sample(element, graph, names)


def _elements(data: Any) -> Iterator[Any]:
    if callable(data):
        yield from data()
    elif isinstance(data, np.ndarray):
        yield from (data[index : index + 1] for index in range(len(data)))
    elif isinstance(data, Mapping):
        arrays = {name: np.asarray(values) for name, values in data.items()}
        sizes = {len(values) for values in arrays.values()}
        if len(sizes) != 1:
            counts = ", ".join(f"{len(values)} of {name!r}" for name, values in arrays.items())
            raise ValueError(f"representative_dataset holds {counts}: pass the same number of samples of each input.")
        for index in range(sizes.pop()):
            yield {name: values[index : index + 1] for name, values in arrays.items()}
    else:
        yield from data


def _sample(element: Any, graph: Graph, names: Mapping[str, str]) -> dict[str, Array]:
    inputs = {names[tensor.name]: tensor for tensor in graph.inputs}
    if not isinstance(element, Mapping):
        values = list(element) if isinstance(element, list | tuple) else [element]
        if len(values) != len(inputs):
            raise ValueError(
                f"A sample of representative_dataset holds {len(values)} arrays, and the model has {len(inputs)} "
                f"inputs: pass one for each of {', '.join(inputs)}."
            )
        element = dict(zip(inputs, values, strict=True))
    if set(element) != set(inputs):
        raise ValueError(
            f"A sample of representative_dataset is named {', '.join(sorted(element))}, and the model's inputs "
            f"{', '.join(sorted(inputs))}: use these names."
        )
    return {name: _fitting(name, element[name], tensor.dims, tensor.type_name) for name, tensor in inputs.items()}


def _fitting(name: str, values: Any, dims: tuple[int, ...], type_name: str) -> Array:
    array = np.asarray(values)
    if len(array.shape) != len(dims) or any(
        size not in (-1, given) for given, size in zip(array.shape, dims, strict=True)
    ):
        expected = "x".join("?" if size < 0 else str(size) for size in dims)
        raise ValueError(
            f"A sample of representative_dataset has the shape {'x'.join(map(str, array.shape))}, and the input "
            f"{name!r} expects {expected}: give each sample a batch dimension."
        )
    return array.astype(type_name)

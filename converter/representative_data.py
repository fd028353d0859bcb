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
    for number, element in enumerate(_elements(data)):
        yield _sample(number, element, graph, names)


def _elements(data: Any) -> Iterator[Any]:
    if callable(data):
        data = data()
    if isinstance(data, str | bytes) or not _is_iterable(data):
        raise ValueError(
            f"representative_dataset is {data!r}: pass an array of the shape (samples, ...), a dict of such arrays, an "
            "iterable of samples, or a function that returns one of these."
        )
    if isinstance(data, np.ndarray):
        yield from (data[index : index + 1] for index in range(len(data)))
    elif isinstance(data, Mapping):
        arrays = {name: np.asarray(values) for name, values in data.items()}
        sizes = {len(values) for values in arrays.values()}
        if len(sizes) > 1:
            counts = ", ".join(f"{len(values)} of {name!r}" for name, values in arrays.items())
            raise ValueError(f"representative_dataset holds {counts}: pass the same number of samples of each input.")
        for index in range(min(sizes, default=0)):
            yield {name: values[index : index + 1] for name, values in arrays.items()}
    else:
        yield from data


def _is_iterable(data: Any) -> bool:
    try:
        iter(data)
    except TypeError:
        return False
    return True


def _sample(number: int, element: Any, graph: Graph, names: Mapping[str, str]) -> dict[str, Array]:
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
            f"A sample of representative_dataset is named {', '.join(sorted(map(str, element)))}, and the model's "
            f"inputs {', '.join(sorted(inputs))}: use these names."
        )
    return {
        name: _fitting(number, name, element[name], tensor.dims, tensor.type_name) for name, tensor in inputs.items()
    }


def _fitting(number: int, name: str, values: Any, dims: tuple[int, ...], type_name: str) -> Array:
    array = np.asarray(values)
    if len(array.shape) != len(dims) or any(
        size not in (-1, given) for given, size in zip(array.shape, dims, strict=True)
    ):
        expected = "x".join("?" if size < 0 else str(size) for size in dims)
        raise ValueError(
            f"A sample of representative_dataset has the shape {'x'.join(map(str, array.shape))}, and the input "
            f"{name!r} expects {expected}: give each sample a batch dimension."
        )
    if array.dtype.kind not in "fiub":
        raise ValueError(f"Sample {number} of representative_dataset is {array.dtype}, not numbers: pass {type_name}.")
    with np.errstate(over="ignore"):
        fitting = array.astype(type_name)
    if fitting.dtype.kind == "f" and not np.isfinite(fitting).all():
        raise ValueError(
            f"Sample {number} of representative_dataset holds NaN or infinity in the input {name!r}: pass finite "
            "numbers, from which the range of int8 can be told."
        )
    return fitting

"""From a model's graph to its summary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.quantize import Quantize
from keras_bnn.model_graph import LayerCall, ModelGraph, OwnWeights, dtype_bits, output_bits, precision
from keras_bnn.model_summary.layer_summary import LayerSummary, ModelSummary, sort_key
from keras_bnn.model_summary.multiply_accumulates import has_rule, multiply_accumulates
from keras_bnn.model_summary.packed_bytes import PackedBytes
from keras_bnn.unique_filters import by_input_channel, unique_filters


def summary(model: keras.Model, input_shape: Sequence[int | None] | None = None) -> ModelSummary:
    """Returns what each layer of a model takes: bits, weights, memory, multiply-accumulates.

    Nested models, blocks of layers and subclassed models are opened, as far as their `call` is made of Keras layers and
    `keras.ops`. The precision of a tensor is followed from quantizers through layers that only move values: reshapes,
    max-pools, dropout. docs/summary.md tells what each figure means.

    Args:
        model: A built Keras model.
        input_shape: Shape of the input without the batch dimension, for a model with one input whose sizes are free:
            multiply-accumulates depend on them.

    Returns:
        A `ModelSummary`: print it, or see its `to_dict()` and `to_html(path)`.

    Raises:
        TypeError: when model is no Keras model.
        ValueError: when the model is not built, or input_shape does not fit it.

    Example:

    >>> model = keras.Sequential([
    ...     keras.Input((28, 28)), keras.layers.Flatten(),
    ...     layers.BinaryDense(64, input_quantizer=None), keras.layers.BatchNormalization(),
    ...     layers.BinaryDense(10), keras.layers.BatchNormalization(),
    ... ])
    >>> found = summary(model)
    >>> found.weights, found.macs
    ({1: 50816, 32: 296}, {'1x1': 640, '1x32': 50176})
    >>> found.packed_bytes, found.float32_bytes
    (7072, 204448)
    """
    graph = ModelGraph(model, input_shape)
    packed = PackedBytes(graph)
    tensor_bits = {id(tensor): dtype_bits(tensor.dtype) for tensor in graph.inputs}
    rows: dict[int, _Row] = {}
    for call in graph.calls:
        received = [tensor_bits[id(tensor)] for tensor in call.inputs]
        tensor_bits |= dict.fromkeys(map(id, call.outputs), output_bits(call, received))
        row = rows.setdefault(id(call.layer), _Row(call))
        row.add(call, received, packed)
    shown = [row for row in rows.values() if row.is_shown()]
    notes = [note for row in shown for note in row.notes()]
    return ModelSummary(model.name, tuple(row.summary() for row in shown), tuple(notes))


class _Row:
    """A layer while its calls are added up."""

    def __init__(self, call: LayerCall) -> None:
        self.call = call
        self.calls = 0
        self.input_bits = 0
        self.packed_bytes = 0
        self.macs: Counter[str] = Counter()
        self._has_free_sizes = False
        self._unpacked: set[str] = set()

    def add(self, call: LayerCall, received: Sequence[int], packed: PackedBytes) -> None:
        layer = call.layer
        quantizer = layer.quantizer if isinstance(layer, Quantize) else getattr(layer, "input_quantizer", None)
        computes = isinstance(layer, BinaryLayer) and quantizer is not None
        input_bits = precision(quantizer) if computes else max(received, default=32)
        self.calls += 1
        self.input_bits = max(self.input_bits, input_bits)
        self.packed_bytes += packed.of(call)
        self._unpacked.update(packed.unpacked_roles(call))
        counts = multiply_accumulates(call)
        if counts is None:
            self._has_free_sizes = True
            return
        bits = _kernel_bits(layer)
        names = {name: bits.get(id(getattr(layer, name, None)), 32) for name in counts if name}
        for name, count in counts.items():
            weight_bits = names[name] if name else (received[1] if len(received) > 1 and not _weights(layer) else 32)
            read = 32 if name == "pointwise_kernel" else input_bits
            self.macs[f"{weight_bits}x{read}"] += count

    def is_shown(self) -> bool:
        """Returns whether there is something to tell: of an op, only multiply-accumulates."""
        return isinstance(self.call.layer, (layers.Layer, OwnWeights)) or bool(self.macs or self.notes())

    def summary(self) -> LayerSummary:
        layer, bits = self.call.layer, _kernel_bits(self.call.layer)
        weights: Counter[int] = Counter()
        for weight in _weights(layer):
            weights[bits.get(id(weight), 32)] += math.prod(weight.shape)
        unique, filters = _count_filters(layer)
        return LayerSummary(
            name=self.call.path,
            kind=_kind(layer),
            calls=self.calls,
            input_bits=self.input_bits,
            output_shape=tuple(self.call.outputs[0].shape[1:]) if self.call.outputs else (),
            weights=dict(sorted(weights.items())),
            packed_bytes=self.packed_bytes,
            float32_bytes=4 * sum(weights.values()),
            macs=dict(sorted(self.macs.items(), key=lambda item: sort_key(item[0]))),
            filters=filters,
            unique_filters=unique,
        )

    def notes(self) -> list[str]:
        layer, name = self.call.layer, f"{_kind(self.call.layer)} '{self.call.path}'"
        notes = []
        if self._has_free_sizes:
            notes.append(
                f"{name}: its multiply-accumulates depend on sizes that are free, so they are not counted; pass "
                "input_shape=."
            )
        if self.call.is_opaque:
            notes.append(
                f"{name}: its call() does not run on symbolic tensors, so its layers are counted together and its "
                "multiply-accumulates are not; write it with Keras layers and keras.ops alone, and products with a "
                "variable as x * variable or keras.ops.multiply(variable, x)."
            )
        elif isinstance(layer, layers.Layer) and _weights(layer) and not has_rule(self.call):
            notes.append(f"{name}: a layer of your own, whose multiply-accumulates are not known and not counted.")
        elif not isinstance(layer, layers.Layer) and not has_rule(self.call):
            notes.append(f"{name}: an op whose multiply-accumulates are not known and not counted.")
        for quantizer in _quantizers(layer):
            if not isinstance(getattr(quantizer, "precision", None), int):
                notes.append(
                    f"{name}: its quantizer {_name(quantizer)} has no attribute `precision`, so that what it quantizes "
                    "counts as 32 bits."
                )
        for role in sorted(self._unpacked):
            kernel = f"{role} kernel" if len(layer.KERNELS) > 1 else "kernel"
            notes.append(f"{name}: the packed file holds its {kernel} in float32, see docs/converter.md.")
        return notes


def _kind(layer: Any) -> str:
    return type(layer.layer if isinstance(layer, OwnWeights) else layer).__name__


def _weights(layer: Any) -> list[Any]:
    return layer.weights if isinstance(layer, (layers.Layer, OwnWeights)) else []


def _kernel_bits(layer: Any) -> dict[int, int]:
    """Returns the bits of each quantized kernel, by the variable's identity; of the layers inside too."""
    inner = layer._flatten_layers() if isinstance(layer, layers.Layer) else ()
    binary = [one for one in inner if isinstance(one, BinaryLayer)]
    return {id(kernel): precision(quantizer) for one in binary for kernel, quantizer in one.quantized_kernels()}


def _quantizers(layer: Any) -> list[Any]:
    if isinstance(layer, Quantize):
        return [layer.quantizer]
    if not isinstance(layer, BinaryLayer):
        return []
    return [
        quantizer
        for quantizer in (layer.input_quantizer, *(quantizer for _, quantizer in layer.quantized_kernels()))
        if quantizer is not None
    ]


def _name(quantizer: Any) -> str:
    return getattr(quantizer, "__name__", type(quantizer).__name__)


def _by_input_channel(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """Returns a 2-D kernel as (height, width, input channels, filters of each)."""
    if isinstance(layer, layers.Conv2DTranspose):
        return kernel.swapaxes(2, 3)
    return by_input_channel(kernel, getattr(layer, "groups", 1))


def _count_filters(layer: Any) -> tuple[int, int]:
    """Returns how many of a layer's binary 2-D filters are unique, and how many there are."""
    unique = filters = 0
    for role, variable in layer.KERNELS.items() if isinstance(layer, BinaryLayer) and layer.built else ():
        kernel = getattr(layer, variable)
        is_binary = _kernel_bits(layer).get(id(kernel)) == 1
        if is_binary and len(kernel.shape) == 4 and math.prod(kernel.shape[:2]) > 1:
            values = keras.ops.convert_to_numpy(layer.quantized_kernel(role))
            counts = unique_filters(_by_input_channel(layer, values))
            unique, filters = unique + counts[0], filters + counts[1]
    return unique, filters

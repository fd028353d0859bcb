"""How many multiply-accumulates a layer call takes on one sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from keras import layers

from keras_bnn.model_graph import LayerCall

NO_KERNEL = ""
"""The kernel's name where both factors are computed, as in attention."""


def multiply_accumulates(call: LayerCall) -> dict[str, int] | None:
    """Returns the multiply-accumulates on one sample, by the name of the kernel that is one of the factors.

    What has no products of sums (pooling, activations, batch normalization, look-ups) has none. Multiplications of
    single numbers, biases and comparisons are not counted.

    Returns:
        The counts; None where a size that they depend on is free.
    """
    rule = next((rule for kind, rule in _RULES if isinstance(call.layer, kind)), None)
    rule = rule or _OP_RULES.get(type(call.layer).__name__)
    if rule is None:
        return {}
    try:
        counts = rule(call)
    except TypeError:  # a product with None, the size of a free dimension
        return None
    return {name: count * (call.repeats or 1) for name, count in counts.items()}


def has_rule(layer: Any) -> bool:
    """Returns whether the layer's multiply-accumulates are known to be what `multiply_accumulates` says."""
    module = type(layer).__module__.partition(".")[0]
    return module in ("keras", "keras_bnn") or any(isinstance(layer, kind) for kind, _ in _RULES)


def _outputs(call: LayerCall) -> int:
    return math.prod(call.outputs[0].shape[1:])


def _dense(call: LayerCall) -> dict[str, int]:
    return {"kernel": _outputs(call) * call.inputs[0].shape[-1]}


def _einsum_dense(call: LayerCall) -> dict[str, int]:
    """All index values together: those of the kernel, and those that only the input has."""
    kernel = call.layer.kernel
    inputs, kernel_labels = call.layer.equation.split("->")[0].replace(" ", "").split(",")
    shape = call.inputs[0].shape
    labels = inputs.replace("...", "." * (len(shape) - len(inputs.replace("...", ""))))
    sizes = [size for label, size in zip(labels, shape, strict=True) if label == "." or label not in kernel_labels]
    return {"kernel": math.prod(kernel.shape) * math.prod(sizes[1:])}


def _conv(call: LayerCall) -> dict[str, int]:
    return {"kernel": _outputs(call) * math.prod(call.layer.kernel.shape[:-1])}


def _conv_transpose(call: LayerCall) -> dict[str, int]:
    """Every input value meets each tap of each filter once, even those that padding then cuts off."""
    return {"kernel": math.prod(call.inputs[0].shape[1:]) * math.prod(call.layer.kernel.shape[:-1])}


def _depthwise(call: LayerCall) -> dict[str, int]:
    return {"kernel": _outputs(call) * math.prod(call.layer.kernel_size)}


def _separable(call: LayerCall) -> dict[str, int]:
    layer, channels = call.layer, call.layer.pointwise_kernel.shape[-2]
    pixels = _outputs(call) // layer.filters
    return {
        "depthwise_kernel": pixels * channels * math.prod(layer.kernel_size),
        "pointwise_kernel": pixels * channels * layer.filters,
    }


def _recurrent(call: LayerCall) -> dict[str, int]:
    """Each kernel in each step, and at each pixel of a convolutional layer; both directions of a Bidirectional."""
    layer = getattr(call.layer, "forward_layer", call.layer)
    outputs, rank = call.outputs[0].shape, getattr(layer.cell, "rank", 0)
    pixels: Sequence[int] = ()
    if rank:
        pixels = outputs[-1 - rank : -1] if layer.cell.data_format == "channels_last" else outputs[-rank:]
    kernels = sum(math.prod(w.shape) for w in call.layer.weights if w.name.endswith("kernel"))
    return {NO_KERNEL: call.inputs[0].shape[1] * math.prod(pixels) * kernels}


def _multi_head_attention(call: LayerCall) -> dict[str, int]:
    """Four projections, the scores of each query with each key, and their sums of values."""
    kernels = {w.path.split("/")[-2]: w.shape for w in call.layer.weights if w.name == "kernel"}
    queries = math.prod(call.inputs[0].shape[1:-1])
    keys = math.prod(call.inputs[1].shape[1:-1])
    heads, key_size = kernels["query"][-2:]
    projections = queries * (math.prod(kernels["query"]) + math.prod(kernels["attention_output"]))
    projections += keys * (math.prod(kernels["key"]) + math.prod(kernels["value"]))
    return {NO_KERNEL: projections + queries * keys * heads * (key_size + kernels["value"][-1])}


def _attention(call: LayerCall) -> dict[str, int]:
    """Scores and sums of values."""
    (_, queries, size), (_, keys, value_size) = call.inputs[0].shape, call.inputs[1].shape
    return {NO_KERNEL: queries * keys * (size + value_size)}


def _dot(call: LayerCall) -> dict[str, int]:
    axes = call.layer.axes
    axis = axes if isinstance(axes, int) else axes[0]
    return {NO_KERNEL: _outputs(call) * call.inputs[0].shape[axis]}


def _matmul(call: LayerCall) -> dict[str, int]:
    return {NO_KERNEL: _outputs(call) * call.inputs[0].shape[-1]}


_RULES: tuple[tuple[Any, Callable[[LayerCall], dict[str, int]]], ...] = (
    (layers.Dense, _dense),
    (layers.EinsumDense, _einsum_dense),
    ((layers.DepthwiseConv1D, layers.DepthwiseConv2D), _depthwise),
    ((layers.SeparableConv1D, layers.SeparableConv2D), _separable),
    ((layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose), _conv_transpose),
    ((layers.Conv1D, layers.Conv2D, layers.Conv3D), _conv),
    ((layers.RNN, layers.Bidirectional), _recurrent),
    ((layers.MultiHeadAttention, layers.GroupQueryAttention), _multi_head_attention),
    ((layers.Attention, layers.AdditiveAttention), _attention),
    (layers.Dot, _dot),
)
_OP_RULES = {"Matmul": _matmul}

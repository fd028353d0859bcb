"""How many multiply-accumulates a layer call takes on one sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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
    rule = _rule(call.layer)
    if rule is None:
        return {}
    try:
        counts = rule(call)
    except TypeError:  # a product with None, the size of a free dimension
        return None
    if call.repeats is None:
        return None if counts else {}
    return {name: count * call.repeats for name, count in counts.items()}


def has_rule(call: LayerCall) -> bool:
    """Returns whether the call's multiply-accumulates are known to be what `multiply_accumulates` says."""
    layer = call.layer
    if _rule(layer) is _einsum:
        return len(call.arguments["operands"]) <= 2  # the backend chooses the order of several products
    is_known = type(layer).__module__.partition(".")[0] in ("keras", "keras_bnn")
    return _rule(layer) is not None or (is_known and type(layer).__name__ not in _OPS_WITHOUT_RULE)


def _rule(layer: Any) -> Callable[[LayerCall], dict[str, int]] | None:
    if not isinstance(layer, layers.Layer):
        return _OP_RULES.get(type(layer).__name__)
    return next((rule for kind, rule in _RULES if isinstance(layer, kind)), None)


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
    queries = math.prod(call.arguments["query"].shape[1:-1])
    keys = math.prod(call.arguments["value"].shape[1:-1])
    heads, key_size = kernels["query"][-2:]
    projections = queries * (math.prod(kernels["query"]) + math.prod(kernels["attention_output"]))
    projections += keys * (math.prod(kernels["key"]) + math.prod(kernels["value"]))
    return {NO_KERNEL: projections + queries * keys * heads * (key_size + kernels["value"][-1])}


def _attention(call: LayerCall) -> dict[str, int]:
    """Scores and sums of values."""
    query, value = call.arguments["inputs"][:2]
    (_, queries, size), (_, keys, value_size) = query.shape, value.shape
    return {NO_KERNEL: queries * keys * (size + value_size)}


def _dot(call: LayerCall) -> dict[str, int]:
    axes = call.layer.axes
    axis = axes if isinstance(axes, int) else axes[0]
    return {NO_KERNEL: _outputs(call) * call.inputs[0].shape[axis]}


def _product(call: LayerCall) -> dict[str, int]:
    """The sums of a matmul, dot or inner run over the first factor's last axis; none where one factor is a number."""
    first, second = _shape(call.arguments["x1"]), _shape(call.arguments["x2"])
    return {NO_KERNEL: _outputs(call) * first[-1]} if first and second else {}


def _tensordot(call: LayerCall) -> dict[str, int]:
    axes, shape = call.layer.axes, _shape(call.arguments["x1"])
    summed = range(len(shape))[len(shape) - axes :] if isinstance(axes, int) else axes[0]
    return {NO_KERNEL: _outputs(call) * math.prod(shape[axis] for axis in summed)}


def _einsum(call: LayerCall) -> dict[str, int]:
    """Each output is a sum over the axes that it has not; one factor alone is not multiplied."""
    operands = call.arguments["operands"]
    if len(operands) != 2:
        return {}
    inputs, arrow, output = call.layer.subscripts.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for labels, operand in zip(inputs.split(","), operands, strict=True):
        head, _, tail = labels.partition("...")
        sizes |= zip(head, _shape(operand), strict=False)
        sizes |= zip(tail[::-1], _shape(operand)[::-1], strict=False)
    summed = [label for label in sizes if (label not in output if arrow else inputs.count(label) > 1)]
    return {NO_KERNEL: _outputs(call) * math.prod(sizes[label] for label in summed)}


def _op_conv(call: LayerCall) -> dict[str, int]:
    return {NO_KERNEL: _outputs(call) * math.prod(_shape(call.arguments["kernel"])[:-1])}


def _op_depthwise_conv(call: LayerCall) -> dict[str, int]:
    return {NO_KERNEL: _outputs(call) * math.prod(_shape(call.arguments["kernel"])[:-2])}


def _op_separable_conv(call: LayerCall) -> dict[str, int]:
    *taps, channels, multiplier = _shape(call.arguments["depthwise_kernel"])
    filters = _shape(call.arguments["pointwise_kernel"])[-1]
    return {NO_KERNEL: _outputs(call) // filters * channels * multiplier * (math.prod(taps) + filters)}


def _op_conv_transpose(call: LayerCall) -> dict[str, int]:
    shape = _shape(call.arguments["inputs"])
    return {NO_KERNEL: math.prod(shape[1:]) * math.prod(_shape(call.arguments["kernel"])[:-1])}


def _op_attention(call: LayerCall) -> dict[str, int]:
    """Scores and sums of values in each head."""
    (_, queries, heads, size), (_, keys, *_) = (_shape(call.arguments[name]) for name in ("query", "value"))
    return {NO_KERNEL: queries * keys * heads * 2 * size}


def _shape(factor: Any) -> tuple[int, ...]:
    """Returns the shape of a symbol, a variable or an array; () for a number."""
    return tuple(np.shape(factor))


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
# The ops of keras.ops; their classes are not public.
_OP_RULES: dict[str, Callable[[LayerCall], dict[str, int]]] = {
    "Conv": _op_conv,
    "ConvTranspose": _op_conv_transpose,
    "DepthwiseConv": _op_depthwise_conv,
    "Dot": _product,
    "DotProductAttention": _op_attention,
    "Einsum": _einsum,
    "Inner": _product,
    "Matmul": _product,
    "SeparableConv": _op_separable_conv,
    "Tensordot": _tensordot,
}
_OPS_WITHOUT_RULE = {
    *("AssociativeScan", "Cond", "ForiLoop", "Function", "Map", "Scan", "Switch", "VectorizedMap", "WhileLoop"),
    *("CDist", "Cholesky", "CholeskyInverse", "Corrcoef", "Correlate", "Det", "Eig", "Eigh", "Inv", "Logdet", "Lstsq"),
    *("LuFactor", "MatrixRank", "Pinv", "Qr", "Slogdet", "Solve", "SolveTriangular", "SVD", "Vdot"),
    *("FFT", "FFT2", "GaussianBlur", "IFFT2", "IRFFT", "ISTFT", "RFFT", "SobelEdges", "STFT"),
}

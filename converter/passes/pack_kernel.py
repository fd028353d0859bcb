"""Convolutions and dense ops with weights of +-scale become packed ops with 1-bit weights.

The weights +-scale are written as scale times a sign, and the scale becomes the multiplier. x stays float32 here, which
is right for any x; `read_bits` lets the op read bits where x comes from a sign. Depthwise and transposed convolutions
have no float32 x in the format: they read bits at once, or are not packed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..bits import pack_signs
from ..custom_ops import ACTIVATIONS
from ..graph import Array, Graph, Op, Tensor
from ..layer_name import layer_name
from ..patterns import (
    KERNEL_CHANNEL_AXIS,
    Kernel,
    bias_index,
    binary_kernel,
    channel_axis,
    constant,
    data_input,
    is_signed,
)
from .base import Match, Pass, Refusal
from .bits_source import find_bits
from .kernel_options import kernel_options
from .reshapes import ends_in_rows

PACKED_KINDS = {
    "CONV_2D": "BnnConv2D",
    "DEPTHWISE_CONV_2D": "BnnDepthwiseConv2D",
    "FULLY_CONNECTED": "BnnFullyConnected",
    "TRANSPOSE_CONV": "BnnTransposeConv2D",
}
ONLY_BITS = ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_READS_OTHERS = Refusal(
    "it does not read signs alone, as its packed op does",
    "use input_quantizer='ste_sign', and nothing but padding by 0, 1 or -1 between signs and convolution",
)


@dataclass(frozen=True)
class KernelMatch(Match):
    """An op and its binary kernel; bias, input and options of the packed op; the op behind it that it replaces too."""

    kernel: Kernel
    bias: Array
    x: Tensor
    options: dict[str, int]
    join: Op | None = None


class PackKernel(Pass[KernelMatch]):
    """Packs binary kernels of float32 convolutions and dense layers."""

    name = "pack kernel"

    def match(self, graph: Graph, op: Op) -> KernelMatch | Refusal | None:
        found = find_packable(op)
        if found is None or isinstance(found, Refusal):
            return found
        kernel, bias = found
        x = data_input(op)
        assert x is not None
        options = kernel_options(op, x, kernel)
        if isinstance(options, Refusal):
            return options
        options["activation"] = int(op.options.fusedActivationFunction)
        if op.kind not in ONLY_BITS:
            return KernelMatch(op, kernel, bias, x, options)
        source = find_bits(graph, op, x, options)
        if source is None:
            return _READS_OTHERS
        return KernelMatch(op, kernel, bias, source.bits, source.options, source.join)

    def rewrite(self, graph: Graph, match: KernelMatch) -> None:
        op, name, x = match.op, layer_name(match.op), match.x
        if op.kind == "FULLY_CONNECTED" and _needs_rows(op):
            row = match.kernel.negative.shape[1]
            rows = graph.add_tensor(f"{name}/rows", (-1 if -1 in x.dims else math.prod(x.dims) // row, row))
            shape = graph.add_constant(f"{name}/rows/shape", np.array(rows.dims, np.int32))
            graph.add_op("RESHAPE", [x, shape], [rows], before=op)
            x = rows
        weights = graph.add_constant(f"{name}/weights", _packed_weights(op, match.kernel))
        multiplier = graph.add_constant(f"{name}/multiplier", match.kernel.scale)
        bias = graph.add_constant(f"{name}/bias", match.bias)
        graph.morph(op, PACKED_KINDS[op.kind], [x, weights, multiplier, bias], match.options)
        if match.join is not None:
            graph.absorb(op, match.join)


def find_packable(op: Op) -> tuple[Kernel, Array] | Refusal | None:
    """Returns what `find_kernel` does, or a refusal where there is no packed op for the rest of the op."""
    found = find_kernel(op)
    if found is None or isinstance(found, Refusal):
        return found
    if op.kind not in PACKED_KINDS:
        return Refusal(f"{op.kind} has no packed op in this version of the format")
    if op.kind in ONLY_BITS and not is_signed(data_input(op)):
        return _READS_OTHERS
    if op.options.fusedActivationFunction not in ACTIVATIONS:
        return Refusal("its fused activation is none of ReLU, ReLU6 and ReLU -1 to 1")
    return found


def find_kernel(op: Op) -> tuple[Kernel, Array] | Refusal | None:
    """Returns the binary kernel and the bias of an op that reads signs, or whose kernel alone tells that it is one."""
    if op.kind not in KERNEL_CHANNEL_AXIS:
        return None
    x, kernel = data_input(op), binary_kernel(op)
    if x is None or not (is_signed(x) or (kernel is not None and kernel.shows_signs)):
        return None
    if kernel is None:
        return _why_not_binary(op)
    for tensor in (x, op.input(1), op.output):
        if tensor is not None and tensor.type_name != "float32":
            return Refusal(f"it computes with {tensor.type_name}", "convert the float32 model, without quantization")
    source = op.input(bias_index(op))
    bias = constant(source) if source is not None else np.zeros(len(kernel.scale), np.float32)
    if bias is None or bias.dtype != np.float32 or bias.shape != kernel.scale.shape:
        return Refusal("its bias is computed at run time")
    return kernel, bias


def _packed_weights(op: Op, kernel: Kernel) -> Array:
    if op.kind == "DEPTHWISE_CONV_2D":  # channels are innermost here too: each word weighs 32 channels at one tap
        return pack_signs(np.moveaxis(kernel.negative[:, 0], 0, -1))
    return pack_signs(kernel.negative)


def _needs_rows(op: Op) -> bool:
    """Whether the packed op would keep leading dimensions that FULLY_CONNECTED merges, or see no rows in its input."""
    x, weights = op.input(0), op.input(1)
    assert x is not None
    assert weights is not None
    row = weights.dims[1]
    keeps_leading = len(x.dims) != 2 and x.dims[-1] == row and not op.options.keepNumDims
    return keeps_leading or not ends_in_rows(x.dims, row)


def _why_not_binary(op: Op) -> Refusal:
    """An op that reads signs, and yet its kernel is not binary."""
    remedy = "use kernel_quantizer='ste_sign', and convert without quantization"
    weights = constant(op.input(1))
    if weights is None:
        return Refusal("it multiplies signs with weights that are computed at run time", remedy)
    sizes = np.abs(np.moveaxis(weights, channel_axis(op), 0))
    sizes = sizes.reshape(len(sizes), -1)
    channel = int(np.argmax((sizes != sizes[:, :1]).any(axis=1)))
    count, zeros = len(np.unique(sizes[channel])), ", 0 among them" if (sizes[channel] == 0).any() else ""
    return Refusal(f"channel {channel} of its weights has {count} absolute values{zeros}, a binary one has 1", remedy)

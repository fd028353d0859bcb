"""CONV_2D and FULLY_CONNECTED with weights of +-scale become BnnConv2D and BnnFullyConnected with 1-bit weights.

The weights +-scale are written as scale times a sign, and the scale becomes the multiplier. x stays float32 here, which
is right for any x; `read_bits` lets the op read bits where x comes from a sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..bits import pack_signs
from ..graph import Array, Graph, Op
from ..patterns import KERNEL_CHANNEL_AXIS, Kernel, binary_kernel, channel_axis, constant, data_input, is_signed
from .base import Match, Pass, Refusal

_PACKED_KINDS = {"CONV_2D": "BnnConv2D", "FULLY_CONNECTED": "BnnFullyConnected"}
_LAST_KNOWN_ACTIVATION = 3
_LAYER_LEAVES = ("convolution", "Conv2D", "MatMul", "Tensordot", "SelectV2")


@dataclass(frozen=True)
class KernelMatch(Match):
    """An op, its binary kernel and its bias."""

    kernel: Kernel
    bias: Array
    options: dict[str, int]


class PackKernel(Pass[KernelMatch]):
    """Packs binary kernels of float32 convolutions and dense layers."""

    name = "pack kernel"

    def match(self, graph: Graph, op: Op) -> KernelMatch | Refusal | None:
        if op.kind not in KERNEL_CHANNEL_AXIS:
            return None
        x, kernel = data_input(op), binary_kernel(op)
        if x is None or not (is_signed(x) or (kernel is not None and kernel.shows_signs)):
            return None
        if kernel is None:
            return _why_not_binary(op)
        if op.kind not in _PACKED_KINDS:
            return Refusal(f"{op.kind} has no packed op in this version of the format")
        weights = op.input(1)
        for tensor in (x, weights, op.output):
            if tensor is not None and tensor.type_name != "float32":
                return Refusal(
                    f"it computes with {tensor.type_name}", "convert the float32 model, without quantization"
                )
        bias = constant(op.input(2)) if op.input(2) is not None else np.zeros(len(kernel.scale), np.float32)
        if bias is None or bias.dtype != np.float32 or bias.shape != kernel.scale.shape:
            return Refusal("its bias is computed at run time")
        if op.options.fusedActivationFunction > _LAST_KNOWN_ACTIVATION:
            return Refusal("its fused activation is none of ReLU, ReLU6 and ReLU -1 to 1")
        options = {"activation": int(op.options.fusedActivationFunction)}
        options |= _conv_options(op, kernel) if op.kind == "CONV_2D" else {"channels_in": kernel.negative.shape[1]}
        if x.dims[-1] < 0 or (op.kind == "CONV_2D" and x.dims[-1] != options["channels_in"]):
            return Refusal("the number of its input channels is not known")
        return KernelMatch(op, kernel, bias, options)

    def rewrite(self, graph: Graph, match: KernelMatch) -> None:
        op, name = match.op, layer_name(match.op)
        x = op.input(0)
        assert x is not None
        if op.kind == "FULLY_CONNECTED" and not op.options.keepNumDims and _keeps_leading(op):
            count = -1 if -1 in x.dims else math.prod(x.dims[:-1])
            rows = graph.add_tensor(f"{name}/rows", (count, x.dims[-1]))
            shape = graph.add_constant(f"{name}/rows/shape", np.array(rows.dims, np.int32))
            graph.add_op("RESHAPE", [x, shape], [rows], before=op)
            x = rows
        weights = graph.add_constant(f"{name}/weights", pack_signs(match.kernel.negative))
        multiplier = graph.add_constant(f"{name}/multiplier", match.kernel.scale)
        bias = graph.add_constant(f"{name}/bias", match.bias)
        graph.morph(op, _PACKED_KINDS[op.kind], [x, weights, multiplier, bias], match.options)


def layer_name(op: Op) -> str:
    """Returns the part of an op's tensor names that names the layer which multiplies, for example "model/conv_1"."""
    tensors = (op.output, op.input(1), op.input(0))  # the input's name tells the layer that takes the sign
    names = [name for tensor in tensors if tensor is not None for name in tensor.name.split(";")]
    for name in names:
        scope, _, leaf = name.rpartition("/")
        if scope and leaf.startswith(_LAYER_LEAVES):
            return scope.removesuffix("/Tensordot")
    return names[0]


def _conv_options(op: Op, kernel: Kernel) -> dict[str, int]:
    x = op.input(0)
    assert x is not None
    options, channels = op.options, kernel.negative.shape[3]
    return {
        "channels_in": max(x.dims[-1] // channels, 1) * channels,
        "groups": max(x.dims[-1] // channels, 1),
        "stride_h": options.strideH,
        "stride_w": options.strideW,
        "dilation_h": options.dilationHFactor,
        "dilation_w": options.dilationWFactor,
        "padding": options.padding,
    }


def _keeps_leading(op: Op) -> bool:
    """Whether the packed op would keep leading dimensions that FULLY_CONNECTED merges into rows."""
    x, weights = op.input(0), op.input(1)
    assert x is not None
    assert weights is not None
    return len(x.dims) != 2 and x.dims[-1] == weights.dims[1]


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

"""Binary layers of a quantized file become float32 ones, as the passes behind expect them.

An integer convolution with weights of +-127 computes, on signs, what the float32 one computed before it was quantized:
alpha is 127 times the weights' scale. So it is written back as float32, its output is quantized as before, and once the
layer is packed nothing is lost: its sums are exact, and the int8 it writes are those of the float32 expression.

    int8 signs, int8 weights, int32 bias -> int8 y     becomes  float32 twin, float32 weights and bias, QUANTIZE
    float32 signs, int8 weights (dynamic range)        becomes  float32 weights
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from ..float_twins import float_twin, is_int8_sign
from ..graph import Array, Graph, Op
from ..patterns import bias_index, binary_kernel, constant, data_index, data_input, is_signed
from ..quantization import dequantized, per_tensor, quantization_of, real_values
from ..schema import schema
from .base import Match, Pass, Refusal
from .pack_kernel import ONLY_BITS, PACKED_KINDS


@dataclass(frozen=True)
class LiftMatch(Match):
    """A quantized op with a binary kernel, and its real-valued weights and bias."""

    weights: Array
    bias: Array


class LiftKernel(Pass[LiftMatch]):
    """Takes the quantization out of convolutions and dense layers with binary kernels."""

    name = "lift kernel"

    def match(self, graph: Graph, op: Op) -> LiftMatch | Refusal | None:
        x, weights, bias = data_input(op), op.input(1), op.input(bias_index(op))
        if op.kind not in PACKED_KINDS or x is None or weights is None or weights.type_name != "int8":
            return None
        quantization = quantization_of(weights)
        kernel = binary_kernel(op)
        if kernel is None or quantization is None or quantization.zero_point.any():
            return None
        shows_signs = kernel.shows_signs and op.kind not in ONLY_BITS
        if not (shows_signs or is_int8_sign(x) or is_signed(x)):
            return None
        if (x.type_name, op.output.type_name) not in (("int8", "int8"), ("float32", "float32")):
            return Refusal(
                f"it reads {x.type_name} and computes {op.output.type_name}",
                "quantize to int8, or convert the float32 model",
            )
        if x.type_name == "int8" and per_tensor(x) is None:
            return Refusal("its input has no scale of its own", "quantize activations per tensor")
        bias = op.input(bias_index(op))
        values = np.zeros(len(kernel.scale), np.float32) if bias is None else real_values(bias)
        if values is None or values.shape != kernel.scale.shape:
            return Refusal("its bias is computed at run time")
        integers = constant(weights)  # perhaps computed, by a transposition that the stock converter left
        assert integers is not None
        return LiftMatch(op, dequantized(integers, quantization), values)

    def rewrite(self, graph: Graph, match: LiftMatch) -> None:
        op, y = match.op, match.op.output
        x, weights = data_input(op), op.input(1)
        assert x is not None
        assert weights is not None
        version, options = op.version, copy.copy(op.options)
        inputs = list(op.inputs[: bias_index(op)])
        inputs[data_index(op)] = float_twin(graph, x, before=op)
        inputs[1] = graph.add_constant(f"{weights.name}/float", match.weights)
        if op.kind != "TRANSPOSE_CONV" or op.input(bias_index(op)) is not None:  # its first versions have no bias
            inputs.append(graph.add_constant(f"{y.name}/bias", match.bias))
        if y.type_name == "int8":
            sums = graph.add_tensor(f"{y.name}/float", y.dims)
            graph.release(op, sums)
            graph.add_op("QUANTIZE", [sums], [y], schema.QuantizeOptionsT(), before=graph.ops.after(op))
        graph.morph(op, op.kind, inputs, options)
        op.version = version  # of the runtime's op, which computes in float32 in all versions

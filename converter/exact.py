"""The reference with exact sums: what a packed file must compute, on stock ops.

The stock converter folds batch normalization into the weights, so that the reference adds up +-scale. Where
scale * sum + bias is exactly 0, float32 rounding leaves some 1e-7 of either sign, and a sign behind it turns noise into
+-1. Untrained batch normalization (mean = beta = 0, even sums) does it all the time. Here +-1 is added up, exactly, and
scale and bias come after it, as in the float expression of docs/format.md and as in the Keras model.

Larq Compute Engine folds the number of products into the bias, which rounds in front of a sign too: its ops are
replaced, one by one.
"""

from __future__ import annotations

import numpy as np

from .flatbuffer import read_model, write_model
from .graph import Array, Graph, Op
from .passes import STOCK_PASSES, Refusal, run_pass
from .passes.pack_kernel import PACKED_KINDS, find_kernel
from .passes.read_lce import ReadLce
from .patterns import Kernel, bias_index, channel_axis
from .schema import schema


def exact_reference(reference: bytes) -> bytes:
    """Returns the reference with the scale of each binary kernel taken out of its weights.

    Args:
        reference: A .tflite file; of a quantized one the binary layers become float32 first.
    """
    model = read_model(reference)
    for graph in model.graphs:
        for pass_ in (ReadLce(), *STOCK_PASSES):
            run_pass(graph, pass_)
        for op in list(graph.ops):
            found = find_kernel(op) if op.kind in PACKED_KINDS else None
            if found is not None and not isinstance(found, Refusal):
                _unfold(graph, op, *found)
    return write_model(model)


def _unfold(graph: Graph, op: Op, kernel: Kernel, bias: Array) -> None:
    """CONV(x, +-scale, bias) becomes CONV(x, +-1, 0) * scale + bias; the activation comes last."""
    output = op.output
    sums, scaled = (graph.add_tensor(f"{output.name}/{name}", output.dims) for name in ("sums", "scaled"))
    activation = op.options.fusedActivationFunction
    op.options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    values = np.where(kernel.negative, np.float32(-1), np.float32(1))
    signs = graph.add_constant(f"{output.name}/signs", np.moveaxis(values, 0, channel_axis(op)))
    zeros = graph.add_constant(f"{output.name}/zeros", np.zeros_like(bias))
    scale = graph.add_constant(f"{output.name}/scale", kernel.scale)
    shift = graph.add_constant(f"{output.name}/bias", bias)
    after = graph.ops.after(op)
    graph.release(op, sums)
    graph.set_input(op, 1, signs)
    if op.input(bias_index(op)) is not None:
        graph.set_input(op, bias_index(op), zeros)
    add_options = schema.AddOptionsT()
    add_options.fusedActivationFunction = activation
    graph.add_op("MUL", [sums, scale], [scaled], schema.MulOptionsT(), before=after)
    graph.add_op("ADD", [scaled, shift], [output], add_options, before=after)

"""The reference with exact sums: what a packed file must compute, on stock ops.

The stock converter folds batch normalization into the weights, so that the reference adds up +-scale. Where
scale * sum + bias is exactly 0, float32 rounding leaves some 1e-7 of either sign, and a sign behind it turns noise into
+-1. Untrained batch normalization (mean = beta = 0, even sums) does it all the time. Here +-1 is added up, exactly, and
scale and bias come after it, as in the float expression of docs/format.md and as in the Keras model.
"""

from __future__ import annotations

import numpy as np

from .flatbuffer import read_model, write_model
from .graph import Graph
from .passes import Match, run_pass
from .passes.fix_quantize_shape import FixQuantizeShape
from .passes.lift_kernel import LiftKernel
from .passes.pack_kernel import KernelMatch, PackKernel
from .patterns import KERNEL_CHANNEL_AXIS
from .schema import schema


def exact_reference(reference: bytes) -> bytes:
    """Returns the reference with the scale of each binary kernel taken out of its weights.

    Args:
        reference: A .tflite file; of a quantized one the binary layers become float32 first.
    """
    model = read_model(reference)
    pack_kernel = PackKernel()
    for graph in model.graphs:
        for pass_ in (FixQuantizeShape(), LiftKernel()):
            run_pass(graph, pass_)
        for op in list(graph.ops):
            match = pack_kernel.match(graph, op) if op.kind in KERNEL_CHANNEL_AXIS else None
            if isinstance(match, Match):
                _unfold(graph, match)
    return write_model(model)


def _unfold(graph: Graph, match: KernelMatch) -> None:
    """CONV(x, +-scale, bias) becomes CONV(x, +-1, 0) * scale + bias; the activation comes last."""
    op, output = match.op, match.op.output
    sums, scaled = (graph.add_tensor(f"{output.name}/{name}", output.dims) for name in ("sums", "scaled"))
    activation = op.options.fusedActivationFunction
    op.options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    signs = graph.add_constant(f"{output.name}/signs", np.where(match.kernel.negative, np.float32(-1), np.float32(1)))
    zeros = graph.add_constant(f"{output.name}/zeros", np.zeros_like(match.bias))
    scale = graph.add_constant(f"{output.name}/scale", match.kernel.scale)
    bias = graph.add_constant(f"{output.name}/bias", match.bias)
    after = graph.ops[graph.ops.index(op) + 1] if op is not graph.ops[-1] else None
    graph.release(op, sums)
    graph.set_input(op, 1, signs)
    graph.set_input(op, 2, zeros)
    add_options = schema.AddOptionsT()
    add_options.fusedActivationFunction = activation
    graph.add_op("MUL", [sums, scale], [scaled], schema.MulOptionsT(), before=after)
    graph.add_op("ADD", [scaled, bias], [output], add_options, before=after)

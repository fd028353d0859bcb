"""What ai-edge-quantizer expects of a file beyond the format.

It feeds a model by its signature, knows a tensor by its name, asks for the values of all tensors, which the runtime
does not compute where nothing reads them, and writes a quantized constant into the place of the float one, also where
an op that stays float32 reads it too.
"""

from __future__ import annotations

from collections import Counter

from .graph import Graph, Model, Op, Signature, Tensor


def prepare_for_quantizer(model: Model) -> None:
    """Adds a signature where there is none, removes unused ops, copies shared constants, renames equal names."""
    graph = model.graphs[0]
    if not model.signatures:
        inputs, outputs = ([(tensor.name, tensor) for tensor in tensors] for tensors in (graph.inputs, graph.outputs))
        model.signatures.append(Signature("serving_default", graph, inputs, outputs))
    for graph in model.graphs:
        graph.remove_unused()
        for op in graph.ops:
            for index, tensor in enumerate(op.inputs):
                if tensor is not None and tensor.is_constant:
                    _give_own_copy(graph, op, index, tensor)
        _rename_equal(graph)


def _give_own_copy(graph: Graph, op: Op, index: int, constant: Tensor) -> None:
    is_read_twice = op.inputs.count(constant) > 1
    if constant.type_name == "float32" and (len(constant.users) > 1 or is_read_twice):
        graph.set_input(op, index, graph.add_constant(constant.name, constant.values))


def _rename_equal(graph: Graph) -> None:
    """Tensors that the user sees keep their names; the names of outputs tell which ops stay float32, so they do too."""
    taken = Counter(tensor.name for tensor in graph.tensors)
    for tensor in graph.tensors:
        if taken[tensor.name] == 1 or tensor.producer is not None or graph.is_kept(tensor):
            continue
        name, number = tensor.name, 1
        while taken[f"{name}_{number}"]:
            number += 1
        taken[name] -= 1
        tensor.record.name = f"{name}_{number}"
        taken[tensor.name] += 1

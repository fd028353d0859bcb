"""What a packed file with any stock ops means by docs/format.md: these run on the stock runtime, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from format_reference import run_packed

from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Graph, Model, Op, Tensor


def evaluate(packed: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Evaluates a packed file: its own ops in numpy, each stock op by itself on the stock runtime.

    Args:
        packed: The file's bytes.
        inputs: One array for each input of its first subgraph.
    """
    ops = list(read_model(packed).graphs[0].ops)
    return run_packed(packed, inputs, run_stock=lambda place, arguments: _run_stock_op(ops[place], arguments))


def _run_stock_op(op: Op, arguments: Sequence[np.ndarray]) -> np.ndarray:
    """Runs a file with one op on arrays, which stand for its inputs that are not left out."""
    graph, pending, fed = Graph(), list(arguments), []
    inputs: list[Tensor | None] = []
    for tensor in op.inputs:
        if tensor is None:
            inputs.append(None)
            continue
        values = pending.pop(0)
        if tensor.is_constant:
            inputs.append(graph.add_constant(tensor.name, values))
        else:
            inputs.append(graph.add_input(tensor.name, values.shape, values.dtype))
            fed.append(values)
    output = graph.add_tensor(op.name, op.output.dims, np.dtype(op.output.type_name.replace("bool", "bool_")))
    graph.outputs = [output]
    graph.add_op(op.kind, inputs, [output], op.options).version = op.version
    interpreter = Interpreter(model_content=write_model(Model([graph])))
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), fed, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

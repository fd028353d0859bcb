"""`inspect`: from a file to what its ops are."""

from __future__ import annotations

import os
from pathlib import Path

from ..advice import find_advice
from ..custom_ops import steps_of
from ..flatbuffer import read_model
from ..graph import Graph, Model, Op, Tensor
from ..kernel_shape import BITS_KERNEL_OPS, KERNEL_OPS
from ..layer_name import layer_name
from ..multiply_accumulates import multiply_accumulates, precision
from ..passes import Refusal, find_packing
from ..patterns import constant_bytes, data_input
from ..tensor_bits import data_type, shape_in_channels, value_bits
from .kernels import inspect_kernel
from .model import InspectedOp, InspectedTensor, Inspection

_ACTIVATIONS = ("", "ReLU", "ReLU -1 to 1", "ReLU6")
_STEPS = ("", "add", "multiply", "divide", "PReLU", "ReLU", "ReLU -1 to 1", "ReLU6", "first output")


def inspect(path: str | os.PathLike[str] | bytes) -> Inspection:
    """Lists the ops of a .tflite file: packed by keras-bnn or by Larq Compute Engine, or not packed.

    Args:
        path: The file, or its bytes. What is no regular file, such as a pipe, is read into memory.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no .tflite file, or a damaged one.

    Example:

    >>> inspection = keras_bnn.converter.inspect("model.tflite")  # doctest: +SKIP
    >>> print(inspection)  # doctest: +SKIP
    >>> inspection.to_html("model.html")  # doctest: +SKIP
    """
    if isinstance(path, bytes):
        return inspect_model(read_model(path), "the model", len(path))
    if not Path(path).exists() or Path(path).is_dir():
        raise FileNotFoundError(f"There is no file {os.fspath(path)}: pass the path of a .tflite file.")
    data = Path(path).read_bytes()
    return inspect_model(read_model(data), os.fspath(path), len(data))


def inspect_model(model: Model, path: str, file_bytes: int) -> Inspection:
    """Returns what the ops of a model are.

    Args:
        model: The model.
        path: The file that it was read from.
        file_bytes: The file's size.
    """
    ops = {op: index for index, op in enumerate(model.ops)}
    flowing = {
        tensor: None  # an ordered set
        for graph in model.graphs
        for tensor in (*graph.inputs, *(output for op in graph.ops for output in op.outputs))
    }
    indices = {tensor: index for index, tensor in enumerate(flowing)}
    advice = {op: found.text for graph in model.graphs for op, found in find_advice(graph)}
    return Inspection(
        path,
        file_bytes,
        tuple(_inspect_op(graph, op, indices, advice) for graph in model.graphs for op in graph.ops),
        tuple(_inspect_tensor(model, tensor, ops) for tensor in flowing),
    )


def _inspect_tensor(model: Model, tensor: Tensor, ops: dict[Op, int]) -> InspectedTensor:
    return InspectedTensor(
        name=tensor.name,
        data=data_type(tensor),
        bits=value_bits(tensor),
        shape=shape_in_channels(tensor),
        producer=None if tensor.producer is None else ops[tensor.producer],
        users=tuple(sorted(ops[user] for user in tensor.users)),
        is_output=any(tensor in graph.outputs for graph in model.graphs),
    )


def _inspect_op(graph: Graph, op: Op, indices: dict[Tensor, int], advice: dict[Op, str]) -> InspectedOp:
    output = op.outputs[0] if op.outputs else None
    found = find_packing(graph, op)
    is_kernel_op = op.kind in KERNEL_OPS
    return InspectedOp(
        name=op.name,
        layer=layer_name(op),
        kind=op.kind,
        steps=_steps(op),
        inputs=tuple(indices[tensor] for tensor in dict.fromkeys(op.inputs) if tensor in indices),
        outputs=tuple(indices[tensor] for tensor in op.outputs),
        shape=() if output is None else shape_in_channels(output),
        input_bits=value_bits(data_input(op)),
        output_bits=value_bits(output),
        weight_bits=(1 if op.kind in BITS_KERNEL_OPS else value_bits(op.input(1))) if is_kernel_op else None,
        constant_bytes=constant_bytes(op),
        macs=multiply_accumulates(op),
        precision=precision(op) if is_kernel_op else "",
        kernel=inspect_kernel(op),
        is_packable=found is True,
        reason=found.text if isinstance(found, Refusal) else advice.get(op, ""),
    )


def _steps(op: Op) -> tuple[str, ...]:
    """What a packed op does to its sums, besides multiplier and bias."""
    options = op.options if op.is_packed and isinstance(op.options, dict) else {}
    names = [_ACTIVATIONS[options.get(key, 0)] for key in ("pre_activation", "activation")]
    names += [_STEPS[step] for step in steps_of(options)] if "steps" in options else []
    return tuple(name for name in names if name)

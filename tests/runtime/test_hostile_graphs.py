"""Graphs that no converter writes: what the runtime lets through, the library must refuse."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.model_builder import ModelBuilder

from keras_bnn import runtime

_CHANNELS = 40


def _open(model: bytes):
    return runtime.stock_runtime().Interpreter(model_content=model, experimental_delegates=[runtime.load_delegate()])


def test_a_tensor_that_another_partition_makes_smaller() -> None:
    builder = ModelBuilder()
    x, words = builder.tensor([64, _CHANNELS], np.float32), builder.tensor([64, 2], np.int32)
    floats = builder.tensor([64, 2], np.float32)
    builder.custom("BnnQuantize", [x], [words], {"version": 1})
    builder.stock(schema.BuiltinOperator.CAST, [words], [floats], schema.CastOptionsT())
    builder.custom("BnnQuantize", [floats], [words], {"version": 1})
    interpreter = _open(builder.build([x], [words]))
    interpreter.allocate_tensors()
    with pytest.raises(RuntimeError, match=r"is int32 \[64, 1\] of 256 bytes; expected int32 \[64, 2\]"):
        interpreter.invoke()


@pytest.mark.parametrize("op", ["EQUAL", "FILL"])
def test_a_tensor_that_a_stock_op_retypes_or_takes_the_memory_of(op: str) -> None:
    rows = 4 * _CHANNELS
    builder = ModelBuilder()
    words, y = builder.tensor([rows, 2], np.int32), builder.tensor([rows, _CHANNELS], np.float32)
    positive = builder.tensor([rows, _CHANNELS], np.float32)
    builder.custom("BnnDequantize", [words], [y], {"version": 1, "channels": _CHANNELS})
    builder.stock(schema.BuiltinOperator.ABS, [y], [positive])
    if op == "EQUAL":  # gives bool, a byte each
        others = builder.tensor([rows, 1], np.float32), builder.tensor([1, _CHANNELS], np.float32)
        message = r"tensor 1 is another type .* of 6400 bytes; expected float32"
    else:  # of a shape that only a run tells
        others = builder.tensor([2], np.int32), builder.tensor([], np.float32)
        message = "tensor 1 has no memory"
    builder.stock(getattr(schema.BuiltinOperator, op), others, [y])
    interpreter = _open(builder.build([words, *others], [positive]))
    interpreter.allocate_tensors()
    with pytest.raises(RuntimeError, match=message):
        interpreter.invoke()


def test_an_output_in_the_read_only_file() -> None:
    builder = ModelBuilder()
    x = builder.tensor([1, _CHANNELS], np.float32)
    y = builder.constant(np.zeros([1, 2], np.int32))
    builder.custom("BnnQuantize", [x], [y], {"version": 1})
    with pytest.raises(RuntimeError, match="an output is a constant of the file"):
        _open(builder.build([x], [y])).allocate_tensors()

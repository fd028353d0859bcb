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
    with pytest.raises(RuntimeError, match=r"has the shape \[64, 1\]; expected \[64, 2\]"):
        interpreter.invoke()


def test_an_output_in_the_read_only_file() -> None:
    builder = ModelBuilder()
    x = builder.tensor([1, _CHANNELS], np.float32)
    y = builder.constant(np.zeros([1, 2], np.int32))
    builder.custom("BnnQuantize", [x], [y], {"version": 1})
    with pytest.raises(RuntimeError, match="an output is a constant of the file"):
        _open(builder.build([x], [y])).allocate_tensors()

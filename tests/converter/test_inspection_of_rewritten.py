"""`inspect` says of each kernel what `convert` does with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph

from keras_bnn.converter import convert, inspect


def _write(graph: FloatGraph, path: Path) -> None:
    """A file with a kernel of each sort that is rewritten before it is packed, and one that is not."""
    x = graph.add_input("x", (2, 3, 40))
    options = schema.BatchMatMulOptionsT()
    y = graph.op("BATCH_MATMUL", [graph.sign(x), graph.constant(graph.kernel((8, 40)).T)], (2, 3, 8), options)
    scales = 2.0 ** graph.rng.integers(-3, 3, 24)
    y = graph.dense(graph.reshape(y, (2, 24)), graph.kernel((9, 24)) * scales.astype(np.float32))
    y = graph.dense(graph.sign(y), graph.rng.normal(size=(5, 9)).astype(np.float32))
    path.write_bytes(graph.finish(graph.dense(y, graph.rng.normal(size=(4, 5)).astype(np.float32))))


def test_rewritten_kernels_are_packable(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    _write(FloatGraph(), path)
    kernels = [op for op in inspect(path).ops if op.weight_bits is not None]
    assert [op.is_packable for op in kernels] == [True, True, False, False]
    assert "9 absolute values" in kernels[2].reason
    assert not any(op.reason for op in kernels if op is not kernels[2])
    report = convert(path, verify=False)
    assert [op.kind for op in report.packed] == ["BnnFullyConnected"] * 2
    assert [op.kind for op in report.left] == ["FULLY_CONNECTED"]

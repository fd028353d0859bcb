"""Files that ai-edge-quantizer would refuse or break as they are."""

from __future__ import annotations

import numpy as np
import pytest
from support.float_graphs import FloatGraph, kinds, run_file

from keras_bnn.converter import convert
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Model
from keras_bnn.converter.quantizer_input import prepare_for_quantizer

SAMPLES = np.random.default_rng(0).normal(size=(20, 6, 6, 4)).astype(np.float32)


def prepared(source: bytes) -> Model:
    """The file as ai-edge-quantizer gets it, with a check that it computes the same."""
    model = read_model(source)
    prepare_for_quantizer(model)
    again = write_model(model, share_buffers=False)
    for one, two in zip(run_file(again, [SAMPLES]), run_file(source, [SAMPLES]), strict=True):
        np.testing.assert_array_equal(one, two)
    return read_model(again)


def shared_constant() -> bytes:
    """The numbers of a sign, of which one is a factor of a float op too."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 6, 4))
    y = graph.conv(x, graph.rng.normal(size=(8, 1, 1, 4)).astype(np.float32))
    sign = graph.sign(y)
    one = sign.producer.input(2) if sign.producer is not None else None
    assert one is not None
    scaled = graph.scale(graph.conv(sign, graph.kernel((8, 1, 1, 8))), 1.0)
    assert scaled.producer is not None
    graph.set_input(scaled.producer, 1, one)
    last = graph.conv(scaled, graph.rng.normal(size=(8, 1, 1, 8)).astype(np.float32))
    return graph.finish(graph.op("MUL", [last, one], last.dims, scaled.producer.options))


def test_each_user_gets_its_own_constant() -> None:
    model = prepared(shared_constant())
    constants = [tensor for tensor in model.graphs[0].tensors if tensor.is_constant]
    assert all(len(tensor.users) == 1 for tensor in constants)
    buffers = [tensor.record.buffer for tensor in constants]
    assert len(set(buffers)) == len(buffers)


def test_names_are_unique_and_those_of_computed_tensors_stay() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 6, 4))
    y = graph.shift(graph.scale(graph.sign(x), graph.bias(4)), graph.bias(4))
    for tensor in graph.tensors:
        if tensor.is_constant:
            tensor.record.name = "c"
    names = [tensor.name for tensor in prepared(graph.finish(y)).graphs[0].tensors]
    assert len(set(names)) == len(names)
    assert {tensor.name for tensor in graph.tensors if not tensor.is_constant} <= set(names)


def test_unused_ops_are_removed() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 6, 4))
    graph.pool(graph.scale(x, 2.0))
    assert kinds(prepared(graph.finish(graph.scale(x, 3.0))).graphs[0]) == ["MUL"]


@pytest.mark.parametrize("has_equal_names", [False, True])
def test_such_files_are_quantized(has_equal_names: bool) -> None:
    pytest.importorskip("ai_edge_quantizer")
    model = read_model(shared_constant())
    (graph,) = model.graphs
    if has_equal_names:
        for tensor in graph.tensors:
            if tensor.is_constant:
                tensor.record.name = "c"
    report = convert(write_model(model), representative_dataset=SAMPLES)
    assert [(op.input_type, op.output_type) for op in report.packed] == [("bits", "int8")]
    assert report.verification is not None
    assert report.verification.exact is not None
    assert report.verification.exact.equal_samples == 16

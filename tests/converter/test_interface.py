"""What users see of a file, its names, signatures, free dimensions and metadata, is the same when it is packed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from support.float_graphs import FloatGraph, random_input

from keras_bnn import runtime
from keras_bnn.converter import convert
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Model, Signature, Tensor
from keras_bnn.converter.passes import run_pipeline
from keras_bnn.converter.runtime_version import raise_min_runtime_version


def dense_graph(name: str, inputs: int, units: int, seed: int = 0) -> tuple[FloatGraph, Tensor, Tensor]:
    """A binary dense layer between tensors that are named after the graph."""
    graph = FloatGraph(seed)
    graph.name = name
    x = graph.add_input(f"{name}_x", (-1, inputs))
    y = graph.dense(graph.sign(x), graph.kernel((units, inputs)), graph.bias(units))
    y.record.name = f"{name}_y"
    graph.outputs = [y]
    return graph, x, y


def packed_ops(data: bytes) -> list[list[str]]:
    """The packed ops of each subgraph."""
    return [[op.kind for op in graph.ops if op.is_packed] for graph in read_model(data).graphs]


def interpreters(source: bytes, packed: bytes) -> tuple[Interpreter, Interpreter]:
    """The float file and the packed one in the stock runtime."""
    return (
        Interpreter(model_content=source),
        Interpreter(model_content=packed, experimental_delegates=[runtime.load_delegate()]),
    )


def described(details: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What the runtime tells of inputs or outputs, apart from their place in the file."""
    return [
        (detail["name"], detail["dtype"], detail["shape"].tolist(), detail["shape_signature"].tolist())
        for detail in details
    ]


def test_names_and_free_batch() -> None:
    graph = FloatGraph()
    image, row = graph.add_input("image:0", (-1, 6, 5, 8)), graph.add_input("serving_default_row", (-1, 12))
    y = graph.conv(graph.sign(image), graph.kernel((40, 3, 3, 8)), graph.bias(40))
    z = graph.dense(graph.flatten(graph.sign(y)), graph.kernel((9, 4 * 3 * 40)), graph.bias(9))
    w = graph.dense(graph.sign(row), graph.kernel((9, 12)))
    total = graph.op("ADD", [z, w], z.dims, schema.AddOptionsT())
    total.record.name, y.record.name = "StatefulPartitionedCall:1", "StatefulPartitionedCall:0"
    source = graph.finish(total, y, image)  # an input may be an output
    report = convert(source)
    plain, packed = interpreters(source, report.model)
    for method in ("get_input_details", "get_output_details"):
        assert described(getattr(packed, method)()) == described(getattr(plain, method)())
    for batch in (1, 3, 7, 2):
        values = [random_input(x.dims, batch, batch) for x in (image, row)]
        for interpreter in (plain, packed):
            for detail, value in zip(interpreter.get_input_details(), values, strict=True):
                interpreter.resize_tensor_input(detail["index"], value.shape, strict=True)
            interpreter.allocate_tensors()
            for detail, value in zip(interpreter.get_input_details(), values, strict=True):
                interpreter.set_tensor(detail["index"], value)
            interpreter.invoke()
        for expected, detail in zip(plain.get_output_details(), packed.get_output_details(), strict=True):
            np.testing.assert_array_equal(packed.get_tensor(detail["index"]), plain.get_tensor(expected["index"]))


def test_signatures_of_several_subgraphs() -> None:
    encoder, x, code = dense_graph("encode", 40, 33, seed=1)
    decoder, z, y = dense_graph("decode", 33, 40, seed=2)
    signatures = [
        Signature("encode", encoder, [("image", x)], [("code", code)]),
        Signature("decode", decoder, [("code", z)], [("image", y)]),
    ]
    source = write_model(Model([encoder, decoder], signatures))
    report = convert(source)
    assert packed_ops(report.model) == [["BnnQuantize", "BnnFullyConnected"]] * 2
    assert report.verification is not None
    assert report.verification.remark == "Only the first subgraph was run, not 'decode'."
    plain, packed = interpreters(source, report.model)
    assert packed.get_signature_list() == plain.get_signature_list()
    for key, name, size in (("encode", "image", 40), ("decode", "code", 33), ("encode", "image", 40)):
        for batch in (5, 1):
            values = {name: random_input((batch, size), size)}
            (expected,), (output,) = (one.get_signature_runner(key)(**values).items() for one in (plain, packed))
            assert output[0] == expected[0]
            np.testing.assert_array_equal(output[1], expected[1])


def test_several_signatures_of_one_subgraph() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 40))
    hidden = graph.dense(graph.sign(x), graph.kernel((33, 40)), graph.bias(33))
    y = graph.dense(graph.sign(hidden), graph.kernel((4, 33)))
    graph.outputs = [y, hidden]
    signatures = [
        Signature("classify", graph, [("image", x)], [("scores", y)]),
        Signature("embed", graph, [("image", x)], [("vector", hidden), ("scores", y)]),
    ]
    source = write_model(Model([graph], signatures))
    plain, packed = interpreters(source, convert(source).model)
    assert packed.get_signature_list() == plain.get_signature_list()
    for key in ("classify", "embed"):
        values = random_input((6, 40))
        expected, outputs = (one.get_signature_runner(key)(image=values) for one in (plain, packed))
        assert list(outputs) == list(expected)
        for name, output in outputs.items():
            np.testing.assert_array_equal(output, expected[name])


def test_a_signature_keeps_its_tensors() -> None:
    """Also one that is no output of the graph, and that packing would turn into bits."""
    graph, x, _ = dense_graph("main", 40, 33)
    hidden = graph.outputs[0]
    y = graph.dense(graph.sign(hidden), graph.kernel((4, 33)))
    graph.outputs = [y]
    source = write_model(Model([graph], [Signature("s", graph, [("image", x)], [("y", y), ("hidden", hidden)])]))
    model = read_model(convert(source, verify=False).model)
    (signature,) = model.signatures
    assert [(name, tensor.name) for name, tensor in signature.outputs] == [("y", y.name), ("hidden", "main_y")]
    assert signature.outputs[1][1].type_name == "float32"


def loop(steps: int) -> tuple[bytes, FloatGraph]:
    """A WHILE whose body applies a binary dense layer: subgraphs 1 and 2 are the condition and the body."""
    main, condition, body = FloatGraph(1), FloatGraph(2), FloatGraph(3)
    for name, graph in (("main", main), ("condition", condition), ("body", body)):
        graph.name = name
    count, x = condition.add_input("count", (1,), np.int32), condition.add_input("x", (2, 40))
    goes_on = condition.add_tensor("goes_on", (1,), np.bool_)
    condition.add_op("LESS", [count, condition.integers([steps])], [goes_on], schema.LessOptionsT())
    condition.outputs = [goes_on]
    count, x = body.add_input("count", (1,), np.int32), body.add_input("x", (2, 40))
    more = body.add_tensor("more", (1,), np.int32)
    body.add_op("ADD", [count, body.integers([1])], [more], schema.AddOptionsT())
    body.outputs = [more, body.dense(body.sign(x), body.kernel((40, 40)), body.bias(40))]
    x = main.add_input("x", (2, 40))
    start = main.integers([0])
    counted, y = main.add_tensor("counted", (1,), np.int32), main.add_tensor("y", (2, 40))
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    main.add_op("WHILE", [start, x], [counted, y], options)
    main.outputs = [y, counted]
    return write_model(Model([main, condition, body])), main


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_body_of_a_loop(steps: int) -> None:
    source, graph = loop(steps)
    report = convert(source)
    assert report.verification is not None
    assert "Not run: An output has the shape (1,) for 2 samples" in report.verification.remark
    assert packed_ops(report.model) == [[], [], ["BnnQuantize", "BnnFullyConnected"]]
    values = random_input(graph.inputs[0].dims)
    results = []
    for interpreter in interpreters(source, report.model):
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
        interpreter.invoke()
        results.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    assert results[1][1] == steps
    np.testing.assert_array_equal(results[1][0], results[0][0])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"2.2.0".ljust(16, b"\0"), b"2.14.0".ljust(16, b"\0")),
        (b"1.14.0", b"2.14.0".ljust(16, b"\0")),
        (b"2.14.0".ljust(16, b"\0"), b"2.14.0".ljust(16, b"\0")),
        (b"2.15.1".ljust(16, b"\0"), b"2.15.1".ljust(16, b"\0")),
        (b"nightly", b"nightly"),
    ],
)
def test_min_runtime_version(before: bytes, after: bytes) -> None:
    """Versions are compared by their numbers: 2.2 is older than 2.14."""
    graph, *_ = dense_graph("main", 8, 4)
    metadata = [("min_runtime_version", before), ("other", b"2.2.0"), ("empty", None)]
    entries = [(name, None if data is None else np.frombuffer(data, np.uint8)) for name, data in metadata]
    packed = convert(write_model(Model([graph], [], entries))).model
    kept = [(name, None if data is None else data.tobytes()) for name, data in read_model(packed).metadata]
    assert kept == [("min_runtime_version", after), *metadata[1:]]
    assert convert(packed).model == packed


def test_a_file_without_a_version_gets_none() -> None:
    graph, *_ = dense_graph("main", 8, 4)
    model = Model([graph])
    run_pipeline(graph)
    raise_min_runtime_version(model)
    assert model.metadata == []

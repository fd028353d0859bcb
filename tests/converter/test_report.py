"""Reports as tables and as dicts."""

from __future__ import annotations

import json

from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import SAME, FloatGraph

from keras_bnn.converter import convert
from keras_bnn.converter.flatbuffer import read_model
from keras_bnn.converter.report import bytes_text, dims_text, table


def test_report(source: bytes) -> None:
    report = convert(source)
    assert [(op.kind, op.input_type, op.output_type, op.shape) for op in report.packed] == [
        ("BnnConv2D", "float32", "bits", (-1, 8, 8, 32)),
        ("BnnConv2D", "bits", "bits", (-1, 3, 3, 40)),
        ("BnnFullyConnected", "bits", "float32", (-1, 20)),
    ]
    dense = report.packed[2]
    assert (dense.bytes_before, dense.bytes_after) == (4 * (20 * 360 + 20), 4 * (20 * 9 * 2 + 2 * 20))
    left = {op.kind: op for op in report.left}
    assert set(left) == {"FULLY_CONNECTED"}
    assert "absolute values" in left["FULLY_CONNECTED"].reason
    assert report.unchanged == {"LESS": 1, "SELECT_V2": 1, "SOFTMAX": 1}
    normalization = {"MAX_POOL_2D": 1, "MUL": 1, "ADD": 1}
    flatten = {"SHAPE": 1, "STRIDED_SLICE": 1, "PACK": 1, "RESHAPE": 1}
    assert report.replaced == {**normalization, **flatten, "LESS": 2, "SELECT_V2": 2}
    assert report.advice == ()
    assert (report.reference_bytes, report.packed_bytes) == (len(source), len(report.model))


def test_every_op_is_reported(source: bytes) -> None:
    """What became of it, bits of input and output, bytes before and after, multiply-accumulates."""
    report = convert(source)
    ops = read_model(report.model).ops
    assert [op.kind for op in report.ops] == [op.kind for op in ops]
    outcomes = {op.kind: op.outcome for op in report.ops}
    assert outcomes == {
        **dict.fromkeys(("BnnConv2D", "BnnMaxPool2D", "BnnFullyConnected"), "packed"),
        "FULLY_CONNECTED": "left",
        **dict.fromkeys(report.unchanged, "unchanged"),
    }
    figures = [(op.input_bits, op.output_bits, op.macs, op.precision) for op in report.packed]
    assert figures == [
        (32, (1,), 8 * 8 * 32 * 27, "1x32"),
        (1, (1,), 3 * 3 * 40 * 128, "1x1"),
        (1, (32,), 20 * 360, "1x1"),
    ]
    (last,) = [op for op in report.ops if op.kind == "FULLY_CONNECTED"]
    assert (last.bytes_before, last.bytes_after, last.macs, last.data) == (400, 400, 100, "float32 -> float32")
    assert report.macs == {"1x1": 3 * 3 * 40 * 128 + 20 * 360, "1x32": 8 * 8 * 32 * 27, "32x32": 100}
    before = sum(op.bytes_before for op in report.packed)
    assert before == 4 * (32 * 27 + 32 + 40 * 128 + 40 + 20 * 360 + 20)


def test_packed_file_is_reported_as_it_is(source: bytes) -> None:
    report = convert(convert(source).model)
    assert "already packed" in str(report)
    assert all(op.bytes_before == op.bytes_after for op in report.ops)
    assert report.replaced == {}
    assert [op.outcome for op in report.packed] == ["packed"] * 3


def test_report_as_table(source: bytes) -> None:
    text = str(convert(source))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert f"{bytes_text(len(source))} -> " in lines[0]
    assert "times smaller" in lines[0]
    assert "Replaced by packed ops: 1 MAX_POOL_2D, 1 MUL, 1 ADD, 2 LESS, 2 SELECT_V2, 1 SHAPE" in text
    assert "Not binary, unchanged: 1 LESS, 1 SELECT_V2, 1 SOFTMAX." in text
    assert "53.3 k 1x1, 55.3 k 1x32, 100 32x32; 49.0% are" in text.replace("\n  ", " ")
    assert "use kernel_quantizer='ste_sign'" in text
    assert "exact float32" in text
    assert "16 of 16" in text


def test_report_as_dict(source: bytes) -> None:
    report = convert(source)
    as_dict = json.loads(json.dumps(report.to_dict()))
    assert as_dict["packed"][0]["kind"] == "BnnConv2D"
    assert as_dict["macs"] == report.macs
    assert [op["kind"] for op in as_dict["ops"]] == [op.kind for op in report.ops]
    assert as_dict["packed_bytes"] == report.packed_bytes
    assert as_dict["verification"]["exact"]["largest_difference"] == 0
    assert "model" not in as_dict


def test_texts() -> None:
    assert [bytes_text(count) for count in (0, 999, 1000, 21_480, 1_234_567)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "21.5 kB",
        "1.23 MB",
    ]
    assert [dims_text(dims) for dims in ((), (3,), (-1, 4, 4))] == ["scalar", "3", "?x4x4"]
    lines = table(("name", "value"), [("x" * 200, "y" * 60), ("short", "")])
    assert all(len(line) <= 100 for line in lines)
    assert lines[2].startswith("...x")


def test_op_that_takes_over_a_shortcut() -> None:
    """It has the convolution's name and bytes, though it gives the output of the sum."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 6, 32))
    weights = graph.kernel((32, 3, 3, 32))
    y = graph.conv(graph.sign(x), weights, graph.bias(32), padding=SAME)
    y.record.name = "net/block/convolution"
    total = graph.op("ADD", [x, y], x.dims, schema.AddOptionsT())
    z = graph.conv(graph.sign(total), graph.kernel((8, 1, 1, 32)))
    graph.outputs = [total, z]
    report = convert(graph.finish(total, z), verify=False)
    first = report.packed[0]
    assert (first.name, first.output_types, first.output_bits) == ("net/block", ("float32", "bits"), (32, 1))
    assert first.data == "bits -> float32 + bits"
    assert (first.bytes_before, first.bytes_after) == (4 * (weights.size + 32), weights.size // 8 + 4 * 2 * 32)
    assert report.replaced == {"LESS": 2, "SELECT_V2": 2, "ADD": 1}
    assert "bits -> float32+bits" in str(report)

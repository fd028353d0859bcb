"""Reports and inspections as tables and as dicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.float_graphs import FloatGraph

from keras_bnn.converter import convert, inspect
from keras_bnn.converter.report import bytes_text, dims_text, table


@pytest.fixture
def source() -> bytes:
    """A first layer, a max-pool before batch normalization, a sign with a float user, a real-valued last layer."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 10, 10, 3))
    y = graph.pool(graph.conv(x, graph.kernel((32, 3, 3, 3), 1.0)))
    y = graph.shift(graph.scale(y, graph.bias(32)), graph.bias(32))
    y = graph.conv(graph.sign(y), graph.kernel((40, 2, 2, 32)), graph.bias(40))
    y = graph.dense(graph.sign(graph.flatten(y)), graph.kernel((20, 360)), graph.bias(20))
    real = graph.rng.normal(size=(5, 20)).astype("f")
    return graph.finish(graph.op("SOFTMAX", [graph.dense(graph.sign(y), real)], (-1, 5)))


def test_report(source: bytes) -> None:
    report = convert(source)
    assert [(op.kind, op.input_type, op.output_type, op.shape) for op in report.packed] == [
        ("BnnConv2D", "float32", "float32", (-1, 8, 8, 32)),
        ("BnnConv2D", "bits", "bits", (-1, 3, 3, 40)),
        ("BnnFullyConnected", "bits", "float32", (-1, 20)),
    ]
    dense = report.packed[2]
    assert (dense.bytes_before, dense.bytes_after) == (4 * (20 * 360 + 20), 4 * (20 * 9 * 2 + 2 * 20))
    left = {op.kind: op for op in report.left}
    assert set(left) == {"MUL", "FULLY_CONNECTED"}
    assert "max-pool stands before" in left["MUL"].reason
    assert "absolute values" in left["FULLY_CONNECTED"].reason
    assert report.unchanged == {"MAX_POOL_2D": 1, "ADD": 1, "LESS": 1, "SELECT_V2": 1, "SOFTMAX": 1}
    assert (report.reference_bytes, report.packed_bytes) == (len(source), len(report.model))


def test_report_as_table(source: bytes) -> None:
    text = str(convert(source))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert f"{bytes_text(len(source))} -> " in lines[0]
    assert "times smaller" in lines[0]
    assert "Not binary, unchanged: 1 MAX_POOL_2D, 1 ADD, 1 LESS, 1 SELECT_V2, 1 SOFTMAX." in text
    assert "put MaxPooling2D behind BatchNormalization." in text
    assert "exact float32" in text
    assert "16 of 16" in text


def test_report_as_dict(source: bytes) -> None:
    report = convert(source)
    as_dict = json.loads(json.dumps(report.to_dict()))
    assert as_dict["packed"][0]["kind"] == "BnnConv2D"
    assert as_dict["packed_bytes"] == report.packed_bytes
    assert as_dict["verification"]["exact"]["largest_difference"] == 0
    assert "model" not in as_dict


def test_inspection_of_both_files(source: bytes, tmp_path: Path) -> None:
    unpacked, packed = tmp_path / "unpacked.tflite", tmp_path / "packed.tflite"
    convert(source, packed, reference_path=unpacked, verify=False)
    before, after = inspect(unpacked), inspect(str(packed))
    assert (before.packed_ops, before.packable_ops) == (0, 3)
    assert (after.packed_ops, after.packable_ops) == (3, 0)
    (reason,) = [op.reason for op in before.ops if op.reason]
    assert "absolute values" in reason
    bits = [(op.kind, op.shape, op.output_bits, op.weight_bits) for op in after.ops if op.kind.startswith("Bnn")]
    assert bits == [
        ("BnnConv2D", (-1, 8, 8, 32), 32, 1),
        ("BnnQuantize", (-1, 4, 4, 32), 1, None),
        ("BnnConv2D", (-1, 3, 3, 40), 1, 1),
        ("BnnFullyConnected", (-1, 20), 32, 1),
    ]
    assert after.file_bytes == packed.stat().st_size
    assert "3 ops have a binary kernel and could be packed" in str(before)
    for inspection in (before, after):
        assert max(map(len, str(inspection).splitlines())) <= 100 + len(str(tmp_path))
        assert json.loads(json.dumps(inspection.to_dict()))["file_bytes"] == inspection.file_bytes


def test_inspection_of_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.tflite"):
        inspect(tmp_path / "nowhere.tflite")
    path = tmp_path / "text.tflite"
    path.write_text("text")
    with pytest.raises(ValueError, match=r"not a \.tflite file"):
        inspect(path)


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

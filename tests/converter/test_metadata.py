"""TFLite's model metadata: a buffer that describes the model, and the files that it names, in an archive behind it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.float_graphs import FloatGraph, random_input, run_file

from keras_bnn.converter import convert
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Model, Signature
from keras_bnn.runtime import Interpreter

LABELS = "zero\none\ntwo\n"
DESCRIPTION = b"\x1c\x00\x00\x00M001 this stands for the tables of metadata_schema.fbs, which nobody here reads"


def described_file() -> bytes:
    """A float file of two inputs and two outputs with all that metadata brings."""
    graph = FloatGraph()
    inputs = [graph.add_input(name, (1, 40)) for name in ("second_by_name", "first_by_name")]
    signs = [graph.sign(x) for x in inputs]
    outputs = [graph.dense(signs[i], graph.kernel((3, 40)), graph.bias(3)) for i in (1, 0)]
    graph.outputs = outputs
    signature = Signature("serving_default", graph, [("a", inputs[1]), ("b", inputs[0])], [("y", outputs[0])])
    metadata = [("min_runtime_version", np.frombuffer(b"1.5.0".ljust(16, b"\0"), np.uint8))]
    metadata.append(("TFLITE_METADATA", np.frombuffer(DESCRIPTION, np.uint8)))
    model = Model([graph], [signature], metadata)
    model.record.description = "digits, or something like them"
    file = io.BytesIO()
    file.write(write_model(model))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("labels.txt", (2021, 3, 4, 5, 6, 8)), LABELS)
        archive.writestr("vocabulary/ä.txt", "a\n" * 1000, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def attached(file: bytes) -> list[tuple[Any, ...]]:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.testzip() is None
        return [
            (entry.filename, entry.date_time, entry.compress_type, archive.read(entry)) for entry in archive.infolist()
        ]


def check_kept(packed: bytes, source: bytes) -> None:
    before, after = read_model(source), read_model(packed)
    assert attached(packed) == attached(source)
    assert dict((name, data.tobytes()) for name, data in after.metadata)["TFLITE_METADATA"] == DESCRIPTION
    assert after.record.description == b"digits, or something like them"
    for role in ("inputs", "outputs"):  # metadata describes them by their place
        names = [tensor.name for tensor in getattr(after.graphs[0], role)]
        assert names == [tensor.name for tensor in getattr(before.graphs[0], role)]
    (signature,) = after.signatures
    assert [(name, tensor.name) for name, tensor in signature.inputs] == [
        ("a", "first_by_name"),
        ("b", "second_by_name"),
    ]


def test_a_packed_file_keeps_it(tmp_path: Path) -> None:
    source = described_file()
    report = convert(source, tmp_path / "packed.tflite")
    assert len(report.packed) >= 2
    packed = (tmp_path / "packed.tflite").read_bytes()
    check_kept(packed, source)
    assert dict(read_model(packed).metadata)["min_runtime_version"].tobytes() == b"2.14.0".ljust(16, b"\0")
    values = [random_input((1, 40)), random_input((1, 40))]
    outputs = Interpreter(packed).predict(values)
    for y, expected in zip(outputs, run_file(source, values), strict=True):
        np.testing.assert_array_equal(y, expected)


def test_an_int8_file_keeps_it() -> None:
    graph_source = described_file()
    rng = np.random.default_rng(0)
    samples = {name: rng.standard_normal((20, 1, 40)).astype("f")[:, 0] for name in ("a", "b")}
    report = convert(graph_source, representative_dataset=samples, inference_input_type="int8")
    check_kept(report.model, graph_source)


def test_the_archive_counts_from_the_start_of_the_file() -> None:
    """Readers that take the offsets as they are find it, such as those of Android."""
    packed = convert(described_file(), verify=False).model
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert [packed[entry.header_offset :][:4] for entry in archive.infolist()] == [b"PK\x03\x04"] * 2
    end = packed.rindex(b"PK\x05\x06")
    directory = int.from_bytes(packed[end + 16 : end + 20], "little")
    assert packed[directory:][:4] == b"PK\x01\x02"


def test_writing_twice_gives_the_same_bytes() -> None:
    model = read_model(described_file())
    assert write_model(model) == write_model(model) == write_model(read_model(write_model(model)))


def test_a_damaged_archive_is_refused() -> None:
    file = bytearray(described_file())
    file[file.index(LABELS.encode())] ^= 1
    with pytest.raises(ValueError, match=r"such as its labels, are damaged \(Bad CRC-32"):
        convert(bytes(file))


def test_bytes_that_look_like_the_end_of_an_archive_are_none() -> None:
    """A constant may hold any bytes."""
    graph = FloatGraph()
    x = graph.add_input("x", (1, 40))
    y = graph.dense(graph.sign(x), graph.kernel((30, 40)), graph.bias(30))
    source = graph.finish(graph.shift(y, np.frombuffer(b"PK\5\6".ljust(120, b"\1"), np.float32)))
    assert b"PK\5\6" in source
    assert read_model(source).attachments == []
    assert convert(source).packed

"""Reading and writing keeps what it does not understand, and refuses what is no .tflite file."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from support.float_graphs import FloatGraph, random_input, run_file

from keras_bnn.converter import convert, flatbuffer
from keras_bnn.converter.flatbuffer import CorruptFileError, read_model, write_model
from keras_bnn.converter.graph import Graph, Model, Signature


def example() -> Model:
    """Two subgraphs, a signature, metadata, quantization, a foreign custom op's options, a free dimension."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 6, 5, 3))
    y = graph.conv(graph.sign(x), graph.kernel((4, 3, 2, 3)), graph.bias(4))
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [0.5], [3]
    quantized = graph.add_tensor("quantized", y.dims, np.int8, quantization=quantization)
    graph.add_op("QUANTIZE", [y], [quantized], schema.QuantizeOptionsT())
    graph.outputs = [quantized, y]
    second = Graph("second")
    z = second.add_input("z", (2,))
    foreign = second.add_tensor("foreign", (2,))
    second.add_op("SomebodysOp", [z, None], [foreign], np.frombuffer(b"raw options", np.uint8))
    second.outputs = [foreign]
    signature = Signature("serving_default", graph, [("image", x)], [("scores", y), ("quantized", quantized)])
    model = Model([graph, second], [signature], [("min_runtime_version", np.frombuffer(b"1.14.0", np.uint8))])
    model.record.description = "an example"
    return model


def test_round_trip_keeps_everything() -> None:
    written = write_model(example())
    model = read_model(written)
    assert write_model(model) == written
    graph, second = model.graphs
    assert (graph.name, second.name) == ("main", "second")
    assert [tensor.name for tensor in graph.tensors] == [tensor.name for tensor in example().graphs[0].tensors]
    assert graph.inputs[0].dims == (-1, 6, 5, 3)
    quantization = graph.tensor("quantized").record.quantization
    assert (list(quantization.scale), list(quantization.zeroPoint)) == ([0.5], [3])
    (foreign,) = second.ops
    assert (foreign.kind, bytes(foreign.options), foreign.inputs[1]) == ("SomebodysOp", b"raw options", None)
    assert model.record.description == b"an example"
    (signature,) = model.signatures
    assert signature.key == "serving_default"
    assert signature.inputs == [("image", graph.inputs[0])]
    assert signature.outputs == [("scores", graph.outputs[1]), ("quantized", graph.outputs[0])]
    ((name, data),) = model.metadata
    assert name == "min_runtime_version"
    assert data is not None
    assert data.tobytes() == b"1.14.0"


def test_the_runtime_reads_it() -> None:
    model = example()
    model.graphs.pop()
    interpreter = Interpreter(model_content=write_model(model))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["quantized", "scores"]}
    }
    runner = interpreter.get_signature_runner()
    assert runner.get_input_details()["image"]["shape_signature"].tolist() == [-1, 6, 5, 3]


def test_writing_is_deterministic() -> None:
    assert write_model(example()) == write_model(example())


_CONVERTED = """
import hashlib, sys
from keras_bnn.converter import convert

report = convert(sys.argv[1], verify=False)
print(hashlib.sha256(report.model).hexdigest(), len(report.packed))
"""


def test_the_same_file_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Hashes of names and objects differ from process to process, and no order may follow them."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 9, 9, 5))
    sign = graph.sign(x)
    branches = [graph.conv(sign, graph.kernel((40, 3, 3, 5)), graph.bias(40)) for _ in range(3)]
    y = graph.op("ADD", [graph.scale(branches[0], graph.bias(40)), branches[1]], branches[0].dims, schema.AddOptionsT())
    y = graph.conv(graph.pool(graph.sign(y)), graph.kernel((33, 2, 2, 40)), graph.bias(33))
    y = graph.dense(graph.flatten(graph.sign(y)), graph.kernel((7, 2 * 2 * 33)))
    (tmp_path / "float.tflite").write_bytes(graph.finish(y, branches[2]))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _CONVERTED, str(tmp_path / "float.tflite")],
            cwd=tmp_path,  # a checkout as the current folder would hide the installed package
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    (output,) = outputs
    assert output.split()[1] == "5"


def constant_offsets(data: bytes) -> list[int]:
    """Where in a file the constants lie."""
    record = schema.Model.GetRootAs(data, 0)
    offsets = []
    for index in range(record.BuffersLength()):
        table = record.Buffers(index)._tab
        field = table.Offset(4)  # Buffer.data is the table's first field
        if field:
            offsets.append(table.Vector(field))
    return offsets


def test_equal_constants_share_one_buffer() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 4))
    values = np.arange(4, dtype=np.float32)
    y = graph.scale(graph.scale(x, values), values)
    y = graph.shift(graph.shift(y, values.view(np.int32).view(np.float32)), np.arange(1000, 1004).astype("f"))
    data = graph.finish(y)
    assert len(constant_offsets(data)) == 2
    assert data.count(values.tobytes()) == 1


def test_equal_shapes_are_written_once() -> None:
    dims = (1, 4321, 17, 4321)
    graph = FloatGraph()
    x = graph.add_input("x", dims)
    for _ in range(3):
        x = graph.op("ABS", [x], dims, schema.AbsOptionsT())
    data = graph.finish(x)
    assert data.count(np.array(dims, np.int32).tobytes()) == 1
    assert {tensor.dims for tensor in read_model(data).graphs[0].tensors} == {dims}


@pytest.mark.parametrize("sizes", [(1, 2, 3), (3, 16, 64, 65, 1000), (63, 1, 4097, 128)])
def test_constants_are_aligned(sizes: tuple[int, ...]) -> None:
    """To a cache line of the file, also where names and other constants take any number of bytes."""
    graph = FloatGraph()
    graph.add_input("x" * sizes[-1], (1, 8))
    outputs, contents = [], []
    for size in sizes:
        values = graph.rng.integers(-100, 100, size).astype(np.int8)
        output = graph.add_tensor(f"{size}" * size, (size,), np.int8)
        graph.add_op("ABS", [graph.add_constant("y" * size, values), None], [output], schema.AbsOptionsT())
        outputs.append(output)
        contents.append(values.tobytes())
    data = graph.finish(*outputs)
    offsets = constant_offsets(data)
    assert [data[offset : offset + len(content)] for offset, content in zip(offsets, contents, strict=True)] == contents
    assert [offset % 64 for offset in offsets] == [0] * len(sizes)


def test_files_beyond_the_format_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (1, 40))
    source = graph.finish(graph.dense(graph.sign(x), graph.kernel((500, 40)), graph.bias(500)))
    packed = convert(source, verify=False).model
    monkeypatch.setattr(flatbuffer, "LARGEST_FILE", len(packed))
    path = tmp_path / "packed.tflite"
    assert convert(source, path, verify=False).model == packed
    path.unlink()
    for limit, reason in ((len(packed) - 1, "structure"), (3000, "constants")):
        monkeypatch.setattr(flatbuffer, "LARGEST_FILE", limit)
        with pytest.raises(ValueError, match=rf"a \.tflite file holds {limit} bytes at most: split the model\."):
            convert(source, path, verify=False)
        assert list(tmp_path.iterdir()) == [], reason


def test_two_gigabytes_are_refused_before_they_are_copied() -> None:
    """The zeros are never written to, so that they take no memory; a copy would."""
    graph = FloatGraph()
    x = graph.add_input("x", (1, 4))
    y = graph.op("SomebodysOp", [x, graph.add_constant("large", np.int8(0))], (1, 4))
    graph.outputs = [y]
    graph.tensor("large").buffer = np.zeros(2**31, np.uint8)
    tracemalloc.start()
    with pytest.raises(
        ValueError, match=r"^The model has 2147483648 bytes of constants or more, and a \.tflite file hold"
    ):
        write_model(Model([graph]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_buffers_behind_the_flatbuffer_are_read() -> None:
    """Large models keep them there: Buffer.offset and Buffer.size count from the start of the file."""
    graph = FloatGraph()
    x = graph.add_input("x", (2, 5))
    y = graph.dense(graph.sign(x), graph.kernel((300, 5)), graph.bias(300))
    inside = graph.finish(y)
    record = schema.ModelT.InitFromObj(schema.Model.GetRootAs(inside, 0))
    large = [buffer for buffer in record.buffers if buffer.data is not None and len(buffer.data) > 1000]
    contents = [buffer.data.tobytes() for buffer in large]
    for buffer in large:
        buffer.data, buffer.offset, buffer.size = None, 2**31, 2**31  # a length of offsets that the size settles
    length = len(_pack(record))
    offset = length
    for buffer, content in zip(large, contents, strict=True):
        buffer.offset, buffer.size = offset, len(content)
        offset += len(content)
    outside = _pack(record) + b"".join(contents)
    assert len(_pack(record)) == length
    assert large
    values = [random_input(x.dims)]
    np.testing.assert_array_equal(run_file(outside, values)[0], run_file(inside, values)[0])
    rewritten = write_model(read_model(outside))
    np.testing.assert_array_equal(run_file(rewritten, values)[0], run_file(inside, values)[0])
    assert rewritten == write_model(read_model(inside))


def _pack(record: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(record.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_cut_off_files_are_refused() -> None:
    data = write_model(example())
    for length in [*range(64), *range(64, len(data), 97)]:
        with pytest.raises(CorruptFileError):
            read_model(data[:length])


def test_damaged_files_are_refused_or_read() -> None:
    """No byte makes reading raise anything but a ValueError, or hang."""
    data = write_model(example())
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        for position in rng.integers(8, len(data), rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        try:
            read_model(bytes(damaged))
        except ValueError:
            refused += 1
    assert 20 < refused < 400


@pytest.mark.parametrize("damage", ["options", "inputs", "kernel", "image"])
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_broken_convolutions_are_refused(kind: str, damage: str) -> None:
    """The schema allows them, and passes read them."""
    graph = FloatGraph()
    x = graph.add_input("x", (1, 6, 5, 4))
    options = {
        "CONV_2D": schema.Conv2DOptionsT,
        "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
        "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
    }[kind]()
    options.strideH = options.strideW = 1
    kernel = graph.constant(graph.kernel((1 if kind == "DEPTHWISE_CONV_2D" else 4, 3, 3, 4), 1.0))
    signs = graph.sign(x)
    inputs = [graph.integers([1, 6, 5, 4]), kernel, signs] if kind == "TRANSPOSE_CONV" else [signs, kernel]
    graph.outputs = [graph.op(kind, inputs, x.dims, options)]
    whole = write_model(Model([graph]))
    assert read_model(whole).graphs[0].find(kind)
    if damage == "options":
        graph.ops[-1].options = None
    elif damage == "inputs":
        graph.set_input(graph.ops[-1], inputs.index(signs), None)
    else:
        (kernel if damage == "kernel" else signs).record.shape = [36, 4] if damage == "kernel" else [120]
    with pytest.raises(CorruptFileError):
        read_model(write_model(Model([graph])))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip file", b"\x00" * 100])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match=r"not a \.tflite file"):
        read_model(data)

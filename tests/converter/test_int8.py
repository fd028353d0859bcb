"""`convert(representative_dataset=...)`: int8 in all that is not binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from format_reference import run_packed
from support.float_graphs import RELU, SAME, FloatGraph, kinds, only, run_file
from support.int8_graphs import Int8Graph, random_int8

from keras_bnn import runtime
from keras_bnn.converter import convert
from keras_bnn.converter.conversion import _rewritten_names
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.graph import Graph, Model, Signature
from keras_bnn.converter.int8 import quantize_to_int8
from keras_bnn.converter.quantization import per_tensor

pytest.importorskip("ai_edge_quantizer")

SAMPLES = np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype(np.float32)


def mixed(*, has_signature: bool = True) -> bytes:
    """Float convolution, two binary ones with a pool between, float convolution, float dense layer."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 3))
    y = graph.conv(x, graph.rng.normal(size=(16, 3, 3, 3)).astype(np.float32), graph.bias(16), padding=SAME)
    y = graph.conv(graph.sign(y), graph.kernel((32, 3, 3, 16)), graph.bias(32) * 8, padding=SAME)
    y = graph.sign(graph.pool(y))
    y = graph.conv(y, graph.kernel((8, 3, 3, 32)), graph.bias(8) * 8, padding=SAME, activation=RELU)
    y = graph.conv(y, graph.rng.normal(size=(8, 1, 1, 8)).astype(np.float32), activation=RELU)
    y = graph.dense(graph.reshape(y, (-1, 128)), graph.rng.normal(size=(5, 128)).astype(np.float32))
    if not has_signature:
        return graph.finish(y)
    graph.outputs = [y]
    graph.pinned = {x, y}
    return write_model(Model([graph], [Signature("serving_default", graph, [("image", x)], [("scores", y)])]))


def binary(outputs: int = 6) -> bytes:
    """A real-valued first layer and a dense layer, both binary: nothing is left to quantize but input and output."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 8, 8, 3))
    y = graph.conv(x, graph.kernel((32, 3, 3, 3)), graph.bias(32))
    y = graph.dense(graph.sign(graph.flatten(y)), graph.kernel((outputs, 1152)), graph.bias(outputs))
    return graph.finish(y)


@pytest.fixture(scope="module")
def source() -> bytes:
    return mixed()


def packed_graph(model: bytes) -> Graph:
    return read_model(model).graphs[0]


class TestInt8:
    """What the quantized file holds and computes."""

    def test_all_but_binary_ops_is_int8(self, source: bytes) -> None:
        report = convert(source, representative_dataset=SAMPLES)
        graph = packed_graph(report.model)
        binary_kinds = ["BnnQuantize", "BnnConv2D", "BnnMaxPool2D", "BnnConv2D"]
        rest = ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "DEQUANTIZE"]
        assert kinds(graph) == ["QUANTIZE", "CONV_2D", *binary_kinds, *rest]
        assert {op.output.type_name for op in graph.ops if op.kind in ("CONV_2D", "FULLY_CONNECTED")} == {"int8"}
        quantize = only(graph, "BnnQuantize").input(0)
        assert quantize is not None
        assert quantize.type_name == "int8"
        assert [op.output_type for op in report.packed] == ["bits", "int8"]
        assert report.reference == source

    def test_packed_file_equals_the_unpacked_one(self, source: bytes) -> None:
        report = convert(source, representative_dataset=SAMPLES)
        assert report.verification is not None
        assert report.verification.exact is not None
        assert report.verification.exact.equal_samples == 16
        unpacked = quantize_to_int8(source, _rewritten_names(source), SAMPLES)
        (expected,) = run_file(exact_reference(unpacked), [SAMPLES])
        result = runtime.Interpreter(report.model).predict(SAMPLES)
        graph = packed_graph(report.model)
        step = per_tensor(only(graph, "DEQUANTIZE").input(0))
        assert step is not None
        assert np.abs(result - expected).max() <= 1.5 * step[0]  # a tie of an int8 output may round to either side
        assert len(np.unique(result)) > 50

    def test_is_close_to_float(self, source: bytes) -> None:
        """Signs of sums near 0 turn over, so single outputs differ; as a whole they have to agree."""
        quantized, plain = (
            runtime.Interpreter(convert(source, representative_dataset=data).model).predict(SAMPLES)
            for data in (SAMPLES, None)
        )
        assert np.corrcoef(quantized.reshape(-1), plain.reshape(-1))[0, 1] > 0.9

    @pytest.mark.parametrize(
        ("input_type", "output_type"),
        [("float32", "int8"), ("int8", "uint8"), ("uint8", "float32"), ("uint8", "uint8")],
    )
    def test_types_of_inputs_and_outputs(self, source: bytes, input_type: str, output_type: str) -> None:
        report = convert(
            source,
            representative_dataset=SAMPLES,
            inference_input_type=input_type,
            inference_output_type=output_type,
        )
        interpreter = runtime.Interpreter(report.model)
        (x,), (y,) = interpreter.inputs, interpreter.outputs
        assert (x.name, x.dtype, y.name, y.dtype) == ("image", np.dtype(input_type), "scores", np.dtype(output_type))
        plain = runtime.Interpreter(convert(source, representative_dataset=SAMPLES).model).predict(SAMPLES)
        result = interpreter.predict(_quantized(SAMPLES, x))
        if y.quantization is not None:
            result = (result.astype(np.float64) - y.quantization[1]) * y.quantization[0]
        np.testing.assert_allclose(result, plain, rtol=1e-5)

    @pytest.mark.parametrize("form", ["less", "cast", "larq"])
    def test_sign_that_stays_is_exact(self, form: str) -> None:
        """Padding before a padded convolution has no form on bits; +1 and -1 in int8 steps would not be +1 and -1."""
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 8, 8, 3))
        real = graph.conv(x, graph.rng.normal(size=(16, 3, 3, 3)).astype(np.float32), padding=SAME)
        padded = graph.pad(graph.sign(real, form), [(0, 0), (1, 0), (0, 0), (0, 0)])
        y = graph.conv(padded, graph.kernel((8, 3, 3, 16)), graph.bias(8), padding=SAME)
        packed = packed_graph(convert(graph.finish(y), representative_dataset=SAMPLES).model)
        assert "PAD" in "".join(kinds(packed))
        signs = only(packed, "BnnConv2D").input(0)
        assert signs is not None
        assert signs.type_name == "float32"
        assert kinds(packed).count("QUANTIZE") == 1  # of the input

    def test_file_without_signature(self) -> None:
        report = convert(mixed(has_signature=False), representative_dataset=SAMPLES, inference_input_type="uint8")
        assert [tensor.name for tensor in packed_graph(report.model).inputs] == ["x"]
        assert report.verification is not None
        assert report.verification.exact is not None
        assert report.verification.exact.equal_samples == 16

    def test_names_that_begin_alike(self) -> None:
        """A rule for one tensor is none for another whose name it begins."""
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 8, 8, 3))
        real = graph.conv(x, graph.rng.normal(size=(16, 3, 3, 3)).astype(np.float32))
        y = graph.conv(graph.sign(real), graph.kernel((8, 1, 1, 16)))
        last = graph.conv(y, graph.rng.normal(size=(8, 1, 1, 8)).astype(np.float32))
        y.record.name, real.record.name, last.record.name = "a", "a;b", "a;"
        packed = packed_graph(convert(graph.finish(last), representative_dataset=SAMPLES).model)
        assert kinds(packed) == ["QUANTIZE", "CONV_2D", "BnnQuantize", "BnnConv2D", "CONV_2D", "DEQUANTIZE"]


class TestBinaryModel:
    """A model of binary layers alone."""

    def test_float_inputs_and_outputs_change_nothing(self) -> None:
        assert convert(binary(), representative_dataset=SAMPLES).model == convert(binary()).model

    @pytest.mark.parametrize("type_name", ["int8", "uint8"])
    def test_reads_and_writes_integers(self, type_name: str) -> None:
        """From numpy alone: steps of the input, +-1 times them, signs, +-1 times signs, steps of the output."""
        source = binary()
        report = convert(
            source, representative_dataset=SAMPLES, inference_input_type=type_name, inference_output_type="int8"
        )
        graph = packed_graph(report.model)
        assert kinds(graph) == ["BnnConv2D", "BnnFullyConnected"]
        (x,), (y,) = runtime.Interpreter(report.model).inputs, runtime.Interpreter(report.model).outputs
        steps = _quantized(SAMPLES, x)
        (result,) = run_packed(report.model, [steps])
        np.testing.assert_array_equal(runtime.Interpreter(report.model).predict(steps), result)
        assert x.quantization is not None
        assert y.quantization is not None
        conv, dense = read_model(source).graphs[0].find("CONV_2D") + read_model(source).graphs[0].find(
            "FULLY_CONNECTED"
        )
        (weights, bias), (kernel, last) = ([tensor.values for tensor in op.inputs[1:]] for op in (conv, dense))
        windows = np.lib.stride_tricks.sliding_window_view(steps.astype(float) - x.quantization[1], (3, 3), (1, 2))
        sums = np.einsum("nyxcij,oijc->nyxo", windows, weights) * x.quantization[0] + bias
        real = np.where(sums < 0, -1, 1).reshape(len(steps), -1) @ kernel.T + last
        expected = np.clip(np.round(real / y.quantization[0]) + y.quantization[1], -128, 127)
        assert np.abs(result - expected).max() <= 1  # a quotient next to a tie
        assert (result == expected).mean() > 0.99

    def test_verification(self) -> None:
        verification = convert(binary(), representative_dataset=SAMPLES, inference_input_type="int8").verification
        assert verification is not None
        assert verification.exact is not None
        assert verification.exact.equal_argmax == 1


class TestQuantizedSource:
    """.tflite files that are quantized already."""

    def test_full_int8(self) -> None:
        graph = Int8Graph()
        x = graph.int8_input((-1, 6, 5, 35), 0.03, 2)
        sums = graph.int8_conv(graph.int8_sign(x), graph.kernel((40, 3, 2, 35)), graph.bias(40), scale=0.7)
        y = graph.int8_conv(graph.int8_sign(sums), graph.kernel((4, 2, 2, 40)), graph.bias(4), scale=0.7)
        report = convert(graph.finish(y))
        assert [(op.input_type, op.output_type) for op in report.packed] == [("bits", "bits"), ("bits", "int8")]
        assert report.verification is not None
        assert report.verification.exact is not None
        assert report.verification.exact.equal_samples == 16
        values = random_int8((3, 6, 5, 35))
        result = runtime.Interpreter(report.model).predict(values)
        np.testing.assert_array_equal(result, run_packed(report.model, [values])[0])

    def test_buffers_outside_the_flatbuffer(self, source: bytes) -> None:
        """Large files keep constants behind the flatbuffer, as ai-edge-quantizer writes them."""
        quantized = quantize_to_int8(source, _rewritten_names(source), SAMPLES)
        expected = convert(quantized)
        outside = _with_buffers_outside(quantized)
        assert convert(outside).model == expected.model
        assert outside != quantized

    def test_is_not_quantized_again(self, source: bytes) -> None:
        quantized = quantize_to_int8(source, _rewritten_names(source), SAMPLES)
        with pytest.raises(ValueError, match="quantized already: pass a float32 one"):
            convert(quantized, representative_dataset=SAMPLES)

    def test_packed_file_is_not_quantized(self, source: bytes) -> None:
        with pytest.raises(ValueError, match=r"holds the op Bnn.*, which the calibration cannot run"):
            convert(convert(source).model, representative_dataset=SAMPLES)


class TestWrongArguments:
    """One sentence for each."""

    @pytest.mark.parametrize("side", ["input", "output"])
    def test_type_without_data(self, source: bytes, side: str) -> None:
        arguments: dict[str, Any] = {f"inference_{side}_type": "int8"}
        with pytest.raises(ValueError, match=f"inference_{side}_type is 'int8', which needs calibration"):
            convert(source, **arguments)

    def test_unknown_type(self, source: bytes) -> None:
        with pytest.raises(ValueError, match="'int4': pass one of float32, int8, uint8"):
            convert(source, representative_dataset=SAMPLES, inference_input_type="int4")

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ([], "holds no sample"),
            ({}, "holds no sample"),
            (lambda: None, "is None: pass an array"),
            (5, "is 5: pass an array"),
            ("x.npy", "is 'x.npy': pass an array"),
            ([SAMPLES[:1].astype("U")], "Sample 0 of representative_dataset is <U32, not numbers: pass float32"),
            ([{1: SAMPLES[:1], "image": SAMPLES[:1]}], "is named 1, image"),
            (SAMPLES[:, :4], "the shape 1x4x8x3, and the input 'image' expects \\?x8x8x3"),
            (lambda: [SAMPLES[0]], "the shape 8x8x3"),
            ([[SAMPLES[:1], SAMPLES[:1]]], "holds 2 arrays, and the model has 1 inputs: pass one for each of image"),
            ([{"picture": SAMPLES[:1]}], "is named picture, and the model's inputs image"),
            ({"image": SAMPLES, "other": SAMPLES[:3]}, "holds 40 of 'image', 3 of 'other'"),
        ],
    )
    def test_data(self, source: bytes, data: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            convert(source, representative_dataset=data)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    def test_numbers_that_have_no_range(self, source: bytes, value: float) -> None:
        samples = SAMPLES.astype(np.float64)
        samples[3, 1, 2, 0] = value
        message = "Sample 3 of representative_dataset holds NaN or infinity in the input 'image': pass finite numbers"
        with pytest.raises(ValueError, match=message):
            convert(source, representative_dataset=samples, verify=False)

    def test_float_model_without_binary_op(self) -> None:
        graph = FloatGraph()
        x = graph.add_input("x", (-1, 8))
        source = graph.finish(graph.dense(x, graph.rng.normal(size=(4, 8)).astype(np.float32)))
        with pytest.raises(ValueError, match="holds no binary op"):
            convert(source, representative_dataset=SAMPLES)

    def test_without_ai_edge_quantizer(self, source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "ai_edge_quantizer", None)
        with pytest.raises(ImportError, match=r"pip install 'keras-bnn\[int8\]'"):
            convert(source, representative_dataset=SAMPLES)


@pytest.mark.parametrize(
    "data",
    [
        lambda: ([SAMPLES[index : index + 1]] for index in range(40)),
        [SAMPLES[index : index + 1] for index in range(40)],
        {"image": SAMPLES},
        lambda: SAMPLES,
        [{"image": SAMPLES[index : index + 1].astype(np.float64)} for index in range(40)],
    ],
    ids=["function of lists", "list of arrays", "dict of arrays", "function of an array", "list of dicts"],
)
def test_forms_of_representative_data(source: bytes, data: Any) -> None:
    names = _rewritten_names(source)
    assert quantize_to_int8(source, names, data) == quantize_to_int8(source, names, SAMPLES)


def _quantized(x: np.ndarray, spec: runtime.interpreter.TensorSpec) -> np.ndarray:
    if spec.quantization is None:
        return x
    scale, zero_point = spec.quantization
    limits = np.iinfo(spec.dtype)
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(spec.dtype)


def _with_buffers_outside(model: bytes) -> bytes:
    """Moves the constants behind the flatbuffer, at multiples of 16."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    record = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    datas = [None if buffer.data is None else bytes(buffer.data) for buffer in record.buffers]
    offset = 0
    for _ in range(2):  # once for the length of the flatbuffer, once for the offsets behind it
        end = offset
        for buffer, data in zip(record.buffers, datas, strict=True):
            if data:
                buffer.data, buffer.offset, buffer.size = None, max(end, 2), len(data)
                end += -(-len(data) // 16) * 16
        builder = flatbuffers.Builder(1024)
        builder.Finish(record.Pack(builder), b"TFL3")
        flat = bytes(builder.Output())
        offset = -(-len(flat) // 16) * 16
    chunks = [flat.ljust(offset, b"\0")]
    chunks += [data.ljust(-(-len(data) // 16) * 16, b"\0") for data in datas if data]
    return b"".join(chunks)

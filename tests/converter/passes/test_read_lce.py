"""Files of Larq Compute Engine give the same outputs after conversion, bit for bit where float32 does not round."""

from __future__ import annotations

import format_reference
import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import given, settings
from hypothesis import strategies as st
from support.float_graphs import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    kinds,
    only,
    random_input,
    refusals,
    rewrite,
    run_file,
)
from support.lce_graphs import RandomLceGraph, quantization, run_lce

from keras_bnn import runtime
from keras_bnn.converter import convert
from keras_bnn.converter.graph import Graph, Tensor

INT32 = np.iinfo(np.int32)


def compare(graph: RandomLceGraph, y: Tensor, *inputs: np.ndarray, on_runtime: bool = True) -> tuple[Graph, np.ndarray]:
    """Converts the graph; returns the packed one and its output, which is that of the file of origin."""
    source = graph.finish(y)
    packed, result = rewrite(source)
    (expected,) = run_lce(source, inputs)
    (output,) = format_reference.run_packed(packed, inputs)
    np.testing.assert_array_equal(output, expected)
    if on_runtime:
        np.testing.assert_array_equal(run_file(packed, inputs, [runtime.load_delegate()])[0], expected)
    return result, output


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_convolution(data: st.DataObject) -> None:
    draw = data.draw
    graph = RandomLceGraph(draw(st.integers(0, 2**32 - 1)))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = draw(st.integers(1, 3)) * 32 * groups if groups > 1 else draw(st.integers(1, 100))
    outputs = groups * draw(st.integers(1, 20))
    kernel, stride, dilation = (draw(st.tuples(*[st.integers(1, last)] * 2)) for last in (3, 3, 2))
    padding, pad_values = draw(st.sampled_from([SAME, VALID])), draw(st.sampled_from([0, 1]))
    if padding == SAME and pad_values == 0:
        channels += channels % 2  # Larq Compute Engine counts half of the channels of a pixel outside the image
    x = graph.add_input("x", (2, draw(st.integers(5, 8)), draw(st.integers(5, 8)), channels))
    parameters: dict[str, np.ndarray] = {}
    if draw(st.booleans()):
        products = kernel[0] * kernel[1] * channels // groups
        near = graph.rng.integers(products // 2 - 4, products // 2 + 5, outputs)
        beyond = graph.rng.choice([INT32.min, -1, 0, products - 1, products, INT32.max], outputs)
        is_near = graph.rng.random(outputs) < 0.6
        parameters["thresholds"] = np.where(is_near, near, beyond).astype(np.int32)
    else:
        parameters |= {"multiplier": graph.powers_of_two(outputs)} if draw(st.booleans()) else {}
        parameters |= {"bias": graph.bias(outputs)} if draw(st.booleans()) else {}
    y = graph.lce_conv(
        graph.lce_quantize(x),
        channels,
        outputs,
        kernel,
        groups=groups,
        stride=stride,
        dilation=dilation,
        padding=padding,
        pad_values=pad_values,
        activation=draw(st.sampled_from([NONE, RELU, RELU_N1_TO_1, RELU6])),
        **parameters,  # type: ignore[arg-type]
    )
    packed, _ = compare(graph, y, random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D"]
    assert only(packed, "BnnConv2D").options["groups"] == groups


@pytest.mark.parametrize("padding", [SAME, VALID])
def test_max_pool(padding: int) -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 7, 9, 40))
    pooled = graph.lce_pool(graph.lce_quantize(x), (3, 2), (2, 3), padding)
    dims = (*pooled.dims[:3], 40)
    packed, output = compare(graph, graph.lce("LceDequantize", [pooled], dims, np.float32), random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnMaxPool2D", "BnnDequantize"]
    assert len(np.unique(output)) == 2


def test_signs_of_int8() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 3, 40), np.int8)
    x.record.quantization = quantization(0.05, -7)
    y = graph.lce("LceDequantize", [graph.lce_quantize(x)], x.dims, np.float32)
    values = graph.rng.integers(-12, 0, x.dims).astype(np.int8)
    _, output = compare(graph, y, values)
    np.testing.assert_array_equal(output, np.where(values < -7, -1, 1))


@pytest.mark.parametrize(("scale", "zero_point"), [(0.0078125, 0), (0.3, -5), (0.4, 126), (0.00390625, 3)])
def test_signs_to_int8(scale: float, zero_point: int) -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 3, 40))
    bits = graph.lce_quantize(x)
    y = graph.lce("LceDequantize", [bits], x.dims, np.int8, int8=(scale, zero_point))
    _, output = compare(graph, y, random_input(x.dims))
    assert output.dtype == np.int8


def test_signs_of_two_types_stay_two() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 40))
    bits = graph.lce_quantize(x)
    floats = graph.lce("LceDequantize", [bits], x.dims, np.float32)
    integers = [graph.lce("LceDequantize", [bits], x.dims, np.int8, int8=int8) for int8 in ((0.5, 3), (0.25, -9))]
    outputs = [graph.scale(floats, 2.0), *(graph.op("DEQUANTIZE", [tensor], x.dims) for tensor in integers)]
    packed, result = rewrite(graph.finish(*outputs))
    assert kinds(result).count("BnnDequantize") == 3
    values = random_input(x.dims)
    signs = np.where(values < 0, -1, 1)
    for output, expected in zip(
        run_file(packed, [values], [runtime.load_delegate()]), (2 * signs, signs, signs), strict=True
    ):
        np.testing.assert_array_equal(output, expected)


def test_conditions() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 3, 40), np.bool_)
    source = graph.finish(graph.lce("LceDequantize", [graph.lce_quantize(x)], x.dims, np.bool_))
    packed, result = rewrite(source)
    values = graph.rng.random(x.dims) < 0.3
    assert {"BnnQuantize", "BnnDequantize"} < set(kinds(result))
    (output,) = run_file(packed, [values], [runtime.load_delegate()])
    np.testing.assert_array_equal(output, run_lce(source, [values])[0])
    np.testing.assert_array_equal(output, values)


@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
def test_int8_output(activation: int) -> None:
    """Away from halves: there LCE rounds the value with its zero point, and the format the value alone."""
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 6, 7, 34))
    y = graph.lce_conv(
        graph.lce_quantize(x),
        34,
        20,
        pad_values=1,
        activation=activation,
        multiplier=graph.powers_of_two(20) * 8,
        bias=graph.rng.integers(-40, 40, 20).astype(np.float32) + np.float32(0.25),
        int8=(1.0, -3),
    )
    packed, output = compare(graph, y, random_input(x.dims))
    assert only(packed, "BnnConv2D").output.type_name == "int8"
    assert len(np.unique(output)) > 5


def test_int8_output_is_off_by_one_step_at_most() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 9, 9, 64))
    multiplier, bias = (graph.rng.normal(0, size, 64).astype(np.float32) for size in (0.2, 1))
    y = graph.lce_conv(graph.lce_quantize(x), 64, 64, multiplier=multiplier, bias=bias, pad_values=1, int8=(0.0625, 17))
    source, values = graph.finish(y), [random_input(x.dims)]
    difference = format_reference.run_packed(rewrite(source)[0], values)[0].astype(int) - run_lce(source, values)[0]
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 1e-3


def test_network() -> None:
    """Bits through thresholds and a max-pool; a float32 output in front of LceQuantize becomes thresholds too."""
    graph = RandomLceGraph()
    x = graph.add_input("x", (2, 12, 11, 36))
    y = graph.lce_conv(
        graph.lce_quantize(x), 36, 48, multiplier=graph.powers_of_two(48), bias=graph.bias(48), activation=RELU_N1_TO_1
    )
    y = graph.lce_conv(
        graph.lce_quantize(y), 48, 40, pad_values=1, thresholds=graph.rng.integers(200, 230, 40).astype(np.int32)
    )
    y = graph.lce_conv(graph.lce_pool(y), 40, 10, padding=VALID, multiplier=graph.powers_of_two(10))
    packed, output = compare(graph, y, random_input(x.dims))
    assert kinds(packed) == ["BnnQuantize", "BnnConv2D", "BnnConv2D", "BnnMaxPool2D", "BnnConv2D"]
    assert len(np.unique(output)) > 20


def test_report_and_size() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 8, 8, 64))
    y = graph.lce_conv(graph.lce_quantize(x), 64, 96, multiplier=graph.powers_of_two(96), bias=graph.bias(96))
    source = graph.finish(y)
    report = convert(source, verify=False)
    (op,) = report.packed
    assert (op.kind, op.input_type, op.output_type, op.shape) == ("BnnConv2D", "bits", "float32", (1, 8, 8, 96))
    assert op.bytes_before == op.bytes_after == 96 * 9 * 8 + 2 * 96 * 4
    assert report.left == ()
    assert report.unchanged == {}


def test_what_cannot_be_verified_is_said() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 8, 8, 32), np.bool_)
    verification = convert(graph.finish(graph.lce_conv(graph.lce_quantize(x), 32, 4))).verification
    assert verification is not None
    assert verification.samples == 0
    assert verification.remark.startswith("Not run")


def test_verification() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 8, 8, 64))
    y = graph.lce_conv(graph.lce_quantize(x), 64, 96, multiplier=graph.powers_of_two(96), bias=graph.bias(96))
    y = graph.lce_conv(
        graph.lce_quantize(y), 96, 10, padding=VALID, multiplier=graph.powers_of_two(10), bias=graph.bias(10)
    )
    verification = convert(graph.finish(y)).verification
    assert verification is not None
    for comparison in (verification.exact, verification.reference):
        assert comparison is not None
        assert (comparison.equal_samples, comparison.largest_difference) == (verification.samples, 0)
    assert verification.samples > 0
    assert verification.remark == ""


def test_verification_of_sums_that_round_to_either_side_of_0() -> None:
    """Bias brings an even sum just below 0; float32 drops that where the bias has the number of products in it."""
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 8, 8, 64))
    multiplier = np.full(96, 0.1, np.float32)
    bias = np.nextafter(multiplier * graph.rng.integers(-4, 5, 96).astype(np.float32) * 2, np.float32(-np.inf))
    y = graph.lce_conv(graph.lce_quantize(x), 64, 96, multiplier=multiplier, bias=bias)
    y = graph.lce_conv(
        graph.lce_quantize(y), 96, 10, padding=VALID, multiplier=graph.powers_of_two(10), bias=graph.bias(10)
    )
    verification = convert(graph.finish(y)).verification
    assert verification is not None
    assert verification.exact is not None
    assert verification.reference is not None
    assert (verification.exact.equal_samples, verification.exact.largest_difference) == (verification.samples, 0)
    assert verification.reference.equal_samples < verification.samples
    assert "The packed file is exact" in verification.remark


def _file_with_options(**changes: object) -> bytes:
    """A convolution some of whose options are changed, or left out where they are None."""
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 5, 5, 32))
    y = graph.lce_conv(graph.lce_quantize(x), 32, 4, padding=VALID)
    op = only(graph, "LceBconv2d")
    options = flexbuffers.Loads(bytes(op.options)) | changes
    op.options = flexbuffers.Dumps({key: value for key, value in options.items() if value is not None})
    return graph.finish(y)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pad_values": 2}, "its option 'pad_values' is 2"),
        ({"padding": 3}, "its option 'padding' is 3"),
        ({"stride_width": 0}, "its option 'stride_width' is 0"),
        ({"fused_activation_function": 4}, "its option 'fused_activation_function' is 4"),
        ({"channels_in": None}, "its option 'channels_in' is None"),
        ({"channels_in": "many"}, "its option 'channels_in' is 'many'"),
        ({"channels_in": 31}, "its weights have more bits than 31 channels"),
        ({"channels_in": 33}, "it reads"),
    ],
)
def test_wrong_options_are_refused(changes: dict[str, object], reason: str) -> None:
    refusal = refusals(rewrite(_file_with_options(**changes))[1])["LceBconv2d"]
    assert refusal.reason.startswith(reason)
    assert refusal.remedy


def test_damaged_options_are_refused() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 5, 5, 32))
    y = graph.lce("LceBMaxPool2d", [graph.lce_quantize(x)], (1, 4, 4, 1))
    assert refusals(rewrite(graph.finish(y))[1])["LceBMaxPool2d"].reason == "its options are damaged"


def test_bits_without_thresholds_are_refused() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 5, 5, 32))
    y = graph.lce_conv(graph.lce_quantize(x), 32, 4, thresholds=np.zeros(4, np.int32))
    graph.set_input(only(graph, "LceBconv2d"), 4, None)
    assert refusals(rewrite(graph.finish(y))[1])["LceBconv2d"].reason == "it gives bits and has no thresholds"


def test_groups_that_are_no_whole_words_are_refused() -> None:
    graph = RandomLceGraph()
    x = graph.add_input("x", (1, 5, 5, 80))
    y = graph.lce_conv(graph.lce_quantize(x), 80, 4, groups=2)
    assert "2 words a pixel" in refusals(rewrite(graph.finish(y))[1])["LceBconv2d"].reason

"""The ops of Larq Compute Engine's files, executed by the delegate, against plain numpy."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from format_reference import pack, quantize, unpack
from hypothesis import given, note, settings
from hypothesis import strategies as st
from support import draw, kernel_sets
from support.delegate import Session
from support.lce import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    LceGraph,
    conv_options,
    differing_bits,
    outputs_of_sums,
    to_int8,
)

INT32 = np.iinfo(np.int32)


@pytest.fixture(params=kernel_sets.BUILT_HERE, scope="module")
def isa(request: pytest.FixtureRequest) -> str:
    """Each kernel set that is made for this machine; skipped where the CPU lacks its instructions."""
    reason = kernel_sets.why_unsupported(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


def _words(channels: int) -> int:
    return -(-channels // 32)


def _check_conv(
    isa: str,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    dtype: type,
    quantization: tuple[float, int] | None = None,
    **changes: int,
) -> None:
    """Runs LceBconv2d on random signs and compares every output; `changes` as for `conv_options`."""
    options = conv_options(shape[-1], **changes)
    x, kernel = draw.signs(rng, shape), draw.signs(rng, kernel_shape)
    differing, pairs = differing_bits(x, kernel, options)
    channels_out = len(kernel)
    graph = LceGraph()
    fed = graph.add_input("x", (*shape[:-1], _words(shape[-1])), np.int32)
    if dtype == np.int32:
        thresholds = rng.integers(differing.min() - 1, differing.max() + 1, channels_out).astype(np.int32)
        thresholds[rng.random(channels_out) < 0.1] = INT32.max
        thresholds[rng.random(channels_out) < 0.1] = INT32.min
        dims = (*differing.shape[:-1], _words(channels_out))
        y = graph.bconv2d(fed, pack(kernel), dims, np.int32, thresholds=thresholds, **options)
        expected = pack(np.where(differing > thresholds, -1, 1))
    else:
        # Multiples of 1/8 make sums that end in exactly 0.5, so that the direction of rounding counts.
        multiplier, bias = rng.normal(0, 2 / pairs**0.5, channels_out), rng.normal(0, 3, channels_out)
        exact = rng.random(channels_out) < 0.5
        multiplier = np.where(exact, np.rint(multiplier * 8) / 8, multiplier).astype(np.float32)
        bias = np.where(exact, np.rint(bias * 8) / 8, bias).astype(np.float32)
        y = graph.bconv2d(
            fed,
            pack(kernel),
            differing.shape,
            dtype,
            multiplier=multiplier,
            bias=bias,
            quantization=quantization,
            **options,
        )
        scale, zero_point = quantization or (1.0, 0)
        activation = options["fused_activation_function"]
        expected = outputs_of_sums(differing, pairs, multiplier, bias, activation, scale, zero_point)
        expected = to_int8(expected) if dtype == np.int8 else expected
    (found,) = Session(graph.file(y), isa).run([pack(x)])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 100])
def test_quantize_floats(isa: str, channels: int) -> None:
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1.0, -1.0], np.float32)
    x = np.resize(special, (2, 5, channels))
    graph = LceGraph()
    bits = graph.op("LceQuantize", [graph.add_input("x", x.shape)], (2, 5, _words(channels)), np.int32)
    (found,) = Session(graph.file(bits), isa).run([x])
    np.testing.assert_array_equal(found, pack(np.where(x < 0, -1, 1)))


@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
def test_quantize_int8(isa: str, zero_point: int) -> None:
    x = np.resize(np.arange(-128, 128, dtype=np.int8), (3, 300))
    graph = LceGraph()
    fed = graph.quantized_input(x.shape, 0.1, zero_point)
    (found,) = Session(graph.file(graph.op("LceQuantize", [fed], (3, 10), np.int32)), isa).run([x])
    np.testing.assert_array_equal(found, pack(np.where(x.astype(np.int64) < zero_point, -1, 1)))


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(0.5, 0), (0.3, -7), (1 / 127, 0), (0.01, 100), (0.01, -100), (0.4, 126), (4.0, 3)]
)
def test_dequantize_int8(isa: str, scale: float, zero_point: int) -> None:
    """+1 and -1 are round(1 / scale) away from the zero point, and saturate."""
    signs = draw.signs(np.random.default_rng(1), (4, 40))
    graph = LceGraph()
    fed = graph.add_input("x", (4, 2), np.int32)
    y = graph.op("LceDequantize", [fed], signs.shape, np.int8, quantization=(scale, zero_point))
    (found,) = Session(graph.file(y), isa).run([pack(signs)])
    distance = int(np.trunc(np.float32(1) / np.float32(scale) + 0.5))
    expected = np.where(signs > 0, min(127, zero_point + distance), max(-128, zero_point - distance))
    np.testing.assert_array_equal(found, expected.astype(np.int8))


@pytest.mark.parametrize("channels", [1, 32, 33, 100])
def test_dequantize_takes_the_channels_of_the_file(isa: str, channels: int) -> None:
    """Also for another batch, and where the output never leaves the delegate."""
    graph = LceGraph()
    fed = graph.add_input("x", (1, 3, channels))
    bits = graph.op("LceQuantize", [fed], (1, 3, _words(channels)), np.int32)
    signs = graph.op("LceDequantize", [bits], (1, 3, channels), np.float32)
    again = graph.op("LceQuantize", [signs], (1, 3, _words(channels)), np.int32)
    last = graph.op("LceDequantize", [again], (1, 3, channels), np.float32)
    session = Session(graph.file(last), isa)
    for batch in (1, 4, 2):
        x = draw.inputs(np.random.default_rng(batch), "float32", (batch, 3, channels))
        (found,) = session.run([x])
        np.testing.assert_array_equal(found, np.where(x < 0, np.float32(-1), np.float32(1)))


@pytest.mark.parametrize("padding", [SAME, VALID])
def test_max_pool(isa: str, padding: int) -> None:
    signs = np.where(np.random.default_rng(2).random((2, 7, 9, 40)) < 0.2, 1, -1)
    options = {"filter_height": 3, "filter_width": 2, "stride_height": 2, "stride_width": 3, "padding": padding}
    # SAME puts a row above and one below the 7 rows; the 9 columns are 3 windows of 2 with gaps of 1.
    padded = np.pad(signs, ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=-1) if padding == SAME else signs
    rows = range(0, padded.shape[1] - 2, 2)
    maxima = [[padded[:, i : i + 3, j : j + 2].max(axis=(1, 2)) for j in (0, 3, 6)] for i in rows]
    expected = np.transpose(np.array(maxima), (2, 0, 1, 3))
    graph = LceGraph()
    fed = graph.add_input("x", (2, 7, 9, 2), np.int32)
    y = graph.op("LceBMaxPool2d", [fed], (*expected.shape[:-1], 2), np.int32, options)
    (found,) = Session(graph.file(y), isa).run([pack(signs)])
    np.testing.assert_array_equal(unpack(found, 40), expected)


@pytest.mark.parametrize("quantization", [None, (0.25, 0), (0.1, -20), (2.0, 127)])
@pytest.mark.parametrize("activation", [NONE, RELU, RELU_N1_TO_1, RELU6])
def test_conv_activations(isa: str, activation: int, quantization: tuple[float, int] | None) -> None:
    dtype = np.float32 if quantization is None else np.int8
    for channels in (1, 33, 40):
        rng = np.random.default_rng(channels)
        _check_conv(
            isa,
            rng,
            (2, 5, 6, channels),
            (37, 3, 2, channels),
            dtype,
            quantization,
            fused_activation_function=activation,
        )


@pytest.mark.parametrize("pad_values", [0, 1])
@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int32])
def test_conv_windows(isa: str, dtype: type, padding: int, pad_values: int) -> None:
    quantization = (0.5, 3) if dtype == np.int8 else None
    for stride, dilation in ((1, 1), (1, 2)), ((2, 3), (1, 1)), ((1, 1), (2, 1)):
        rng = np.random.default_rng(stride[1] + dilation[1])
        changes = {"stride_height": stride[0], "stride_width": stride[1], "padding": padding, "pad_values": pad_values}
        changes |= {"dilation_height_factor": dilation[0], "dilation_width_factor": dilation[1]}
        _check_conv(isa, rng, (2, 6, 7, 34), (35, 3, 3, 34), dtype, quantization, **changes)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int32])
@pytest.mark.parametrize(("groups", "words", "out"), [(2, 1, 16), (3, 2, 5), (4, 1, 33)])
def test_conv_groups(isa: str, groups: int, words: int, out: int, dtype: type) -> None:
    """Larq writes no option for groups: the weights have as many words as a group."""
    rng = np.random.default_rng(groups)
    quantization = (0.5, 3) if dtype == np.int8 else None
    channels = 32 * words
    _check_conv(
        isa, rng, (1, 5, 4, groups * channels), (groups * out, 2, 3, channels), dtype, quantization, padding=SAME
    )


@settings(max_examples=40, deadline=None)
@given(random=st.integers(0, 2**32).map(Random))
def test_conv_of_random_shapes(isa: str, random: Random) -> None:
    rng = np.random.default_rng(random.getrandbits(32))
    dtype = random.choice([np.float32, np.int8, np.int32])
    padding, channels = random.choice([SAME, VALID]), 2 * random.randint(1, 70)
    shape = (random.randint(1, 2), random.randint(7, 9), random.randint(7, 9), channels)
    kernel_shape = (random.randint(1, 70), random.randint(1, 4), random.randint(1, 4), channels)
    quantization = (random.choice([0.125, 0.3, 1.7]), random.randint(-128, 127)) if dtype == np.int8 else None
    changes = {"padding": padding, "pad_values": random.randint(0, 1)}
    changes |= {f"stride_{axis}": random.randint(1, 3) for axis in ("height", "width")}
    changes |= {f"dilation_{axis}_factor": random.randint(1, 2) for axis in ("height", "width")}
    if dtype != np.int32:
        changes["fused_activation_function"] = random.randint(0, 3)
    note(f"{dtype.__name__}, {shape}, kernel {kernel_shape}, {quantization}, {changes}")
    _check_conv(isa, rng, shape, kernel_shape, dtype, quantization, **changes)


def test_int8_is_rounded_where_larq_rounds(isa: str) -> None:
    """Steps of half the scale: the quotient of the float32 y would fall on the other side of many halves."""
    rng = np.random.default_rng(7)
    x, kernel = draw.signs(rng, (64, 1, 1, 256)), draw.signs(rng, (512, 1, 1, 256))
    options = conv_options(256)
    differing, pairs = differing_bits(x, kernel, options)
    scale, zero_point = float(np.float32(0.043)), 5
    multiplier = (rng.integers(1, 8, 512) * 0.5 * scale).astype(np.float32)
    bias = (rng.integers(-9, 9, 512) * 0.5 * scale).astype(np.float32)
    expected = to_int8(outputs_of_sums(differing, pairs, multiplier, bias, NONE, scale, zero_point))
    y = (pairs - 2 * differing).astype(np.float32) * multiplier + bias
    assert (quantize(y, scale, zero_point) != expected).mean() > 0.05
    graph = LceGraph()
    fed = graph.add_input("x", (64, 1, 1, 8), np.int32)
    constants = {"multiplier": multiplier, "bias": bias, "quantization": (scale, zero_point)}
    (found,) = Session(
        graph.file(graph.bconv2d(fed, pack(kernel), differing.shape, np.int8, **constants, **options)), isa
    ).run([pack(x)])
    np.testing.assert_array_equal(found, expected)


def test_chain_of_all_ops(isa: str) -> None:
    rng = np.random.default_rng(3)
    x = draw.inputs(rng, "float32", (2, 8, 8, 40))
    kernel, last_kernel = draw.signs(rng, (64, 3, 3, 40)), draw.signs(rng, (7, 2, 2, 64))
    thresholds = rng.integers(170, 190, 64).astype(np.int32)
    ones, halves = np.ones(7, np.float32), np.full(7, 0.5, np.float32)
    options, last_options = conv_options(40, padding=SAME, pad_values=1), conv_options(64)
    pool = {"filter_height": 2, "filter_width": 2, "stride_height": 2, "stride_width": 2, "padding": VALID}
    graph = LceGraph()
    bits = graph.op("LceQuantize", [graph.add_input("x", x.shape)], (2, 8, 8, 2), np.int32)
    bits = graph.bconv2d(bits, pack(kernel), (2, 8, 8, 2), np.int32, thresholds=thresholds, **options)
    bits = graph.op("LceBMaxPool2d", [bits], (2, 4, 4, 2), np.int32, pool)
    signs = graph.op("LceDequantize", [bits], (2, 4, 4, 64), np.float32)
    y = graph.bconv2d(bits, pack(last_kernel), (2, 3, 3, 7), np.float32, multiplier=ones, bias=halves, **last_options)
    found = Session(graph.file(signs, y), isa).run([x])

    differing, _ = differing_bits(np.where(x < 0, -1.0, 1.0), kernel, options)
    expected = np.where(differing > thresholds, -1.0, 1.0).reshape(2, 4, 2, 4, 2, 64).max(axis=(2, 4))
    np.testing.assert_array_equal(found[0], expected.astype(np.float32))
    differing, pairs = differing_bits(expected, last_kernel, last_options)
    np.testing.assert_array_equal(found[1], (pairs - 2 * differing + 0.5).astype(np.float32))


def _conv_file(dtype: type, kernel_shape: tuple[int, ...], parameters: dict[str, np.ndarray], **options: int) -> bytes:
    graph = LceGraph()
    fed = graph.add_input("x", (1, 4, 4, 2), np.int32)
    weights = np.zeros(kernel_shape, np.int32)
    return graph.file(graph.bconv2d(fed, weights, (1, 4, 4, 8), dtype, **parameters, **options))


_FLOATS = {"multiplier": np.ones(8, np.float32), "bias": np.ones(8, np.float32)}
_THRESHOLDS = {"thresholds": np.ones(8, np.int32)}


@pytest.mark.parametrize(
    ("dtype", "kernel_shape", "parameters", "changes", "sentence"),
    [
        (np.float32, (8, 1, 1, 2), _THRESHOLDS, {}, "the multipliers are left out; expected them"),
        (np.int32, (8, 1, 1, 2), _FLOATS, {}, "the thresholds are left out; expected them for packed output"),
        (np.int8, (8, 1, 1, 2), _FLOATS, {}, "the output is int8 without a scale"),
        (np.float32, (8, 1, 1, 3), _FLOATS, {}, r"the weights have the shape \[8, 1, 1, 3\], for channels_in 40"),
        (np.float32, (8, 1, 1, 1), _FLOATS, {}, "expected 2 words last, or a divisor of it for groups of whole words"),
        (np.float32, (8, 1, 1, 2), _FLOATS, {"pad_values": -1}, 'the option "pad_values" is -1; expected 0 to 1'),
        (np.float32, (8, 1, 1, 2), _FLOATS, {"fused_activation_function": 4}, "is 4; expected 0 to 3"),
        (np.float32, (8, 1, 1, 2), _FLOATS, {"version": 1}, 'the option "version" is not known'),
    ],
)
def test_refusals(
    dtype: type,
    kernel_shape: tuple[int, ...],
    parameters: dict[str, np.ndarray],
    changes: dict[str, int],
    sentence: str,
) -> None:
    model = _conv_file(dtype, kernel_shape, parameters, **conv_options(40, **changes))
    with pytest.raises((RuntimeError, ValueError), match=sentence):
        Session(model, "scalar").run([np.zeros((1, 4, 4, 2), np.int32)])


@pytest.mark.parametrize("key", sorted(conv_options(40)))
def test_refuses_a_missing_option(key: str) -> None:
    options = conv_options(40)
    del options[key]
    model = _conv_file(np.float32, (8, 1, 1, 2), _FLOATS, **options)
    with pytest.raises((RuntimeError, ValueError), match=f'the option "{key}" is missing'):
        Session(model, "scalar")


def test_refuses_a_missing_weight_tensor() -> None:
    graph = LceGraph()
    fed = graph.add_input("x", (1, 4, 4, 2), np.int32)
    y = graph.op("LceBconv2d", [fed, None, None, None, None], (1, 4, 4, 8), np.float32, conv_options(40))
    with pytest.raises((RuntimeError, ValueError), match="x or the weights are left out; expected both"):
        Session(graph.file(y), "scalar")

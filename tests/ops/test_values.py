"""Single values that decide a bit: zeros of both signs, NaN, infinities, ties, extreme thresholds, both activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from format_reference import pack, run_packed, unpack
from support import draw
from support.delegate import Session, assert_equals_reference, assert_same_bits
from support.draw import PACKED
from support.single_op import SingleOp, fully_connected

_SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 3e38, -3e38, 1.0, -1.0], np.float32)


@pytest.mark.parametrize("channels", [1, 7, 8, 31, 32, 33, 64, 100, 512, 515])
def test_quantize_special_floats(isa: str, channels: int) -> None:
    x = np.resize(_SPECIAL, (3, 5, channels))  # the length 11 is prime to every word, so each value meets each bit
    op = SingleOp("BnnQuantize", "float32", x.shape, {"version": 1}, output=np.int32)
    (bits,) = Session(op.build(), isa).run([x])
    assert_same_bits([bits], run_packed(op.build(), [x]))
    np.testing.assert_array_equal(unpack(bits, channels), np.where(x < 0, -1, 1))
    assert (unpack(bits)[..., channels:] == 1).all(), "unused bits must be 0"


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 3, 127])
@pytest.mark.parametrize("channels", [1, 33, 64, 256, 300])
def test_quantize_every_int8(isa: str, channels: int, zero_point: int) -> None:
    x = np.resize(np.arange(-128, 128, dtype=np.int8), (300, channels))
    op = SingleOp("BnnQuantize", "int8", x.shape, {"version": 1}, output=np.int32, zero_point=zero_point)
    assert_equals_reference(op.build(), [x], isa)


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 100])
def test_dequantize(isa: str, channels: int) -> None:
    x = draw.inputs(np.random.default_rng(channels), PACKED, (2, 3, channels))
    op = SingleOp("BnnDequantize", PACKED, x.shape, {"version": 1, "channels": channels})
    assert_equals_reference(op.build(), [x], isa)


@pytest.mark.parametrize("channels", [1, 2, 33, 64])
def test_every_accumulator_against_every_threshold(isa: str, channels: int) -> None:
    """Row r of x has its first r channels at -1, so the accumulators run from -channels to channels."""
    x = np.where(np.arange(channels) < np.arange(channels + 1)[:, None], -1.0, 1.0)
    limits = np.iinfo(np.int32)
    thresholds = np.array([limits.min, *range(-channels - 1, channels + 2), limits.max], np.int32)
    op = fully_connected(PACKED, x.shape, np.ones((len(thresholds), channels)), [thresholds])
    (bits,) = Session(op.build(), isa).run([pack(x)])
    accumulators = channels - 2 * np.arange(channels + 1)
    np.testing.assert_array_equal(unpack(bits, len(thresholds)), np.where(accumulators[:, None] < thresholds, -1, 1))


@pytest.mark.parametrize("channels", [992, 1024, 2049, 9000])
def test_every_bit_differs(isa: str, channels: int) -> None:
    """Counts in bytes overflow first where all the bits of many words differ."""
    x = np.array([[1.0], [-1.0], [1.0]]) * np.ones(channels)
    kernel = np.ones((35, channels))
    kernel[::2] = -1
    op = fully_connected(PACKED, x.shape, kernel, [np.ones(35, np.float32), np.zeros(35, np.float32)])
    (y,) = Session(op.build(), isa).run([pack(x)])
    np.testing.assert_array_equal(y, x[:, :1] * kernel[:, 0] * channels)


@pytest.mark.parametrize("activation", [0, 1, 2, 3])
@pytest.mark.parametrize("pre_activation", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "output"),
    [("float32", np.float32), ("float32", np.int32), ("int8", np.float32), ("uint8", np.float32), (PACKED, np.float32)],
)
def test_activations(isa: str, kind: str, output: type, activation: int, pre_activation: int) -> None:
    """Results of exactly 0.0, -0.0, -1, 1 and 6 are among them; packed output has activations for float32 x only."""
    rng = np.random.default_rng(4 * activation + pre_activation)
    multiplier = np.resize(np.array([1, -1, 0, -0.0, 0.5, 6, -1.5], np.float32), 45)
    bias = np.resize(np.array([0, -0.0, 1, -1, 6, -6, 0.25, 2.5], np.float32), 45)
    op = fully_connected(
        kind,
        (40, 6),
        draw.signs(rng, (45, 6)),
        [multiplier, bias],
        activation=activation,
        pre_activation=pre_activation,
    )
    op = replace(op, output=output, zero_point=100)
    x = draw.inputs(rng, kind, (40, 6))
    if kind in ("int8", "uint8"):
        x = (100 + x.astype(np.int64) % 7 - 3).astype(x.dtype)
    elif kind == "float32":
        x = np.rint(x)
    assert_equals_reference(op.build(), [x], isa)


def test_float_sums_are_rounded_in_the_written_order(isa: str) -> None:
    """Huge and tiny terms that cancel: another order, or a wider accumulator, gives other bits."""
    rng = np.random.default_rng(5)
    x = (rng.normal(size=(9, 203)) * 10.0 ** rng.integers(-6, 7, (9, 203))).astype(np.float32)
    kernel = draw.signs(rng, (50, 203))
    op = fully_connected("float32", x.shape, kernel, [np.full(50, 0.1, np.float32), np.full(50, 0.7, np.float32)])
    exact = x.astype(np.float64) @ kernel.T
    in_order = run_packed(op.build(), [x])[0]
    assert (in_order != (exact.astype(np.float32) * np.float32(0.1) + np.float32(0.7))).mean() > 0.5
    assert_equals_reference(op.build(), [x], isa)


def test_product_and_sum_are_rounded_apart(isa: str) -> None:
    """A fused multiply-add would give other bits for these multipliers and biases."""
    rng = np.random.default_rng(6)
    x, kernel = draw.inputs(rng, PACKED, (50, 99)), draw.signs(rng, (64, 99))
    multiplier, bias = rng.normal(size=(2, 64)).astype(np.float32)
    op = fully_connected(PACKED, (50, 99), kernel, [multiplier, bias])
    accumulator = unpack(x, 99) @ kernel.astype(np.int64).T
    fused = (accumulator * multiplier.astype(np.float64) + bias).astype(np.float32)
    assert (run_packed(op.build(), [x])[0] != fused).any()
    assert_equals_reference(op.build(), [x], isa)


@pytest.mark.parametrize(("kind", "zero_point"), [("int8", -128), ("int8", 127), ("uint8", 0), ("uint8", 255)])
def test_large_integer_accumulators_are_converted_once(isa: str, kind: str, zero_point: int) -> None:
    """Accumulators above 2**24 are rounded when they become float32."""
    channels = 140_001
    limits = np.iinfo(draw.DTYPES[kind])
    far = limits.max if zero_point == limits.min else limits.min
    x = np.full((2, channels), far, draw.DTYPES[kind])
    x[1, ::3] = zero_point
    kernel = np.ones((3, channels))
    kernel[1], kernel[2, ::7] = -1, -1
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    op = replace(fully_connected(kind, x.shape, kernel, [ones, zeros]), zero_point=zero_point)
    assert np.abs(run_packed(op.build(), [x])[0]).max() > 2**24
    assert_equals_reference(op.build(), [x], isa)

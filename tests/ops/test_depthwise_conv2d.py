"""BnnDepthwiseConv2D gives the bits of format_reference: channels around words, windows, many taps, threads."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from format_reference import EXPLICIT, SAME, VALID, pack
from hypothesis import given, note, settings
from hypothesis import strategies as st
from support import draw
from support.delegate import assert_equals_reference
from support.draw import PACKED
from support.single_op import SingleOp, depthwise_conv2d


def _both_outputs(
    rng: np.random.Generator, shape: tuple[int, ...], kernel_shape: tuple[int, ...], **options: int
) -> list[SingleOp]:
    """The op with float32 output and, without activations, with packed output."""
    taps, channels_out = kernel_shape[0] * kernel_shape[1], kernel_shape[-1]
    kernel = draw.signs(rng, kernel_shape)
    sets = [list(draw.multiplier_and_bias(rng, channels_out, taps))]
    if not options.get("activation") and not options.get("pre_activation"):
        sets.append([draw.thresholds(rng, channels_out, taps)])
    return [depthwise_conv2d(shape, kernel, parameters, **options) for parameters in sets]


def _check(
    isa: str,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    threads: int = 1,
    **options: int,
) -> None:
    x = draw.inputs(rng, PACKED, shape)
    for op in _both_outputs(rng, shape, kernel_shape, **options):
        assert_equals_reference(op.build(), [x], isa, threads)


@pytest.mark.parametrize("times", [1, 2, 3, 4, 33])
@pytest.mark.parametrize("channels", [1, 31, 33, 64, 130])
def test_channels(isa: str, channels: int, times: int) -> None:
    _check(isa, np.random.default_rng(channels), (2, 4, 5, channels), (3, 3, channels * times))


@pytest.mark.parametrize("taps", [(1, 1), (1, 15), (4, 4), (3, 5), (5, 6), (31, 1), (9, 9), (1, 301)])
def test_counters_never_overflow(isa: str, taps: tuple[int, int]) -> None:
    """Kernels on both sides of a full counter, where every tap differs, none does, and some do."""
    x = np.ones((1, *taps, 40))
    kernel = draw.signs(np.random.default_rng(taps[1]), (*taps, 40))
    kernel[..., :10], kernel[..., 10:20] = -1, 1
    ones, zeros = np.ones(40, np.float32), np.zeros(40, np.float32)
    op = depthwise_conv2d(x.shape, kernel, [ones, zeros], padding=VALID)
    assert_equals_reference(op.build(), [pack(x)], isa)
    assert_equals_reference(op.build(), [pack(-x)], isa)


@pytest.mark.parametrize("pad_value", [0, 1, -1])
@pytest.mark.parametrize("padding", [SAME, VALID, EXPLICIT])
def test_windows_over_the_edge(isa: str, padding: int, pad_value: int) -> None:
    """Windows larger than the image, strides larger than windows, dilated taps, and windows wholly outside."""
    rng = np.random.default_rng(padding)
    sizes = [(13, 22)] if padding == VALID else [(1, 1), (3, 9), (9, 3), (8, 8)]
    pads = dict(pad_top=11, pad_bottom=8, pad_left=9, pad_right=14) if padding == EXPLICIT else {}
    for height, width in sizes:
        for taps, stride, dilation in [(1, 4), (5, 1), (3, 7)], [(5, 2), (3, 1), (2, 4)], [(3, 3), (6, 5), (1, 1)]:
            strides = dict(stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1])
            options = {**pads, **strides, "padding": padding, "pad_value": pad_value}
            _check(isa, rng, (2, height, width, 17), (*taps, 34), **options)


@settings(max_examples=40, deadline=None)
@given(random=st.integers(0, 2**32).map(Random), threads=st.sampled_from([1, 2]))
def test_random_shapes(isa: str, random: Random, threads: int) -> None:
    rng = np.random.default_rng(random.getrandbits(32))
    shape = (random.randint(1, 3), random.randint(1, 9), random.randint(1, 9), random.randint(1, 80))
    padding = random.choice([SAME, VALID, EXPLICIT])
    rows, columns = (draw.axis(random, length, padding) for length in shape[1:3])
    options = {
        "padding": padding,
        "pad_value": random.randint(-1, 1),
        **{"stride_h": rows.stride, "stride_w": columns.stride},
        **{"dilation_h": rows.dilation, "dilation_w": columns.dilation},
        **{"activation": random.randint(0, 3), "pre_activation": random.randint(0, 3)},
    }
    if padding == EXPLICIT:
        options.update(pad_top=rows.pads[0], pad_bottom=rows.pads[1], pad_left=columns.pads[0])
        options["pad_right"] = columns.pads[1]
    kernel_shape = (rows.taps, columns.taps, shape[-1] * random.choice([1, 1, 2, 5]))
    note(f"{shape}, kernel {kernel_shape}, {options}")
    _check(isa, rng, shape, kernel_shape, threads, **options)


def test_large_layer_on_threads(isa: str) -> None:
    """Enough work for every thread, in an amount that no thread count divides."""
    for threads, times in ((2, 1), (5, 3)):
        _check(isa, np.random.default_rng(threads), (3, 43, 47, 129), (3, 3, 129 * times), threads)

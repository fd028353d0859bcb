"""Channel counts around the words and registers of every kernel set, and windows that hang over the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from format_reference import EXPLICIT, SAME, VALID
from support import draw
from support.delegate import assert_equals_reference
from support.draw import PACKED
from support.single_op import conv2d, fully_connected

CHANNELS_IN = (1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513)
CHANNELS_OUT = (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97)
KINDS = ("float32", "int8", "uint8", PACKED)


def _parameters(rng: np.random.Generator, kind: str, channels_out: int, products: int) -> list[list[np.ndarray]]:
    """Multiplier and bias for float32 output; and thresholds for packed output where x is exact."""
    largest = products * draw.LARGEST_INPUT[kind]
    sets = [list(draw.multiplier_and_bias(rng, channels_out, largest))]
    if kind != "float32":
        sets.append([draw.thresholds(rng, channels_out, largest)])
    return sets


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", CHANNELS_IN)
def test_dense_channels_in(isa: str, kind: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    for parameters in _parameters(rng, kind, 37, channels):
        op = fully_connected(kind, (5, channels), draw.signs(rng, (37, channels)), parameters)
        op = replace(op, zero_point=7)
        assert_equals_reference(op.build(), [draw.inputs(rng, kind, (5, channels))], isa)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels_out", CHANNELS_OUT)
def test_dense_channels_out(isa: str, kind: str, channels_out: int) -> None:
    rng = np.random.default_rng(channels_out)
    for parameters in _parameters(rng, kind, channels_out, 70):
        op = fully_connected(kind, (7, 70), draw.signs(rng, (channels_out, 70)), parameters)
        assert_equals_reference(op.build(), [draw.inputs(rng, kind, (7, 70))], isa)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", CHANNELS_IN)
def test_convolution_channels_in(isa: str, kind: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    for parameters in _parameters(rng, kind, 33, 9 * channels):
        op = conv2d(kind, (2, 4, 5, channels), draw.signs(rng, (33, 3, 3, channels)), parameters)
        assert_equals_reference(op.build(), [draw.inputs(rng, kind, (2, 4, 5, channels))], isa)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels_out", CHANNELS_OUT)
def test_convolution_channels_out(isa: str, kind: str, channels_out: int) -> None:
    rng = np.random.default_rng(channels_out)
    for parameters in _parameters(rng, kind, channels_out, 6 * 40):
        op = conv2d(kind, (1, 6, 7, 40), draw.signs(rng, (channels_out, 2, 3, 40)), parameters, stride_w=2)
        assert_equals_reference(op.build(), [draw.inputs(rng, kind, (1, 6, 7, 40))], isa)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("group_channels", "groups"), [(1, 40), (3, 11), (20, 5), (31, 2), (32, 3), (33, 3), (65, 2)])
def test_groups_that_begin_inside_a_word(isa: str, kind: str, group_channels: int, groups: int) -> None:
    rng = np.random.default_rng(group_channels)
    channels = group_channels * groups
    for group_channels_out in (1, 3, 17):
        kernel = draw.signs(rng, (groups * group_channels_out, 3, 2, group_channels))
        for parameters in _parameters(rng, kind, len(kernel), 6 * group_channels):
            op = conv2d(kind, (2, 5, 4, channels), kernel, parameters, groups=groups)
            assert_equals_reference(op.build(), [draw.inputs(rng, kind, (2, 5, 4, channels))], isa)


@pytest.mark.parametrize("pad_value", [0, 1, -1])
@pytest.mark.parametrize("padding", [SAME, VALID, EXPLICIT])
@pytest.mark.parametrize("kind", KINDS)
def test_windows_over_the_edge(isa: str, kind: str, padding: int, pad_value: int) -> None:
    """Windows larger than the image, strides larger than windows, dilated taps, and windows wholly outside."""
    if kind in ("int8", "uint8"):
        pad_value = 0
    rng = np.random.default_rng(padding)
    sizes = [(13, 22)] if padding == VALID else [(1, 1), (3, 9), (9, 3), (8, 8)]
    for height, width in sizes:
        for taps, stride, dilation in [(1, 4), (5, 1), (3, 7)], [(5, 2), (3, 1), (2, 4)], [(3, 3), (6, 5), (1, 1)]:
            kernel = draw.signs(rng, (35, *taps, 34))
            pads = dict(pad_top=11, pad_bottom=8, pad_left=9, pad_right=14) if padding == EXPLICIT else {}
            strides = dict(stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1])
            for parameters in _parameters(rng, kind, 35, taps[0] * taps[1] * 34):
                op = conv2d(
                    kind,
                    (2, height, width, 34),
                    kernel,
                    parameters,
                    padding=padding,
                    pad_value=pad_value,
                    **pads,
                    **strides,
                )
                assert_equals_reference(op.build(), [draw.inputs(rng, kind, (2, height, width, 34))], isa)


@pytest.mark.parametrize(("height", "width", "channels"), [(2, 3, 5), (1, 7, 33), (3, 1, 40), (4, 4, 64), (1, 1, 50)])
def test_flattened_rows_with_unused_bits_inside(isa: str, height: int, width: int, channels: int) -> None:
    """The weights' rows keep a gap where the channels of each pixel end."""
    rng = np.random.default_rng(channels)
    shape, used = (3, height, width, channels), height * width * channels
    for parameters in _parameters(rng, PACKED, 19, used):
        op = fully_connected(PACKED, shape, draw.signs(rng, (19, height, width, channels)), parameters)
        weights = op.constants[0].reshape(19, -1)
        op = replace(op, constants=[weights, *parameters], options={**op.options, "channels_in": used})
        assert_equals_reference(op.build(), [draw.inputs(rng, PACKED, shape)], isa)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(70,), (1, 70), (2, 3, 70), (2, 1, 3, 2, 70)])
def test_dense_keeps_the_leading_dimensions(isa: str, kind: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    for parameters in _parameters(rng, kind, 34, 70):
        op = fully_connected(kind, shape, draw.signs(rng, (34, 70)), parameters)
        assert_equals_reference(op.build(), [draw.inputs(rng, kind, shape)], isa)


@pytest.mark.parametrize("num_threads", [2, 5])
def test_large_layers_on_threads(isa: str, num_threads: int) -> None:
    """Enough work for every thread, in an amount that no thread count divides."""
    rng = np.random.default_rng(num_threads)
    for kind in KINDS:
        channels = 129 if kind == PACKED else 5
        kernel = draw.signs(rng, (97, 3, 3, channels))
        for parameters in _parameters(rng, kind, 97, 9 * channels):
            op = conv2d(kind, (2, 23, 29, channels), kernel, parameters)
            assert_equals_reference(op.build(), [draw.inputs(rng, kind, (2, 23, 29, channels))], isa, num_threads)
        kernel = draw.signs(rng, (99, 3, 3, 11))  # 3 groups of 33 outputs, so that words hold bits of two groups
        for parameters in _parameters(rng, kind, 99, 99):
            op = conv2d(kind, (1, 37, 41, 33), kernel, parameters, groups=3)
            assert_equals_reference(op.build(), [draw.inputs(rng, kind, (1, 37, 41, 33))], isa, num_threads)
        for parameters in _parameters(rng, kind, 700, 600):
            op = fully_connected(kind, (5, 600), draw.signs(rng, (700, 600)), parameters)
            assert_equals_reference(op.build(), [draw.inputs(rng, kind, (5, 600))], isa, num_threads)

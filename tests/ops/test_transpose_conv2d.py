"""BnnTransposeConv2D gives the bits of format_reference: strides, paddings, channels around words, threads."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from support import draw
from support.delegate import assert_equals_reference
from support.draw import PACKED
from support.single_op import transpose_conv2d


def _check(
    isa: str,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    threads: int = 1,
    **options: int,
) -> None:
    """Compares float32 output and, without activations, packed output; the kernel is `[O, kh, kw, C]`."""
    x, kernel = draw.inputs(rng, PACKED, shape), draw.signs(rng, kernel_shape)
    largest = int(np.prod(kernel_shape[1:]))
    sets = [list(draw.multiplier_and_bias(rng, len(kernel), largest))]
    if not options.get("activation") and not options.get("pre_activation"):
        sets.append([draw.thresholds(rng, len(kernel), largest)])
    for parameters in sets:
        op = transpose_conv2d(shape, kernel, parameters, **options)
        assert_equals_reference(op.build(), [x], isa, threads)


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 64, 65, 129, 513])
def test_channels(isa: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    _check(isa, rng, (2, 3, 4, channels), (35, 3, 3, channels), stride_h=2, stride_w=2)
    _check(isa, rng, (2, 3, 4, 40), (channels, 3, 2, 40), stride_h=2, stride_w=2)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2), (1, 5), (7, 7), (70, 1)])
@pytest.mark.parametrize("taps", [(1, 1), (2, 2), (3, 3), (4, 3), (5, 6)])
def test_strides(isa: str, taps: tuple[int, int], stride: tuple[int, int]) -> None:
    """Kernels smaller than the stride leave pixels that no tap reaches."""
    rng = np.random.default_rng(taps[0] + stride[0])
    strides = dict(stride_h=stride[0], stride_w=stride[1])
    _check(isa, rng, (1, 3, 5, 40), (33, *taps, 40), **strides)
    behind = dict(pad_bottom=1 - stride[0], pad_right=1 - stride[1])
    _check(isa, rng, (2, 2, 3, 20), (7, *taps, 20), **strides, **behind)


@pytest.mark.parametrize("pads", [(1, 0, 0, 1), (0, 1, 1, 0), (2, 2, 2, 2), (5, 0, 0, 6), (0, 6, 5, 0)])
def test_paddings(isa: str, pads: tuple[int, int, int, int]) -> None:
    """Also paddings that cut off more than a kernel."""
    names = ("pad_top", "pad_bottom", "pad_left", "pad_right")
    rng = np.random.default_rng(pads[0])
    _check(isa, rng, (2, 4, 5, 33), (34, 3, 4, 33), stride_h=2, stride_w=3, **dict(zip(names, pads, strict=True)))


@settings(max_examples=40, deadline=None)
@given(random=st.integers(0, 2**32).map(Random), threads=st.sampled_from([1, 2]))
def test_random_shapes(isa: str, random: Random, threads: int) -> None:
    rng = np.random.default_rng(random.getrandbits(32))
    shape = (random.randint(1, 3), random.randint(1, 6), random.randint(1, 9), random.randint(1, 80))
    kernel_shape = (random.randint(1, 70), random.randint(1, 5), random.randint(1, 5), shape[-1])
    strides = random.randint(1, 4), random.randint(1, 4)
    options = {
        **{"stride_h": strides[0], "stride_w": strides[1]},
        **{"pad_top": random.randint(0, 3), "pad_left": random.randint(0, 3)},
        **{"pad_bottom": random.randint(1 - strides[0], 3), "pad_right": random.randint(1 - strides[1], 3)},
        **{"activation": random.randint(0, 3), "pre_activation": random.randint(0, 3)},
    }
    note(f"{shape}, kernel {kernel_shape}, {options}")
    assume((shape[1] - 1) * strides[0] + kernel_shape[1] > options["pad_top"] + options["pad_bottom"])
    assume((shape[2] - 1) * strides[1] + kernel_shape[2] > options["pad_left"] + options["pad_right"])
    _check(isa, rng, shape, kernel_shape, threads, **options)


def test_large_layer_on_threads(isa: str) -> None:
    """Rows of several panels, and enough work for every thread, in an amount that no thread count divides."""
    for threads in (2, 5):
        rng = np.random.default_rng(threads)
        _check(isa, rng, (2, 11, 67, 129), (97, 3, 3, 129), threads, stride_h=2, stride_w=2)

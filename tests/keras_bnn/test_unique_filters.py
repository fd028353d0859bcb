"""Filter repetition against a plain count over sets."""

from __future__ import annotations

import numpy as np
import pytest

from keras_bnn.unique_filters import by_input_channel, unique_filters


def plain_count(kernel: np.ndarray) -> int:
    """Counts, for each input channel, the filters that differ from all others and their inverses."""
    total = 0
    for channel in range(kernel.shape[2]):
        seen: set[tuple[int, ...]] = set()
        for filter_ in range(kernel.shape[3]):
            signs = tuple(np.where(kernel[:, :, channel, filter_].ravel() < 0, -1, 1).tolist())
            if signs not in seen and tuple(-sign for sign in signs) not in seen:
                seen.add(signs)
        total += len(seen)
    return total


@pytest.mark.parametrize("shape", [(3, 3, 5, 300), (1, 2, 3, 7), (4, 8, 2, 9), (5, 7, 2, 9), (3, 11, 1, 4)])
def test_unique_filters(shape: tuple[int, int, int, int]) -> None:
    kernel = np.random.default_rng(11).normal(size=shape)
    kernel[..., -1] = -kernel[..., 0]
    kernel[..., -2] = kernel[..., 0] * (1 if shape[3] < 300 else 2)
    kernel.flat[0] = -0.0  # +1
    assert unique_filters(kernel) == (plain_count(kernel), shape[2] * shape[3])


def test_last_tap_counts() -> None:
    """Also where the taps fill the number that stands for a filter."""
    for width in (31, 32, 33):
        kernel = np.ones((1, width, 2, 2))
        kernel[0, -1, :, 1] = -1
        assert unique_filters(kernel) == (4, 4)


def test_groups() -> None:
    """Filters 0 and 1 read the input channels 0 and 1, filters 2 and 3 the channels 2 and 3."""
    kernel = np.arange(2 * 4).reshape(1, 1, 2, 4)
    assert by_input_channel(kernel, 2)[0, 0].tolist() == [[0, 1], [4, 5], [2, 3], [6, 7]]
    assert by_input_channel(kernel, 1).tolist() == kernel.tolist()

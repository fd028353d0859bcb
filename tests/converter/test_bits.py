"""The bit layout, against the numpy reference of the format."""

from __future__ import annotations

import format_reference
import numpy as np
import pytest

from keras_bnn.converter.bits import pack_signs, unpack_signs, words_for


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 63, 64, 65, 100])
def test_packing(channels: int) -> None:
    values = np.random.default_rng(channels).normal(size=(3, 2, channels))
    values[0, 0, ::3] = -0.0
    words = pack_signs(values < 0)
    assert words.shape == (3, 2, words_for(channels))
    np.testing.assert_array_equal(words, format_reference.pack(values))
    np.testing.assert_array_equal(unpack_signs(words, channels), values < 0)
    assert not unpack_signs(words, 32 * words_for(channels))[..., channels:].any()


def test_first_channel_is_the_lowest_bit() -> None:
    negative = np.zeros(40, np.bool_)
    negative[[0, 2, 33]] = True
    assert pack_signs(negative).tolist() == [0b101, 0b10]

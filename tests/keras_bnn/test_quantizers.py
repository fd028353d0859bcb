"""Values, gradients and configuration of the quantizers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from support.backend_gradient import gradient

from keras_bnn import quantizers
from keras_bnn.quantizers import SteSign, ste_sign

INFINITY = np.float32(np.inf)
ABOVE_ONE = np.nextafter(np.float32(1), INFINITY)
BELOW_ONE = np.nextafter(np.float32(1), -INFINITY)
TINY = np.float32(1e-45)
EDGES = np.array(
    [-INFINITY, -ABOVE_ONE, -1, -BELOW_ONE, -TINY, -0.0, 0, TINY, BELOW_ONE, 1, ABOVE_ONE, INFINITY], np.float32
)
RANDOM = np.random.default_rng(7).normal(0.1, 1.2, (5, 33)).astype(np.float32)


def numpy(x: object) -> np.ndarray:
    return ops.convert_to_numpy(x)


def test_forward_at_the_edges() -> None:
    # The smallest subnormal is left out: backends may treat it as 0.
    x = np.delete(EDGES, [4, 7])
    np.testing.assert_array_equal(numpy(ste_sign(x)), [-1, -1, -1, -1, 1, 1, 1, 1, 1, 1])


def test_nan_is_plus_one_as_in_a_packed_file() -> None:
    assert numpy(ste_sign(np.array([np.nan], np.float32))) == 1


def test_forward_on_random_data() -> None:
    np.testing.assert_array_equal(numpy(ste_sign(RANDOM)), np.where(RANDOM < 0, -1, 1))


def test_gradient_at_the_edges() -> None:
    upstream = np.arange(3, 3 + EDGES.size, dtype=np.float32)
    expected = upstream * [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    np.testing.assert_array_equal(gradient(ste_sign, EDGES, upstream), expected)


def test_gradient_of_nan_is_zero() -> None:
    np.testing.assert_array_equal(gradient(ste_sign, np.array([np.nan, 0.5], np.float32)), [0, 1])


def test_an_infinite_upstream_gradient_is_cancelled_too() -> None:
    x = np.array([2.0, 0.5], np.float32)
    np.testing.assert_array_equal(gradient(ste_sign, x, INFINITY), [0, INFINITY])


@pytest.mark.parametrize("clip_value", [0.25, 1.0, 1.5])
def test_gradient_on_random_data(clip_value: float) -> None:
    upstream = np.random.default_rng(8).normal(size=RANDOM.shape).astype(np.float32)
    expected = np.where(np.abs(RANDOM) <= clip_value, upstream, 0)
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_array_equal(gradient(SteSign(clip_value), RANDOM, upstream), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtype_is_kept(dtype: str) -> None:
    y = ste_sign(ops.cast(RANDOM, dtype))
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    np.testing.assert_array_equal(numpy(ops.cast(y, "float32")), np.where(RANDOM < 0, -1, 1))


def test_a_variable_is_read() -> None:
    np.testing.assert_array_equal(numpy(ste_sign(keras.Variable(RANDOM))), np.where(RANDOM < 0, -1, 1))


def test_get() -> None:
    def half(x: float) -> float:
        return x / 2

    quantizer = SteSign(0.5)
    assert quantizers.get(None) is None
    assert quantizers.get(half) is half
    assert quantizers.get(quantizer) is quantizer
    assert isinstance(quantizers.get("ste_sign"), SteSign)
    assert isinstance(quantizers.get(SteSign), SteSign)


def test_configuration_round_trip() -> None:
    config = quantizers.serialize(SteSign(0.5))
    assert config["registered_name"] == "keras_bnn>SteSign"
    revived = quantizers.get(config)
    assert isinstance(revived, SteSign)
    assert revived.get_config() == {"clip_value": 0.5}
    assert quantizers.serialize(None) is None


@pytest.mark.parametrize("clip_value", [0, -1.0, float("nan")])
def test_clip_value_must_be_positive(clip_value: float) -> None:
    with pytest.raises(ValueError, match=f"SteSign got clip_value={clip_value}: pass a number above 0"):
        SteSign(clip_value)


@pytest.mark.parametrize("identifier", ["ste_sine", 3])
def test_unknown_quantizer(identifier: object) -> None:
    with pytest.raises(ValueError, match=f"Unknown quantizer {identifier!r}: pass one of the names 'ste_sign'"):
        quantizers.get(identifier)

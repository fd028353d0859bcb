"""Values of the approximate power of two, against its formula in numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn.power_of_two import ap2


def expected(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.sign(x) * np.exp2(np.round(np.log2(np.abs(x))))


def test_values() -> None:
    generator = np.random.default_rng(3)
    x = np.exp2(generator.uniform(-126, 126, 5000)) * generator.choice([-1, 1], 5000)
    x[:4] = [0, 1, -1, 3]
    x = x.astype(np.float32)
    np.testing.assert_array_equal(ops.convert_to_numpy(ap2(x)), expected(x))


@pytest.mark.parametrize("exponent", [-126, -40, -1, 0, 1, 10, 126])
def test_powers_of_two_stay_and_the_bound_lies_at_the_square_root(exponent: int) -> None:
    power, bound = np.float32(2.0**exponent), np.float32(np.sqrt(2) * 2.0**exponent)  # rounded, below the square root
    values = [
        power,
        np.nextafter(power, np.float32(0)) if exponent > -126 else power,
        bound,
        np.nextafter(bound, 2 * power),
    ]
    np.testing.assert_array_equal(ops.convert_to_numpy(ap2(np.array(values))), [power, power, power, 2 * power])


def test_values_without_a_power() -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan], np.float32)
    powers = ops.convert_to_numpy(ap2(x))
    np.testing.assert_array_equal(powers, x)
    np.testing.assert_array_equal(np.signbit(powers[:2]), [False, True])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_dtype_is_kept(dtype: str) -> None:
    powers = ap2(ops.convert_to_tensor([-3.0, 0.3, 1.25], dtype=dtype))
    assert keras.backend.standardize_dtype(powers.dtype) == dtype
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(powers, "float32")), [-4, 0.25, 1])


def test_variables_and_numbers() -> None:
    assert float(ops.convert_to_numpy(ap2(keras.Variable(5.0)))) == 4
    assert float(ops.convert_to_numpy(ap2(0.2))) == 0.25


def test_axes_of_unknown_size() -> None:
    inputs = keras.Input((None, None))
    model = keras.Model(inputs, keras.layers.Lambda(ap2, output_shape=lambda shape: shape)(inputs))
    assert model.predict(np.full((2, 3, 5), 3.0, np.float32), verbose=0).tolist() == np.full((2, 3, 5), 4.0).tolist()

"""RPReLU against its definition in numpy."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from support.backend_gradient import gradient

from keras_bnn.layers import RPReLU

# TensorFlow without XLA may read a variable for the gradient of another one after its update.
JIT_COMPILE = keras.backend.backend() != "torch"


def make(rng: np.random.Generator) -> tuple[RPReLU, np.ndarray, np.ndarray, np.ndarray]:
    """A layer with other parameters for each of 4 channels, and these."""
    layer = RPReLU()
    layer.build((None, 3, 4))
    values = [rng.normal(size=4).astype(np.float32) for _ in range(3)]
    layer.set_weights(values)
    return layer, *values


def test_values() -> None:
    rng = np.random.default_rng(30)
    layer, input_shift, alpha, output_shift = make(rng)
    x = rng.normal(size=(5, 3, 4)).astype(np.float32)
    x[0] = input_shift  # the kink
    r = x - input_shift
    expected = np.where(r > 0, r, alpha * r) + output_shift
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-6, atol=1e-6)


def test_a_new_layer_is_a_prelu_of_slope_a_quarter() -> None:
    x = np.float32([[-4, -0.0, 0, 8]])
    np.testing.assert_array_equal(ops.convert_to_numpy(RPReLU()(x)), [[-1, 0, 0, 8]])
    np.testing.assert_array_equal(ops.convert_to_numpy(RPReLU(alpha_initializer=0.5)(x)), [[-2, 0, 0, 8]])


def test_input_gradient() -> None:
    rng = np.random.default_rng(31)
    layer, input_shift, alpha, _ = make(rng)
    x, dy = rng.normal(size=(2, 5, 3, 4)).astype(np.float32)
    x[0] = input_shift
    r = x - input_shift
    np.testing.assert_allclose(gradient(layer, x, dy), np.where(r > 0, dy, np.where(r < 0, alpha * dy, 0)), rtol=1e-6)


def test_parameter_gradients() -> None:
    rng = np.random.default_rng(32)
    layer, input_shift, alpha, output_shift = make(rng)
    x, dy = rng.normal(size=(2, 5, 3, 4)).astype(np.float32)
    model = keras.Sequential([keras.Input((3, 4)), layer])
    model.compile(keras.optimizers.SGD(0.25), loss=lambda dy, y: ops.sum(dy * y), jit_compile=JIT_COMPILE)
    model.train_on_batch(x, dy)
    r = x - input_shift
    expected = [
        input_shift + np.where(r > 0, dy, alpha * dy).sum((0, 1)) / 4,
        alpha - np.where(r < 0, r * dy, 0).sum((0, 1)) / 4,
        output_shift - dy.sum((0, 1)) / 4,
    ]
    for trained, value in zip(layer.get_weights(), expected, strict=True):
        np.testing.assert_allclose(trained, value, rtol=1e-5, atol=1e-5)

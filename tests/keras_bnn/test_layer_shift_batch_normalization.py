"""Shift-based batch normalization, against the paper's algorithm 3 and its authors' gradient in float64 numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from support.backend_gradient import gradient

from keras_bnn.layers import BinaryDense, ShiftBatchNormalization

# TensorFlow without XLA may read a variable for the gradient of another one after its update.
JIT_COMPILE = keras.backend.backend() != "torch"


def ap2(z: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.sign(z) * 2.0 ** np.round(np.log2(np.abs(z)))


def columns(rng: np.random.Generator, rows: int, channels: int) -> np.ndarray:
    """Values of different means and deviations, with zeros among them."""
    x = rng.normal(rng.normal(0, 3, channels), np.exp(rng.normal(0, 2, channels)), (rows, channels))
    x[::5] = 0
    return x.astype(np.float32)


def parameters(rng: np.random.Generator, channels: int) -> dict[str, np.ndarray]:
    gamma = rng.normal(0, 2, channels).astype(np.float32)
    gamma[0] = 0
    return {"gamma": gamma, "beta": rng.normal(size=channels).astype(np.float32)}


def make(channels: int, values: dict[str, np.ndarray], **arguments: object) -> ShiftBatchNormalization:
    layer = ShiftBatchNormalization(**arguments)
    layer.build((None, channels))
    for name, value in values.items():
        getattr(layer, name).assign(value)
    return layer


def algorithm_3(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> dict[str, np.ndarray]:
    x = x.astype(np.float64)
    mean = x.mean(0)
    centered = x - mean
    inverse_std = 1 / np.sqrt((centered * ap2(centered)).mean(0) + epsilon)
    normalized = centered * ap2(inverse_std)
    return {
        "mean": mean,
        "centered": centered,
        "inverse_std": inverse_std,
        "normalized": normalized,
        "y": ap2(gamma) * normalized + beta,
    }


def test_training_is_algorithm_3() -> None:
    rng = np.random.default_rng(20)
    x, values = columns(rng, 40, 6), parameters(rng, 6)
    layer = make(6, values, momentum=0.75, epsilon=0.01)
    y = ops.convert_to_numpy(layer(x, training=True))
    expected = algorithm_3(x, **values, epsilon=0.01)
    np.testing.assert_allclose(y, expected["y"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), 0.25 * expected["mean"], rtol=1e-5, atol=1e-6)
    moving = 0.75 + 0.25 * expected["inverse_std"]  # not rounded to a power of two
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_inverse_std), moving, rtol=1e-5)


def test_the_authors_defaults() -> None:
    config = ShiftBatchNormalization().get_config()
    assert (config["momentum"], config["epsilon"]) == (1 - 0.125, 1e-5)


def test_training_normalizes_over_all_axes_but_one() -> None:
    rng = np.random.default_rng(21)
    x = rng.normal(size=(4, 3, 5)).astype(np.float32)
    flat = x.transpose(0, 2, 1).reshape(20, 3)
    expected = algorithm_3(flat, np.ones(3), np.zeros(3), 1e-5)["y"].reshape(4, 5, 3).transpose(0, 2, 1)
    for axis in (1, -2):
        y = ShiftBatchNormalization(axis=axis)(x, training=True)
        np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-5, atol=1e-6)


def test_input_gradient_is_the_authors() -> None:
    rng = np.random.default_rng(22)
    x, values, dy = columns(rng, 40, 6), parameters(rng, 6), rng.normal(size=(40, 6)).astype(np.float32)
    layer = make(6, values)
    known = algorithm_3(x, **values, epsilon=1e-5)
    rounded, scale = ap2(known["centered"]), ap2(known["inverse_std"])
    spread = rounded * scale**2 * (rounded * dy).mean(0)
    expected = ap2(values["gamma"]) * scale * (dy - dy.mean(0) - spread)
    dx = gradient(lambda x: layer(x, training=True), x, dy)
    np.testing.assert_allclose(dx, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_parameter_gradients_are_the_authors() -> None:
    rng = np.random.default_rng(23)
    x, values, dy = columns(rng, 40, 6), parameters(rng, 6), rng.normal(size=(40, 6)).astype(np.float32)
    layer = make(6, values)
    model = keras.Sequential([keras.Input((6,)), layer])
    model.compile(keras.optimizers.SGD(0.25), loss=lambda dy, y: ops.sum(dy * y), jit_compile=JIT_COMPILE)
    model.train_on_batch(x, dy)
    known = algorithm_3(x, **values, epsilon=1e-5)
    trained = {name: ops.convert_to_numpy(getattr(layer, name)) for name in values}
    dgamma = (ap2(known["normalized"]) * dy).sum(0)
    np.testing.assert_allclose(trained["gamma"], values["gamma"] - dgamma / 4, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(trained["beta"], values["beta"] - dy.sum(0) / 4, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}])
def test_inference_is_exactly_x_times_a_power_of_two_plus_an_offset(arguments: dict) -> None:
    rng = np.random.default_rng(24)
    values = parameters(rng, 50)
    absent = {"gamma": "scale", "beta": "center"}
    values = {name: value for name, value in values.items() if absent[name] not in arguments}
    layer = make(50, values, **arguments)
    mean, inverse_std = rng.normal(0, 30, 50).astype(np.float32), np.exp(rng.normal(0, 3, 50)).astype(np.float32)
    layer.moving_mean.assign(mean)
    layer.moving_inverse_std.assign(inverse_std)
    x = rng.integers(-2000, 2000, (60, 50)).astype(np.float32)
    scale = (ap2(inverse_std) * ap2(values.get("gamma", np.ones(50)))).astype(np.float32)
    assert np.all((np.frexp(scale)[0] == 0) | (np.abs(np.frexp(scale)[0]) == 0.5))
    offset = values.get("beta", np.float32(0)) - mean * scale
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x * scale + offset)
    model = keras.Sequential([keras.Input((50,)), layer])  # compiled, where the compiler may reorder sums
    np.testing.assert_array_equal(model.predict(x, verbose=0), x * scale + offset)


def test_the_gradient_at_inference() -> None:
    rng = np.random.default_rng(25)
    x, values, dy = columns(rng, 10, 6), parameters(rng, 6), rng.normal(size=(10, 6)).astype(np.float32)
    layer = make(6, values)
    np.testing.assert_allclose(gradient(layer, x, dy), dy * ap2(values["gamma"]), rtol=1e-6)


def test_an_untrainable_layer_infers_and_stays_as_it_is() -> None:
    layer = ShiftBatchNormalization(trainable=False)
    x = columns(np.random.default_rng(26), 10, 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), x)
    assert [ops.convert_to_numpy(weight).tolist() for weight in layer.weights] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3]


def test_mixed_precision_normalizes_in_float32() -> None:
    x = columns(np.random.default_rng(27), 30, 3)
    y = ShiftBatchNormalization(dtype="mixed_bfloat16")(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    rounded = ops.convert_to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32"))
    expected = algorithm_3(rounded, np.ones(3), np.zeros(3), 1e-5)["y"]
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(y, "float32")), expected, rtol=2**-8, atol=1e-3)


def test_it_trains() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(28)
    x = rng.normal(size=(256, 16)).astype(np.float32)
    labels = (x[:, :3].sum(1) > 0).astype(np.float32)
    model = keras.Sequential(
        [
            keras.Input((16,)),
            BinaryDense(64, input_quantizer=None),
            ShiftBatchNormalization(),
            BinaryDense(1),
            ShiftBatchNormalization(),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=JIT_COMPILE
    )
    losses = model.fit(x, labels, batch_size=64, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    assert model.evaluate(x, labels, verbose=0) < losses[0]


def test_masked_steps_do_not_count() -> None:
    rng = np.random.default_rng(27)
    x, values, dy = columns(rng, 40, 6), parameters(rng, 6), rng.normal(size=(40, 6)).astype(np.float32)
    mask = np.arange(40) % 3 > 0
    layer, alone = make(6, values), make(6, values)
    y = ops.convert_to_numpy(layer(x, training=True, mask=mask))
    expected = ops.convert_to_numpy(alone(x[mask], training=True))
    np.testing.assert_allclose(y[mask], expected, rtol=1e-4, atol=1e-4)
    for name in ("moving_mean", "moving_inverse_std"):
        moved, expected = (ops.convert_to_numpy(getattr(each, name)) for each in (layer, alone))
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-5)
    dy[~mask] = 0
    dx = gradient(lambda x: layer(x, training=True, mask=mask), x, dy)
    expected = gradient(lambda x: alone(x, training=True), x[mask], dy[mask])
    np.testing.assert_allclose(dx[mask], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert np.all(dx[~mask] == 0)


def test_a_mask_goes_on() -> None:
    inputs = keras.Input((5, 6))
    outputs = ShiftBatchNormalization()(keras.layers.Masking()(inputs))
    assert keras.layers.GlobalAveragePooling1D()(outputs).shape == (None, 6)
    assert outputs._keras_mask is not None

"""The quantizers that are Keras layers: random signs and learned thresholds."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.testing import TestCase
from support.backend_gradient import gradient
from support.sign_arithmetic import sign

from keras_bnn.layers import BinaryDense
from keras_bnn.quantizers import LearnedThresholdSign, StochasticSign, learned_threshold_sign, stochastic_sign

# torch.compile takes a minute for a model.
JIT_COMPILE = keras.backend.backend() != "torch"
X = np.random.default_rng(3).normal(0, 0.7, (4, 6)).astype(np.float32)


def numpy(x: object) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(x, "float32"))


class KerasLayerTest(TestCase):
    """Keras's `run_layer_test`: shapes, dtypes, variables, serialization, a training step, mixed precision."""

    def check(self, layer: type, arguments: dict, trainable: int, seeds: int) -> None:
        self.run_layer_test(
            layer,
            arguments,
            input_shape=(2, 3, 4),
            expected_output_shape=(2, 3, 4),
            expected_num_trainable_weights=trainable,
            expected_num_non_trainable_weights=0,
            expected_num_seed_generators=seeds,
            expected_num_losses=0,
            supports_masking=True,
        )

    def test_stochastic_sign(self) -> None:
        self.check(StochasticSign, {"seed": 3, "clip_value": 0.5}, trainable=0, seeds=1)

    def test_learned_threshold_sign(self) -> None:
        self.check(LearnedThresholdSign, {"threshold_initializer": "ones"}, trainable=1, seeds=0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_mean_of_random_signs_is_the_hard_tanh(dtype: str) -> None:
    draws = 40_000
    x = np.array([-2, -1, -0.9375, -0.5, -0.25, -0.0, 0, 0.125, 0.75, 1, 1.5], np.float32)
    quantizer = StochasticSign(seed=5)
    y = numpy(quantizer(ops.cast(np.tile(x, (draws, 1)), dtype), training=True))
    assert set(np.unique(y)) == {-1, 1}
    # Hoeffding: P(|mean - expected| >= bound) <= 2 exp(-draws * bound**2 / 2), here one in a billion for all x.
    bound = math.sqrt(2 * math.log(2 * len(x) / 1e-9) / draws)
    np.testing.assert_allclose(y.mean(0), np.clip(x, -1, 1), rtol=0, atol=bound)
    # eq. 2 knows neither chance from 1 up nor from -1 down.
    certain = np.abs(x) >= 1
    np.testing.assert_array_equal(y[:, certain], np.tile(sign(x[certain]), (draws, 1)))


def test_neighbouring_random_signs_are_independent() -> None:
    draws = 10_000
    y = numpy(StochasticSign(seed=6)(np.zeros((draws, 2), np.float32), training=True))
    bound = math.sqrt(2 * math.log(4 / 1e-9) / draws)  # Hoeffding again, for products of two signs
    assert abs(np.mean(y[:, 0] * y[:, 1])) < bound
    assert abs(np.mean(y[1:, 0] * y[:-1, 0])) < 2 * bound


def test_random_signs_have_the_straight_through_gradient() -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    x = np.array([-2, -above, -1, -0.0, 0, 0.3, 1, above, 2, np.nan], np.float32)
    upstream = np.arange(1, 11, dtype=np.float32)
    expected = upstream * [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    quantizer = StochasticSign()
    np.testing.assert_array_equal(gradient(lambda x: quantizer(x, training=True), x, upstream), expected)
    np.testing.assert_array_equal(gradient(lambda x: stochastic_sign(x, seed=3), x, upstream), expected)
    expected = upstream * (np.abs(x) <= 0.25)
    np.testing.assert_array_equal(gradient(lambda x: StochasticSign(1, 0.25)(x, training=True), x, upstream), expected)


def test_random_signs_repeat_with_the_seed_alone() -> None:
    x = np.zeros((64,), np.float32)
    first, second = StochasticSign(seed=3), StochasticSign(seed=3)
    draws = [numpy(quantizer(x, training=True)) for quantizer in (first, first, second, second)]
    np.testing.assert_array_equal(draws[:2], draws[2:])
    assert np.any(draws[0] != draws[1])
    keras.utils.set_random_seed(1)
    unseeded = [numpy(StochasticSign()(x, training=True)) for _ in range(2)]
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(numpy(StochasticSign()(x, training=True)), unseeded[0])
    assert np.any(unseeded[0] != unseeded[1])


def stochastic_model(seed: int | None) -> keras.Model:
    layer = BinaryDense(3, input_quantizer=StochasticSign(seed), kernel_quantizer=StochasticSign(seed))
    model = keras.Sequential([keras.Input((6,)), layer])
    layer.kernel.assign(np.random.default_rng(4).uniform(-0.9, 0.9, (6, 3)))
    # The loss shows the outputs, and a learning rate of 0 leaves the weights as they are.
    model.compile(keras.optimizers.SGD(0.0), lambda y_true, y: ops.mean(y_true * y), jit_compile=JIT_COMPILE)
    return model


def losses(model: keras.Model, epochs: int = 4) -> list[float]:
    upstream = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    return model.fit(X, upstream, batch_size=4, epochs=epochs, shuffle=False, verbose=0).history["loss"]


def test_each_compiled_training_step_draws_anew() -> None:
    first = losses(stochastic_model(seed=3))
    assert len(set(first)) == 4
    assert losses(stochastic_model(seed=3)) == first
    keras.utils.set_random_seed(1)
    first = losses(stochastic_model(seed=None))
    keras.utils.set_random_seed(1)
    assert losses(stochastic_model(seed=None)) == first


def test_nothing_is_random_outside_training() -> None:
    model = stochastic_model(seed=3)
    kernel = numpy(model.layers[0].kernel)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(X, verbose=0), sign(X) @ sign(kernel))
        losses(model, epochs=1)
    np.testing.assert_array_equal(numpy(model.layers[0](X, training=False)), sign(X) @ sign(kernel))
    assert np.any(numpy(model.layers[0](X, training=True)) != sign(X) @ sign(kernel))


def shifted(x: np.ndarray, threshold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closed forms: the sign relative to the threshold, and its derivative by x."""
    r = x - threshold
    return np.where(x < threshold, -1, 1), np.where(np.abs(r) <= 1, 2 - 2 * np.abs(r), 0)


def test_learned_threshold_values_and_gradients() -> None:
    rng = np.random.default_rng(6)
    threshold = np.array([0, 0.5, -0.25, 2, -0.0, 1], np.float32)
    x = rng.normal(0.2, 1, (3, 5, 6)).astype(np.float32)
    x[0, 0], x[0, 1], x[0, 2] = threshold, threshold + 1, threshold - 1
    x[0, 3], x[0, 4] = np.nextafter(threshold, np.float32(9)), -0.0
    upstream = rng.normal(size=x.shape).astype(np.float32)
    values, slopes = shifted(x, threshold)
    assert np.all(values[0, 0] == 1)

    np.testing.assert_array_equal(numpy(learned_threshold_sign(x, threshold)), values)
    dx = gradient(lambda x: learned_threshold_sign(x, threshold), x, upstream)
    np.testing.assert_allclose(dx, upstream * slopes, rtol=1e-5, atol=1e-6)
    dthreshold = gradient(lambda threshold: learned_threshold_sign(x, threshold), threshold, upstream)
    np.testing.assert_allclose(dthreshold, -np.sum(upstream * slopes, (0, 1)), rtol=1e-5, atol=1e-5)
    layer = LearnedThresholdSign()
    layer.build(x.shape)
    layer.threshold.assign(threshold)
    np.testing.assert_array_equal(numpy(layer(x)), values)
    np.testing.assert_array_equal(gradient(layer, x, upstream), dx)


def test_thresholds_are_learned_in_compiled_training_steps() -> None:
    quantizer = LearnedThresholdSign(threshold_initializer=keras.initializers.Constant(0.25))
    model = keras.Sequential([keras.Input((6,)), BinaryDense(3, input_quantizer=quantizer)])
    kernel = np.random.default_rng(4).uniform(-0.9, 0.9, (6, 3)).astype(np.float32)
    model.layers[0].kernel.assign(kernel)
    model.compile(keras.optimizers.SGD(0.5), lambda y_true, y: ops.sum(y_true * y), jit_compile=JIT_COMPILE)
    upstream = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    model.train_on_batch(X, upstream)
    _, slopes = shifted(X, np.float32(0.25))
    moved = 0.25 + 0.5 * np.sum(upstream @ sign(kernel).T * slopes, 0)
    np.testing.assert_allclose(numpy(quantizer.threshold), moved, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_inputs_are_compared_with_float32_thresholds(policy: str) -> None:
    layer = LearnedThresholdSign(dtype=policy)
    layer.build((1, 4))
    layer.threshold.assign([1 + 1e-6, 1 - 1e-6, 1, 1e-9])  # both types round the first two to 1
    x = ops.cast(np.array([[1, 1, 1, 0]], np.float32), policy.removeprefix("mixed_"))
    np.testing.assert_array_equal(numpy(layer(x)), [[-1, 1, 1, -1]])
    assert layer.threshold.dtype == "float32"


def test_the_channels_must_be_known_and_fit() -> None:
    with pytest.raises(ValueError, match=r"LearnedThresholdSign 'shift' got an input of shape \(None, 3, None\): the"):
        LearnedThresholdSign(name="shift").build((None, 3, None))
    layer = LearnedThresholdSign()
    layer.build((None, 4))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 4"):
        layer(np.ones((2, 5), np.float32))
